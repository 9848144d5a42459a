"""How often added seeds end in an error: a short form of what ``perf.look_errors`` simulates."""

from __future__ import annotations

from pathlib import Path

import pytest

from perf.look_errors import SCENARIOS, UNLIKE, LookScenario, main, simulate
from perf.processes import ROOT
from tests.docs.test_docs import rows
from tests.support.sampling import is_whole

RUNS, IMAGES = (2_000, 2_000) if is_whole() else (150, 300)
PAGE = ROOT / "docs" / "seeds.md"
# Of runs in which all models are equal, in per cent.
MOST_FALSE = 5.7


@pytest.mark.parametrize(
    "scenario",
    [
        LookScenario("two alike", (0.85, 0.85)),
        LookScenario("five of unlike families", (0.85,) * 5, likeness=UNLIKE),
    ],
    ids=lambda scenario: scenario.name,
)
def test_models_that_are_equal_are_seldom_called_different_at_any_look(
    scenario: LookScenario,
) -> None:
    assert simulate(scenario, RUNS, images=IMAGES).differ <= MOST_FALSE / 100


def test_what_is_published_is_what_the_page_promises() -> None:
    _, _, text = PAGE.read_text(encoding="utf-8").partition("<!-- looks: begin -->")
    found = {row[0]: row for row in rows(text.partition("<!-- looks: end -->")[0])}
    for scenario in SCENARIOS:
        if len({*scenario.accuracies}) == 1:
            assert float(found[scenario.name][1]) <= MOST_FALSE
    assert float(found["2 points apart"][1]) >= 99


def test_a_difference_is_found_with_fewer_seeds_and_no_agreement_is_invented() -> None:
    apart = LookScenario("four points apart", (0.85, 0.81), resolve=0.04)
    ends = simulate(apart, runs=100)
    assert ends.differ >= 0.95
    assert ends.agree <= 0.05
    assert ends.seeds < 6


def test_the_page_has_a_row_for_each_scenario(tmp_path: Path) -> None:
    page = tmp_path / "seeds.md"
    page.write_text("<!-- looks: begin --><!-- looks: end -->")
    assert main(["--runs", "1", "--page", str(page)]) == 0
    for text in (page.read_text(), PAGE.read_text(encoding="utf-8")):
        generated = text.partition("<!-- looks: begin -->")[2]
        generated = generated.partition("<!-- looks: end -->")[0]
        assert [row[0] for row in rows(generated)] == [found.name for found in SCENARIOS]
