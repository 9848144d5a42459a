"""``benchmark table``: several runs, and what an interval is about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import CommandLine

RESULTS = Path(__file__).parents[2] / "docs" / "results"
FIRST, SECOND = str(RESULTS / "cifar10-jpeg"), str(RESULTS / "cifar10-jpeg-adam")


def test_the_tables_of_several_runs_follow_one_another(benchmark: CommandLine) -> None:
    alone = [benchmark("table", run).out for run in (FIRST, SECOND)]
    assert benchmark("table", FIRST, SECOND).out == "\n".join(alone)


@pytest.mark.parametrize("format", ["json", "csv"])
def test_a_format_for_programs_is_of_one_run(benchmark: CommandLine, format: str) -> None:
    result = benchmark("table", FIRST, SECOND, "--format", format)
    assert (result.code, result.out) == (2, "")
    assert "is for one run, and 2 are given; 'benchmark compare' has" in result.err


def test_an_interval_of_both_doubts_is_wider_than_that_of_either(benchmark: CommandLine) -> None:
    reach = {}
    for doubt in ("seeds", "images", "both"):
        result = benchmark("table", FIRST, "--doubt", doubt, "--format", "json")
        (row,) = (row for row in json.loads(result.out) if row["model"] == "baseline_cnn")
        reach[doubt] = row["test_accuracy_high"] - row["test_accuracy"]
    # Of three seeds with 72.05, 68.55 and 69.75 % the t interval is 70.12 ± 4.42; 10,000 images
    # leave a binomial share in a doubt of 0.9 at most.
    assert reach["seeds"] == pytest.approx(0.0442, abs=1e-4)
    assert 0.005 < reach["images"] < 0.009
    both = (reach["seeds"] ** 2 + reach["images"] ** 2) ** 0.5
    # With what is known of the images there are more degrees of freedom than of the seeds alone.
    assert reach["images"] < reach["both"] < both


def test_the_caption_says_what_the_interval_is_over(benchmark: CommandLine) -> None:
    several = " ".join(benchmark("table", FIRST, "--doubt", "images").out.split())
    assert "mean of n = 3 seeds and 95 % interval over test images;" in several
    run = str(RESULTS / "cifar10-jpeg-sgd")
    one = " ".join(benchmark("table", run, "--doubt", "images").out.split())
    assert "of one seed, and 95 % interval over test images;" in one
    # A binomial share: 1.96 * (0.8769 * 0.1231 / 10,000) ** 0.5.
    assert "87.69 ± 0.64" in one
