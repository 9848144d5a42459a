"""How often gates err: a short form of what ``perf.gate_errors`` simulates."""

from __future__ import annotations

from pathlib import Path

from perf.gate_errors import CANNOT_TELL, FAILS, HOLDS, SCENARIOS, GateScenario, gate_shares, main
from perf.processes import ROOT
from tests.docs.test_docs import rows
from tests.support.sampling import is_whole

ALIKE, AT_THE_BOUND, TEN_ROWS, WORSE, BETTER, ONE_SEED = SCENARIOS
RUNS = 2_000 if is_whole() else 40
PAGE = ROOT / "docs" / "gates.md"
# As the module promises them; three standard errors of 2,000 runs are added.
MOST_FALSE, LEAST_CAUGHT, SLACK = 2.5, 95.0, 1.05


def test_a_model_as_good_as_its_reference_does_not_fail_and_one_seed_never_does() -> None:
    assert gate_shares(ALIKE, RUNS)[FAILS] == 0
    assert gate_shares(ONE_SEED, RUNS) == {FAILS: 0, CANNOT_TELL: 1, HOLDS: 0}


def test_what_is_published_is_what_the_page_promises() -> None:
    _, _, text = PAGE.read_text(encoding="utf-8").partition("<!-- gates: begin -->")
    fails = {row[0]: float(row[3]) for row in rows(text)}
    holds = {row[0]: float(row[5]) for row in rows(text)}
    assert fails[ALIKE.name] <= MOST_FALSE
    assert fails[AT_THE_BOUND.name] <= MOST_FALSE + SLACK
    assert fails[TEN_ROWS.name] <= MOST_FALSE + SLACK
    assert fails[ONE_SEED.name] == holds[ONE_SEED.name] == 0
    assert fails[WORSE.name] >= LEAST_CAUGHT
    assert holds[BETTER.name] >= LEAST_CAUGHT


def test_at_the_bound_and_with_ten_rows_a_gate_fails_in_few_runs() -> None:
    # Of 40 runs one is expected; of ten rows, if each were judged by itself, five or more.
    most = (MOST_FALSE + SLACK) / 100 if is_whole() else 3 / RUNS
    assert gate_shares(AT_THE_BOUND, RUNS)[FAILS] <= most
    assert gate_shares(TEN_ROWS, RUNS, images=2_000)[FAILS] <= most


def test_two_points_are_caught_in_nearly_every_run() -> None:
    # Of 2,000 runs; of so few by chance a little less.
    assert gate_shares(WORSE, RUNS)[FAILS] >= 0.9
    assert gate_shares(BETTER, RUNS)[HOLDS] >= 0.9


def test_a_drop_to_the_very_bound_fails_seldom() -> None:
    shares = gate_shares(GateScenario("", "accuracy drops by 2", accuracy=0.83), RUNS)
    most = (MOST_FALSE + SLACK) / 100 if is_whole() else 3 / RUNS
    assert shares[FAILS] <= most
    assert shares[HOLDS] <= most


def test_the_page_has_a_row_for_each_scenario(tmp_path: Path) -> None:
    page = tmp_path / "gates.md"
    page.write_text("<!-- gates: begin --><!-- gates: end -->")
    assert main(["--runs", "1", "--page", str(page)]) == 0
    for text in (page.read_text(), PAGE.read_text(encoding="utf-8")):
        generated = text.partition("<!-- gates: begin -->")[2]
        assert [row[0] for row in rows(generated)] == [found.name for found in SCENARIOS]
