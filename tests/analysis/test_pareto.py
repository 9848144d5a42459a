"""Which models are on the Pareto front: one leaves it only if another surely dominates it."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest

from benchmark.analysis.outcomes import Outcomes
from benchmark.analysis.pareto import Candidate, surely_dominating

IMAGES = 400
CPU, CUDA = ("cpu",), ("cuda",)
FAST, SLOW = {0: 1.0, 1: 1.01, 2: 1.02}, {0: 2.0, 1: 2.02, 2: 2.04}


def outcomes(accuracy: float, seeds: int = 3, seed: int = 0, spread: float = 0.005) -> Outcomes:
    generator = numpy.random.default_rng(seed)
    difficulty = numpy.linspace(0, 1, IMAGES)
    skill = accuracy + generator.normal(0, spread, (seeds, 1))
    return Outcomes.of(difficulty + generator.normal(0, 0.1, (seeds, IMAGES)) < skill)


GOOD, BAD = outcomes(0.8), outcomes(0.5, seed=1)
BEST = Candidate(GOOD, FAST, CPU, (100, 10))


def test_epochs_of_the_same_seed_are_paired_within_one_run_alone() -> None:
    seconds = {seed: 1.0 + seed for seed in range(6)}
    slower = {seed: 1.1 * value for seed, value in seconds.items()}
    of_run, of_other = Path("run"), Path("other")
    best = Candidate(GOOD, seconds, CPU, (100, 10), of_run)
    for run, dominated in ((of_run, 0), (of_other, None)):
        worse = Candidate(BAD, slower, CPU, (100, 10), run)
        assert surely_dominating([best, worse]) == [None, dominated]


@pytest.mark.parametrize(
    ("other", "dominated"),
    [
        (Candidate(BAD, SLOW, CPU, (100, 10)), True),
        (Candidate(BAD, SLOW, CPU, (200, 20)), True),
        # Better in one figure, or not surely worse in one that is measured.
        (Candidate(BAD, SLOW, CPU, (99, 10)), False),
        (Candidate(BAD, SLOW, CPU, (100, 9)), False),
        (Candidate(BAD, FAST, CPU, (100, 10)), False),
        (Candidate(outcomes(0.8, seed=2), SLOW, CPU, (100, 10)), False),
        # Not known, or not to be compared.
        (Candidate(BAD, {}, CPU, (100, 10)), False),
        (Candidate(BAD, SLOW, CUDA, (100, 10)), False),
        (Candidate(BAD, {0: 2.0}, CPU, (100, 10)), False),
        (Candidate(BAD, SLOW, CPU, (100, None)), False),
        (Candidate(None, SLOW, CPU, (100, 10)), False),
    ],
)
def test_a_model_leaves_the_front_only_if_it_is_surely_dominated(
    other: Candidate, dominated: bool
) -> None:
    assert surely_dominating([BEST, other]) == [None, 0 if dominated else None]
    assert surely_dominating([other, BEST]) == [1 if dominated else None, None]


def test_a_figure_that_no_model_has_counts_for_nothing() -> None:
    assert surely_dominating(
        [Candidate(BAD, {}, CPU, (5, None)), Candidate(GOOD, {}, CPU, (5, None))]
    ) == [1, None]


def test_what_dominates_is_the_most_accurate() -> None:
    middle = Candidate(outcomes(0.65, seed=3), FAST, CPU, (100, 10))
    worst = Candidate(BAD, SLOW, CPU, (100, 10))
    assert surely_dominating([middle, worst, BEST]) == [None, 2, None]


def test_of_equally_accurate_models_hardly_any_leaves_the_front() -> None:
    # Each is faster than the next, so that accuracy alone keeps them all on the front.
    times = [{seed: 2.0**place * (1 + seed / 1000) for seed in range(3)} for place in range(4)]
    rounds = 400
    left = 0
    for number in range(rounds):
        tables = [outcomes(0.7, seed=4 * number + place + 10) for place in range(4)]
        candidates = [
            Candidate(table, seconds, CPU, (1,))
            for table, seconds in zip(tables, times, strict=True)
        ]
        left += any(place is not None for place in surely_dominating(candidates))
    # At most 5 %, and three standard errors of that many rounds.
    assert left / rounds <= 0.05 + 3 * (0.05 * 0.95 / rounds) ** 0.5
