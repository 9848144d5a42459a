"""A cluster of Ray's in a process of its own: ``python -m tests.support.cluster_process``.

Ray reads at its import whether there is a token, and takes over signals; neither is for the process
that all tests run in. Each line on standard input adds a node (``add``, and what it has as JSON) or
kills one (``kill 2``); each line of output has the state of the cluster after that.
"""

from __future__ import annotations

import json
import sys

from ray._private.node import Node
from ray.cluster_utils import Cluster

NODES = 3
NODE_SECONDS = 120
NODE = {"num_cpus": 2, "num_gpus": 1, "object_store_memory": 80 * 2**20}


def main() -> None:
    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    try:
        nodes = [cluster.head_node, *(cluster.add_node(**NODE) for _ in range(NODES - 1))]
        print_state(cluster, nodes)
        for line in sys.stdin:
            action, _, what = line.partition(" ")
            if action == "add":
                nodes.append(cluster.add_node(**NODE | json.loads(what)))
            else:
                cluster.remove_node(nodes[int(what)], allow_graceful=False)
                # Until then the cluster takes the node for one that is alive.
                cluster.wait_for_nodes(NODE_SECONDS)
            print_state(cluster, nodes)
    finally:
        cluster.shutdown()


def print_state(cluster: Cluster, nodes: list[Node]) -> None:
    raylets = [node.all_processes.get("raylet") for node in nodes]
    numbers = [processes and processes[0].process.pid for processes in raylets]
    print(json.dumps({"address": cluster.address, "raylets": numbers}), flush=True)


if __name__ == "__main__":
    main()
