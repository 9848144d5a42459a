"""How often intervals cover the truth: a short form of what ``make calibration`` simulates."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy
import pytest
from scipy import stats

from perf.calibration import (
    IMAGES,
    PART,
    RANKED_SEEDS,
    SEEDS,
    main,
    simulate,
    simulate_ranks,
)
from perf.calibration_tables import write_tables
from perf.components import both_below, tetrachoric
from perf.page import replace_generated
from perf.processes import ROOT
from perf.scenarios import SCENARIOS
from perf.simulation import MadeModel, draw_tables
from tests.support.sampling import is_drawn, is_whole

PAGE = ROOT / "docs" / "calibration.md"
RESULTS = json.loads((ROOT / "perf" / "calibration.json").read_text(encoding="utf-8"))
REPEATS, FEWER_IMAGES = (2_000, IMAGES) if is_whole() else (150, 1_000)


def least(scenario: str, seeds: int) -> float:
    """How often an interval has to cover the truth."""
    if seeds == 2:
        return 0.92
    return 0.93 if scenario == "unequal" else 0.94


def slack(share: float, repeats: int) -> float:
    """By how much so many repeats may be off by chance; three standard errors."""
    return 3 * math.sqrt(share * (1 - share) / repeats)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_intervals_cover_the_truth_about_as_often_as_they_say(scenario: str) -> None:
    generator = numpy.random.default_rng(15)
    counts = simulate(SCENARIOS[scenario], FEWER_IMAGES, REPEATS, generator)
    for seeds in SEEDS:
        bound = least(scenario, seeds)
        for name in ("covered", "interval_covered"):
            assert counts[seeds, name] / REPEATS >= bound - slack(bound, REPEATS)
    if SCENARIOS[scenario].difference == 0:
        for seeds in SEEDS[1:]:
            assert counts[seeds, "different"] / REPEATS <= 0.057 + slack(0.057, REPEATS)


def test_intervals_over_seeds_alone_would_not() -> None:
    generator = numpy.random.default_rng(16)
    counts = simulate(SCENARIOS["unlike"], IMAGES, 40, generator)
    assert counts[10, "seeds_covered"] / 40 < 0.8
    assert counts[10, "covered"] / 40 > 0.85


def test_of_five_equal_models_some_pair_is_seldom_told_apart() -> None:
    repeats = 2_000 if is_whole() else 40
    counts = simulate_ranks(repeats, numpy.random.default_rng(17))
    for seeds, most in zip(RANKED_SEEDS, (0.08, 0.065), strict=True):
        assert counts[seeds, "told_apart"] / repeats <= most + slack(most, repeats)


def test_what_is_published_is_what_the_page_promises() -> None:
    repeats = RESULTS["repeats"]
    assert repeats >= 2_000
    rows = [row for row in RESULTS["scenarios"] if row["images"] == IMAGES]
    rows = [row for row in rows if row["scenario"] in SCENARIOS]
    assert len(rows) == len(SCENARIOS) * len(SEEDS)
    for row in rows:
        covered = row["covered"] / repeats
        assert least(row["scenario"], row["seeds"]) <= covered <= 0.977, row
        if row["scenario"] == "same":
            assert row["different"] / repeats <= 0.057, row
    assert RESULTS["ranked"] >= 2_000
    assert RESULTS["ranks"]["3"] / RESULTS["ranked"] <= 0.08
    assert RESULTS["ranks"]["5"] / RESULTS["ranked"] <= 0.065


def test_the_page_shows_the_results_that_are_kept() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert replace_generated(text, PART, write_tables(RESULTS)) == text


@pytest.mark.skipif(not is_drawn("processes of simulations", one_in=4), reason="not in the sample")
def test_a_simulation_is_the_same_again_in_any_number_of_processes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    found = []
    for processes in ("1", "2"):
        page.write_text("<!-- calibration: begin --><!-- calibration: end -->")
        out = tmp_path / f"{processes}.json"
        wanted = ["--repeats", "2", "--ranked", "2", "--processes", processes]
        assert main([*wanted, "--out", str(out), "--page", str(page)]) == 0
        found.append(json.loads(out.read_text()))
        assert (
            replace_generated(page.read_text(), PART, write_tables(found[-1])) == page.read_text()
        )
    assert found[0] == found[1]


def test_made_up_answers_have_the_accuracy_and_the_agreement_that_they_are_made_with() -> None:
    model = MadeModel(0.85, seed_spread=0, agreement=0.7)
    generator = numpy.random.default_rng(18)
    (first, second), (other, _) = draw_tables([model] * 2, 2, 200_000, generator, likeness=0.5)
    assert first.mean() == pytest.approx(0.85, abs=0.003)
    assert tetrachoric(first, second) == pytest.approx(0.7, abs=0.01)
    assert tetrachoric(first, other) == pytest.approx(0.7 * 0.5, abs=0.01)


@pytest.mark.parametrize("correlation", [-0.9, 0.0, 0.3, 0.8])
def test_two_normal_deviates_are_below_their_levels_as_often_as_scipy_says(
    correlation: float,
) -> None:
    both = stats.multivariate_normal(cov=[[1, correlation], [correlation, 1]])
    assert both_below(0.4, -1.1, correlation) == pytest.approx(both.cdf([0.4, -1.1]), abs=1e-6)
