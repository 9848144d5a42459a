"""What many trials cost: the measurements of docs/scaling.md."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from perf import overhead, scale
from perf.made_runs import make_run
from perf.page import replace_generated
from tests.conftest import CommandLine
from tests.docs.test_docs import rows

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "scaling.md"


def test_a_made_run_is_a_run_like_any_other(benchmark: CommandLine, tmp_path: Path) -> None:
    directory = make_run(tmp_path / "made", 20)
    listed = benchmark("runs", "--out", str(tmp_path / "made"))
    assert "complete" in listed.out
    table = benchmark("table", str(directory.path), "--format", "json")
    assert (table.code, table.err) == (0, "")
    shown = json.loads(table.out)
    assert [row["model"] for row in shown] == ["model_00000", "model_00001"]
    assert {tuple(row["seeds"]) for row in shown} == {tuple(range(10))}


def test_runs_of_several_sizes_are_measured_and_shown(tmp_path: Path) -> None:
    page, out = tmp_path / "page.md", tmp_path / "scale.json"
    page.write_text("<!-- scale: begin --><!-- scale: end -->")
    wanted = ["--trials", "10", "20", "--repeats", "1", "--page", str(page), "--out", str(out)]
    assert scale.main(wanted) == 0
    runs = json.loads(out.read_text())["runs"]
    # Of each trial its record, its history and its predictions.
    assert [run["files"] for run in runs.values()] == [1 + 3 * 10, 1 + 3 * 20]
    assert [row[0] for row in rows(page.read_text())] == ["10", "20"]


@pytest.mark.parametrize("measured", [scale, overhead])
def test_the_scaling_page_shows_the_results_that_are_kept(measured: ModuleType) -> None:
    text = PAGE.read_text(encoding="utf-8")
    results = json.loads((ROOT / "perf" / f"{measured.PART}.json").read_text(encoding="utf-8"))
    assert replace_generated(text, measured.PART, measured.write_tables(results)) == text
