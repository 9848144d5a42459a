"""How often added seeds end in an error: a short form of what ``perf.look_errors`` simulates."""

from __future__ import annotations

from pathlib import Path

import pytest

from perf.look_errors import SCENARIOS, UNLIKE, LookScenario, main, simulate
from perf.processes import ROOT
from tests.docs.test_docs import rows
from tests.support.sampling import is_whole

RUNS, IMAGES = (2_000, 2_000) if is_whole() else (150, 300)


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
    assert simulate(scenario, RUNS, images=IMAGES).differ <= 0.057


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
    for text in (page.read_text(), (ROOT / "docs" / "seeds.md").read_text(encoding="utf-8")):
        generated = text.partition("<!-- looks: begin -->")[2]
        generated = generated.partition("<!-- looks: end -->")[0]
        assert [row[0] for row in rows(generated)] == [found.name for found in SCENARIOS]
