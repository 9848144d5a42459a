"""``python -m perf.gpu`` on a CPU, as short as can be, and the rows that it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from perf.gpu.jobs import GRAPHS_NEED_CUDA

ROOT = Path(__file__).parents[3]
AS_SHORT_AS_CAN_BE = (
    *("--device", "cpu", "--count", "16", "--batch-size", "8", "--batch-sizes", "16"),
    *("--repeats", "1", "--epochs", "1", "--seeds", "1"),
)
# What a CPU cannot measure, and says so.
REASONS = {None, GRAPHS_NEED_CUDA, "needs a CUDA GPU", "needs two CUDA GPUs"}
NO_GPU = "there is no GPU of NVIDIA's, or no nvidia-smi to ask"


def environment(**changes: str) -> dict[str, str]:
    """This process's, with one thread: others are at work beside the tests."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "PYTHON", "BENCHMARK_"))
    }
    return {**own, "OMP_NUM_THREADS": "1", **changes}


def measure(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "perf.gpu", *AS_SHORT_AS_CAN_BE, *arguments],
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
    )


def rows_in(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]


def assert_all_was_measured(out: Path, parts: set[str]) -> None:
    rows = rows_in(out)
    assert {row["part"] for row in rows} == parts
    failed = [row for row in rows if row["status"] == "failed"]
    assert failed == [], (out / "log.txt").read_text()
    assert {row["reason"] for row in rows} <= REASONS | {NO_GPU}
    assert all(row["figures"] for row in rows if row["status"] == "measured")
    files = [*out.iterdir()]
    assert all(file.is_file() for file in files)
    assert len(files) <= 8
