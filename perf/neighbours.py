"""``python -m perf.neighbours``: a training step beside busy processes, and on an idle machine.

In turn in a process that is started as executors start a trial's, whose OpenMP threads hardly spin,
and in one whose threads spin as long as OpenMP has them by default.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmark.environment import describe_environment
from benchmark.training import resolve_precision
from benchmark_plugins.executors.processes.openmp import SPIN_COUNT, WAIT_POLICY, with_short_spins
from perf.figures import Ratio, ratio
from perf.interleave import interleave
from perf.processes import ROOT, Worker
from perf.publish import note, publish
from perf.report import table
from perf.workload import Workload

PART = "neighbours"
MODEL = "separable_cnn"
BATCH_SIZE = 128
HIGHEST_RATIO = 2.5
LIMITED, UNLIMITED = "limited", "unlimited"
# How each changes the environment of its process, and the title of its row.
ENVIRONMENTS: Mapping[str, Callable[[Mapping[str, str]], dict[str, str]]] = {
    LIMITED: with_short_spins,
    UNLIMITED: dict,
}
TITLES = {LIMITED: "as executors start a trial's process", UNLIMITED: "OpenMP's default"}
# It prints a line when it starts to keep its core busy.
BUSY_PROGRAM = "print(flush=True)\nwhile True: pass"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; returns the exit status."""
    parser = argparse.ArgumentParser("python -m perf.neighbours", description=__doc__)
    parser.add_argument("--repeats", type=int, default=7, help="blocks of each case")
    parser.add_argument("--steps", type=int, default=10, help="steps a block")
    parser.add_argument("--neighbours", type=int, default=2, help="busy processes")
    parser.add_argument("--out", type=Path, default=ROOT / "perf" / "neighbours.json")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "performance.md")
    return publish(parser.parse_args(arguments), PART, measure, write_table)


def measure(wanted: argparse.Namespace) -> dict[str, Any]:
    """Train blocks in both environments, alone and beside others, in turn; raises WorkerError."""
    precision = resolve_precision("auto", torch.device("cpu"))
    # Each process trains a block alone and one beside others in every repeat, after its warm-up.
    workload = Workload(MODEL, BATCH_SIZE, wanted.steps, 2 * wanted.repeats + 1, precision)
    blocks: dict[str, Callable[[], float]] = {}
    with ExitStack() as stack:
        for name, environment in ENVIRONMENTS.items():
            log = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))
            worker = Worker("framework", workload, log, environment(_without_settings()))
            stack.callback(worker.close)
            blocks[name] = worker.block
            blocks[_busy(name)] = _beside(wanted.neighbours, worker.block)
        seconds = interleave(blocks, wanted.repeats, note)
    return {
        "environment": describe_environment(),
        "precision": precision,
        "steps": wanted.steps,
        "repeats": wanted.repeats,
        "neighbours": wanted.neighbours,
        "seconds": seconds,
    }


def _without_settings() -> dict[str, str]:
    """The environment of this process, without what the user may have set about spinning."""
    settings = (WAIT_POLICY, SPIN_COUNT)
    return {name: value for name, value in os.environ.items() if name not in settings}


def _busy(name: str) -> str:
    return f"{name}, beside others"


def _beside(count: int, block: Callable[[], float]) -> Callable[[], float]:
    def block_beside_others() -> float:
        with busy_processes(count):
            return block()

    return block_beside_others


@contextmanager
def busy_processes(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start processes that keep a core busy each, and kill them in the end."""
    command = [sys.executable, "-c", BUSY_PROGRAM]
    with ExitStack() as stack:
        processes = []
        for _ in range(count):
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
            stack.callback(process.kill)
            processes.append(process)
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        yield processes


def write_table(results: Mapping[str, Any]) -> str:
    """A step's time alone and beside others, in both environments."""
    environment, seconds = results["environment"], results["seconds"]
    header = [
        *("the threads' spinning", "idle (ms a step)"),
        *("beside others (ms a step)", "over idle", "target", "met"),
    ]
    rows = []
    for name, title in TITLES.items():
        found = ratio(seconds[_busy(name)], seconds[name])
        aim = _target(found) if name == LIMITED else ["-", "-"]
        times = [_step_time(seconds[case], results["steps"]) for case in (name, _busy(name))]
        rows.append([title, *times, _figure(found), *aim])
    cost = ratio(seconds[LIMITED], seconds[UNLIMITED])
    return (
        f"{environment['processor']}, {environment['threads']} threads; `{MODEL}` in "
        f"{results['precision']}, batches of {BATCH_SIZE}, beside {results['neighbours']} busy "
        f"processes; {results['repeats']} repeats of {results['steps']} steps, in turn.\n\n"
        f"{table(header, rows)}\n\n"
        f"On the idle machine a step takes {_figure(cost)} times as long with the limit as without."
    )


def _target(found: Ratio) -> list[str]:
    met = "yes" if found.median <= HIGHEST_RATIO else "no"
    return [f"at most {HIGHEST_RATIO:g}", met]


def _step_time(seconds: Sequence[float], steps: int) -> str:
    return f"{1000 * statistics.median(seconds) / steps:.1f}"


def _figure(found: Ratio) -> str:
    return f"{found.median:.2f} ({found.lowest:.2f} to {found.highest:.2f})"


if __name__ == "__main__":
    sys.exit(main())
