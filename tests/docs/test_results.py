"""The published results: their records are sound, and give the table that is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import CommandLine

RESULTS = Path(__file__).parents[2] / "docs" / "results"
RUNS = sorted(file.parent for file in RESULTS.glob("*/run.json"))


def test_there_are_results() -> None:
    assert RUNS


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_the_records_give_the_table_that_is_shown(benchmark: CommandLine, run: Path) -> None:
    result = benchmark("table", str(run))
    assert (result.code, result.err) == (0, "")
    assert result.out == (run / "table.txt").read_text(encoding="utf-8")
