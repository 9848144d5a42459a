"""``python -m perf.overhead``: what it costs to carry a trial out, beside its training.

Runs of trials that train next to nothing, by ``inline``, ``local`` and ``ray`` in turn. Each
executor has two at a time at most, and Ray a cluster of its own that has been started before.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmark.environment import describe_environment
from perf.interleave import orders
from perf.processes import ROOT, WorkerError
from perf.publish import note, publish
from perf.report import table

PART = "overhead"
CORES = 2
EXECUTORS: dict[str, dict[str, Any]] = {
    "`inline`": {"name": "inline"},
    "`local`, two at a time": {"name": "local", "jobs": CORES, "share_device": True},
    "`ray`, two at a time": {"name": "ray", "num_cpus": 1},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; returns the exit status."""
    parser = argparse.ArgumentParser("python -m perf.overhead", description=__doc__)
    parser.add_argument("--trials", type=int, default=40, help="of each run")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "perf" / "overhead.json")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "scaling.md")
    return publish(parser.parse_args(arguments), PART, measure, write_tables)


def measure(wanted: argparse.Namespace) -> dict[str, Any]:
    """Have every executor carry a run out, as often as wanted; raises WorkerError."""
    seconds: dict[str, list[float]] = {name: [] for name in EXECUTORS}
    with _cluster() as address, tempfile.TemporaryDirectory() as folder:
        for repeat, names in enumerate(orders([*EXECUTORS], wanted.repeats)):
            for name in names:
                executor = dict(EXECUTORS[name])
                if executor["name"] == "ray":
                    executor["address"] = address
                out = Path(folder) / f"{repeat}-{[*EXECUTORS].index(name)}"
                seconds[name].append(_seconds_a_trial(executor, wanted.trials, out))
                note(f"{name}: {seconds[name][-1]:.2f} s a trial")
    return {
        "environment": describe_environment(),
        "trials": wanted.trials,
        "repeats": wanted.repeats,
        "seconds": seconds,
    }


@contextmanager
def _cluster() -> Iterator[str]:
    """A cluster of one node with the cores, in a process of its own; gives its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", _START, str(CORES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
    )
    with process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate()


_START = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": int(sys.argv[1])})
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


def _seconds_a_trial(executor: Mapping[str, Any], trials: int, out: Path) -> float:
    """From the first record to the last, so without the start of the command."""
    out.mkdir()
    config = out / "tiny.yaml"
    # JSON is YAML too.
    config.write_text(json.dumps(_config(executor, trials)), encoding="utf-8")
    command = [sys.executable, "-m", "benchmark", "run", str(config)]
    command += ["--out", str(out), "--data-dir", str(out.parent)]
    # As Ray has it: two trials with two threads each would be in each other's way.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise WorkerError(f"the run by {executor['name']} failed:\n{done.stderr}")
    ends = sorted(file.stat().st_mtime for file in out.rglob("trial.json"))
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def _config(executor: Mapping[str, Any], trials: int) -> Mapping[str, Any]:
    return {
        "dataset": {"name": "synthetic", "train_images": 20, "test_images": 20, "size": 32},
        "models": ["separable_cnn"],
        "seeds": trials,
        "epochs": 1,
        "batch_size": 10,
        "precision": "fp32",
        "device": "cpu",
        "executor": executor,
    }


def write_tables(results: Mapping[str, Any]) -> str:
    """Write what was measured, as Markdown."""
    environment = results["environment"]
    base = statistics.median(results["seconds"]["`local`, two at a time"])
    rows = []
    for name, seconds in results["seconds"].items():
        median = statistics.median(seconds)
        spread = f"{median:.2f} ({min(seconds):.2f} to {max(seconds):.2f})"
        rows.append([name, spread, f"{median / base:.2f}"])
    header = ["executor", "seconds a trial", "over `local`, two at a time"]
    return (
        f"{environment['processor']}, {environment['cores']} cores, a thread for each trial; "
        f"{results['repeats']} runs of {results['trials']} trials each, in turn; one epoch of two "
        f"steps; medians, with the lowest and the highest.\n\n{table(header, rows)}"
    )


if __name__ == "__main__":
    sys.exit(main())
