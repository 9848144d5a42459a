"""``python -m perf.scale``: what runs of ever more trials cost on disk, in time and in memory."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.environment import describe_environment
from perf.made_runs import EPOCHS, make_run
from perf.processes import ROOT, WorkerError
from perf.publish import publish
from perf.report import table

PART = "scale"
TRIALS = (10, 1_000, 10_000)
MEBIBYTE = 2**20
# Names, and the arguments of benchmark; RUN stands for the run's folder.
COMMANDS = {"listed": ("runs", "--out", "PARENT"), "tabulated": ("table", "RUN")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; returns the exit status."""
    parser = argparse.ArgumentParser("python -m perf.scale", description=__doc__)
    parser.add_argument("--trials", nargs="+", type=int, default=TRIALS, help="multiples of ten")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "perf" / "scale.json")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "scaling.md")
    return publish(parser.parse_args(arguments), PART, measure, write_tables)


def measure(wanted: argparse.Namespace) -> dict[str, Any]:
    """Write runs of each size, then list and tabulate each in turn, as often as wanted.

    Raises WorkerError where a command fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        runs = {trials: _made(Path(folder), trials) for trials in wanted.trials}
        for _ in range(wanted.repeats):
            for run in runs.values():
                for name, command in COMMANDS.items():
                    places = {"RUN": str(run["path"]), "PARENT": str(run["path"].parent)}
                    run[name].append(_cost([places.get(part, part) for part in command]))
        return {
            "environment": describe_environment(),
            "repeats": wanted.repeats,
            "runs": {trials: {**run, "path": run["path"].name} for trials, run in runs.items()},
        }


def _made(folder: Path, trials: int) -> dict[str, Any]:
    parent = folder / str(trials)
    started = time.perf_counter()
    directory = make_run(parent, trials)
    seconds = time.perf_counter() - started
    files = [path for path in directory.path.rglob("*") if path.is_file()]
    return {
        "path": directory.path,
        "write_seconds": seconds,
        "files": len(files),
        "bytes": sum(path.stat().st_size for path in files),
        **{name: [] for name in COMMANDS},
    }


def _cost(arguments: Sequence[str]) -> dict[str, float]:
    """The seconds that a command took, and the most memory that it had, in bytes."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmark", *arguments], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise WorkerError(f"benchmark {' '.join(arguments)} failed")
    process.returncode = 0
    # Kilobytes, on Linux.
    return {"seconds": time.perf_counter() - started, "peak_bytes": 1024 * usage.ru_maxrss}


def write_tables(results: Mapping[str, Any]) -> str:
    """Write what was measured, as Markdown."""
    environment = results["environment"]
    header = [
        *("trials", "written, a trial (ms)", "on disk (MiB)"),
        *("`benchmark runs` (s)", "`benchmark table` (s)", "its peak memory (MiB)"),
    ]
    rows = [_row(int(trials), run) for trials, run in results["runs"].items()]
    return (
        f"{environment['processor']}, {environment['threads']} threads; trials of {EPOCHS} epochs, "
        f"each synced to the disk; medians of {results['repeats']}, in turn, with the lowest and "
        f"the highest.\n\n{table(header, rows)}"
    )


def _row(trials: int, run: Mapping[str, Any]) -> list[str]:
    return [
        f"{trials:,}",
        f"{1000 * run['write_seconds'] / trials:.1f}",
        f"{run['bytes'] / MEBIBYTE:,.1f}",
        _spread([cost["seconds"] for cost in run["listed"]]),
        _spread([cost["seconds"] for cost in run["tabulated"]]),
        f"{max(cost['peak_bytes'] for cost in run['tabulated']) / MEBIBYTE:,.0f}",
    ]


def _spread(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


if __name__ == "__main__":
    sys.exit(main())
