"""``python -m perf.compare``: measure everything in one run, keep it, and write the table.

Nothing else should be at work on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmark.environment import describe_environment
from benchmark.training import resolve_precision
from perf.comparisons import CONTENDERS, MEMORY_IMAGES, MODELS
from perf.interleave import interleave
from perf.processes import ROOT, WorkerError, workers
from perf.publish import note, publish
from perf.report import write_tables
from perf.trials import TrialPlan, measure_sizes
from perf.workload import Workload

SCHEMA = 1
PART = "perf"
PEERS = ("keras", "lightning", "tensorflow-cpu")
SIZES = (5_000, 10_000, 25_000, MEMORY_IMAGES)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; returns the exit status."""
    return publish(_parser().parse_args(arguments), PART, measure, write_tables)


def measure(wanted: argparse.Namespace) -> dict[str, Any]:
    """Measure all; returns what ``results.json`` holds, every single time included.

    Raises WorkerError where a contender or a trial fails.
    """
    load = os.getloadavg()[0]
    if load > 1:
        note(f"the machine has other work (a load of {load:.1f}): ratios will scatter")
    precision = resolve_precision("auto", torch.device("cpu"))
    plan = TrialPlan(sorted(wanted.sizes), wanted.test_images, wanted.batch_size, precision)
    results: dict[str, Any] = {
        "schema": SCHEMA,
        "measured": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "load_before": load,
        "environment": describe_environment(),
        "peers": {name: _version(name) for name in PEERS},
        "batch_size": wanted.batch_size,
        "steps": wanted.steps,
        "repeats": wanted.repeats,
        "precision": precision,
        "test_images": wanted.test_images,
        "speed": {},
        "sizes": {},
    }
    for model in wanted.models if wanted.contenders else []:
        results["speed"][model] = _measure_speed(model, wanted, precision)
    with tempfile.TemporaryDirectory() as folder:
        for model in wanted.models if plan.sizes else []:
            note(f"{model}: trials")
            results["sizes"][model] = measure_sizes(model, plan, Path(folder), note)
    return results


def _measure_speed(model: str, wanted: argparse.Namespace, precision: str) -> dict[str, Any]:
    note(f"{model}: starting and warming up {', '.join(wanted.contenders)}")
    # One block more than there are repeats: the warm-up.
    workload = Workload(model, wanted.batch_size, wanted.steps, wanted.repeats + 1, precision)
    with workers(wanted.contenders, workload) as started:
        counts = {name: worker.facts["parameters"] for name, worker in started.items()}
        if len(set(counts.values())) > 1:
            raise WorkerError(f"{model} is not the same model everywhere: {counts}")
        blocks = {name: worker.block for name, worker in started.items()}
        return {
            "facts": {name: worker.facts for name, worker in started.items()},
            "warm_up_seconds": {name: worker.warm_up_seconds for name, worker in started.items()},
            "seconds": interleave(blocks, wanted.repeats, note),
        }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m perf.compare", description=__doc__)
    parser.add_argument("--repeats", type=_positive, default=7, help="blocks of each contender")
    parser.add_argument("--steps", type=_positive, default=40, help="steps a block")
    parser.add_argument("--batch-size", type=_positive, default=128)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument(
        "--contenders", nargs="*", choices=CONTENDERS, default=CONTENDERS, help="none: no ratios"
    )
    parser.add_argument(
        "--sizes", nargs="*", type=_positive, default=SIZES, help="training images; none: no trials"
    )
    parser.add_argument("--test-images", type=_positive, default=10_000)
    parser.add_argument("--out", type=Path, default=ROOT / "perf" / "results.json")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "performance.md")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("should be 1 or more")
    return number


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    sys.exit(main())
