"""What a control shows, and that it does not count as a separate model."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

from benchmark.analysis.comparison import difference
from benchmark.analysis.outcomes import Outcomes
from benchmark.analysis.standings import Standing, Standings
from benchmark.report.control import control_sentences
from benchmark.report.sentences import leader_sentence


def answers(accuracy: float, seeds: int = 3, seed: int = 0) -> Any:
    return numpy.random.default_rng(seed).random((seeds, 2_000)) < accuracy


def standings(*, control: Any, model: Any, other: Any = None) -> Standings:
    tables = {"alpha": model, "beta": other, "alpha-control": control}
    rows = [
        Standing(
            name,
            None if table is None else Outcomes.of(table),
            "alpha" if name == "alpha-control" else None,
        )
        for name, table in tables.items()
    ]
    return Standings(rows, len(rows))


@pytest.mark.parametrize("confidence", [0.95, 0.9875])
def test_the_difference_of_a_model_from_itself_is_shown(confidence: float) -> None:
    model, control = answers(0.8), answers(0.8, seed=1)
    (sentence,) = control_sentences(standings(model=model, control=control), confidence)
    found = difference(model, control, confidence)
    assert found.low is not None
    assert found.high is not None
    assert sentence == (
        f"control: alpha against itself, with other seeds, differs by {100 * found.mean:.2f} "
        f"points ({100 * found.low:.2f} to {100 * found.high:.2f}), which is within chance."
    )


def test_what_chance_seldom_makes_is_said_to_be_that() -> None:
    (sentence,) = control_sentences(standings(model=answers(0.8), control=answers(0.7)))
    assert sentence.endswith(
        "), more than chance makes in 95 % of runs: be careful with other differences of this size."
    )


def test_without_seeds_there_is_no_interval() -> None:
    (sentence,) = control_sentences(standings(model=answers(0.8, seeds=1), control=answers(0.8)))
    assert sentence.endswith("points; with one seed it has no interval.")
    (sentence,) = control_sentences(standings(model=answers(0.8), control=None))
    assert sentence == (
        "control: alpha needs a completed trial on either side to be compared with itself."
    )
    assert [*control_sentences(Standings([Standing("alpha", None)], 1))] == []


def test_a_control_of_other_code_shows_nothing() -> None:
    rows = [
        Standing("alpha", Outcomes.of(answers(0.8)), None, "new"),
        Standing("alpha-control", Outcomes.of(answers(0.8)), "alpha", "old"),
    ]
    assert [*control_sentences(Standings(rows, 2))] == [
        "control: alpha-control was trained from other code than alpha, so it is no control of it; "
        "run again with --control."
    ]


def test_a_control_has_no_rank_and_never_leads() -> None:
    rows = standings(model=answers(0.7), other=answers(0.6), control=answers(0.95))
    assert [str(rank) for rank in rows.ranks()] == ["1", "2", "None"]
    assert leader_sentence(rows).startswith("alpha is best: ")
    assert "98.75 % interval" in leader_sentence(rows, 0.9875)
    alone = standings(model=answers(0.7), control=answers(0.95))
    assert leader_sentence(alone) == ""
