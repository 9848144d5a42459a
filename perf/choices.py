"""``python -m perf.choices``: the framework beside itself with one choice made otherwise.

The table says what each of the framework's choices pays on this CPU, and what others would cost.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmark.environment import describe_environment
from benchmark.training import resolve_precision
from perf.comparisons import MODELS
from perf.figures import ratio
from perf.interleave import interleave
from perf.processes import ROOT, workers
from perf.publish import note, publish
from perf.report import table
from perf.workload import Workload

PART = "choices"
FRAMEWORK = "framework"
# In the order of the table; how each is made is in perf/contenders/choices.py.
CHOICES = {
    "fp32": "fp32 instead of bf16",
    "fp32_by_bf16": "fp32 tensors, multiplied in bf16 by oneDNN",
    "pytorch_dropout": "PyTorch's own dropout",
    "returned_memory": "memory that a step frees goes back to the system",
    "huge_pages": "huge pages (`THP_MEM_ALLOC_ENABLE`)",
    "one_thread": "one thread",
    "flushed_denormals": "denormal numbers flushed to zero",
    "compiled": "`torch.compile`",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every choice, keep it, and write the table; returns the exit status."""
    parser = argparse.ArgumentParser("python -m perf.choices", description=__doc__)
    parser.add_argument("--repeats", type=int, default=7, help="blocks of each choice")
    parser.add_argument("--steps", type=int, default=20, help="steps a block")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--choices", nargs="+", choices=CHOICES, default=[*CHOICES])
    parser.add_argument("--out", type=Path, default=ROOT / "perf" / "choices.json")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "performance.md")
    return publish(parser.parse_args(arguments), PART, measure, write_table)


def measure(wanted: argparse.Namespace) -> dict[str, Any]:
    """Blocks of the framework and of every choice in turn; raises WorkerError where one fails."""
    precision = resolve_precision("auto", torch.device("cpu"))
    names = [FRAMEWORK, *(f"choices:{choice}" for choice in wanted.choices)]
    seconds = {}
    for model in wanted.models:
        workload = Workload(model, 128, wanted.steps, wanted.repeats + 1, precision)
        with workers(names, workload) as started:
            blocks = {name: worker.block for name, worker in started.items()}
            seconds[model] = interleave(blocks, wanted.repeats, note)
    return {
        "environment": describe_environment(),
        "steps": wanted.steps,
        "repeats": wanted.repeats,
        "seconds": seconds,
    }


def write_table(results: Mapping[str, Any]) -> str:
    """The times of a step with each choice, over those of the framework as it is."""
    seconds = results["seconds"]
    rows = []
    for choice, title in CHOICES.items():
        name = f"choices:{choice}"
        if all(name in measured for measured in seconds.values()):
            rows.append([title, *(_cell(measured, name) for measured in seconds.values())])
    as_it_is = (
        f"{1000 * statistics.median(measured[FRAMEWORK]) / results['steps']:.1f} ms a step"
        for measured in seconds.values()
    )
    header = ["time over that of the framework", *(f"`{model}`" for model in seconds)]
    return table(header, [["the framework as it is", *as_it_is], *rows])


def _cell(measured: Mapping[str, Sequence[float]], name: str) -> str:
    found = ratio(measured[name], measured[FRAMEWORK])
    return f"{found.median:.2f} ({found.lowest:.2f} to {found.highest:.2f})"


if __name__ == "__main__":
    sys.exit(main())
