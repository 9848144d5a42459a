"""When seeds are enough: the planned looks, and what each decides."""

from __future__ import annotations

import itertools
from typing import Any

import numpy
import pytest

from benchmark.analysis.comparison import difference
from benchmark.analysis.enough import decide, look_confidence, planned_looks
from benchmark.analysis.outcomes import Outcomes


@pytest.mark.parametrize(
    ("until", "looks"),
    [
        (2, (2,)),
        (3, (3,)),
        (4, (4,)),
        (5, (3, 5)),
        (7, (3, 5, 7)),
        (10, (3, 5, 7, 10)),
        (24, (3, 6, 12, 24)),
        (100, (3, 10, 32, 100)),
        (10_000, (3, 45, 670, 10_000)),
    ],
)
def test_the_looks_follow_from_the_most_seeds(until: int, looks: tuple[int, ...]) -> None:
    assert planned_looks(until) == looks


def test_every_look_adds_two_seeds_and_the_error_is_spent_over_all() -> None:
    for until in range(2, 400):
        looks = planned_looks(until)
        assert looks[-1] == until
        assert looks[0] >= min(3, until)
        assert all(later - look >= 2 for look, later in itertools.pairwise(looks))
        assert len(looks) * (1 - look_confidence(len(looks))) == pytest.approx(0.05)


def answers(accuracy: float, seeds: int = 3, images: int = 2_000, seed: int = 0) -> Any:
    return numpy.random.default_rng(seed).random((seeds, images)) < accuracy


def test_the_two_that_lead_differ_where_every_pair_may_be_asked_about() -> None:
    tables = {"low": answers(0.6), "first": answers(0.9, seed=1), "second": answers(0.8, seed=2)}
    decision = decide({name: Outcomes.of(table) for name, table in tables.items()}, 0.95)
    assert decision.verdict == "differ"
    assert decision.leaders == ("first", "second")
    assert decision.difference is not None
    assert decision.difference.mean == pytest.approx(
        tables["first"].mean() - tables["second"].mean()
    )


def test_a_difference_that_is_one_of_many_has_to_be_surer() -> None:
    pair = {"a": answers(0.84), "b": answers(0.80, seed=1)}
    found = difference(pair["a"], pair["b"])
    assert found.p_value is not None
    sureness = 1 - 2 * found.p_value
    assert decide({name: Outcomes.of(t) for name, t in pair.items()}, sureness).verdict == "differ"
    # Of these all are as far from one another: each pair is as sure, and has to be surer.
    several = {name: Outcomes.of(table) for name, table in pair.items()}
    several |= {f"{number}": Outcomes.of(answers(0.80, seed=number)) for number in range(2, 8)}
    assert decide(several, sureness).verdict == "undecided"


@pytest.mark.parametrize(
    ("margin", "verdict"), [(None, "undecided"), (0.5, "agree"), (0.001, "undecided")]
)
def test_they_agree_where_the_whole_interval_is_within_the_margin(
    margin: float | None, verdict: str
) -> None:
    tables = {"a": answers(0.8), "b": answers(0.8, seed=1)}
    decision = decide({name: Outcomes.of(t) for name, t in tables.items()}, 0.95, margin)
    assert decision.verdict == verdict
    low, high = difference(tables["a"], tables["b"]).low, difference(tables["a"], tables["b"]).high
    assert low is not None
    assert high is not None
    # The smallest margin that holds it, whichever of the two leads.
    edge = max(-low, high)
    outcomes = {name: Outcomes.of(table) for name, table in tables.items()}
    assert decide(outcomes, 0.95, edge * 1.001).verdict == "agree"
    assert decide(outcomes, 0.95, edge * 0.999).verdict == "undecided"


@pytest.mark.parametrize("known", [None, Outcomes.of(answers(0.99, seeds=1))])
def test_nothing_is_decided_before_each_model_has_two_seeds(known: Outcomes | None) -> None:
    outcomes = {"a": Outcomes.of(answers(0.9)), "b": Outcomes.of(answers(0.5)), "c": known}
    decision = decide(outcomes, 0.95, 1.0)
    assert decision.verdict == "undecided"
    assert decision.leaders is None
    assert decision.waiting == (("c", 0 if known is None else 1),)
