"""How long trainings take to an accuracy, where some never reach it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy
import pytest
from hypothesis import given, strategies
from statsmodels.duration.survfunc import SurvfuncRight

from benchmark.analysis.time_to import Curve, censored_median, time_to
from tests.support.made_records import make_epoch, make_record

END = strategies.tuples(strategies.integers(1, 30).map(float), strategies.booleans())


def curve(*epochs: tuple[float, float], diverged: bool = False) -> Curve:
    """Of each epoch its seconds and the accuracy after it."""
    seconds = numpy.cumsum([seconds for seconds, _ in epochs])
    return Curve(seconds, numpy.array([accuracy for _, accuracy in epochs]), diverged)


@given(strategies.lists(strategies.integers(1, 30).map(float), min_size=1, max_size=9))
def test_without_censoring_it_is_the_median(values: list[float]) -> None:
    assert censored_median([(value, True) for value in values]) == statistics.median(values)


@given(strategies.lists(END, min_size=1, max_size=9))
def test_it_is_where_the_curve_of_kaplan_and_meier_comes_down_to_a_half(
    ends: list[tuple[float, bool]],
) -> None:
    oracle = SurvfuncRight([end for end, _ in ends], [int(is_known) for _, is_known in ends])
    found = censored_median(ends)
    below = [t for t, s in zip(oracle.surv_times, oracle.surv_prob, strict=True) if s < 0.5 - 1e-9]
    at = [
        t for t, s in zip(oracle.surv_times, oracle.surv_prob, strict=True) if abs(s - 0.5) < 1e-9
    ]
    if at:
        assert found == ((at[0] + below[0]) / 2 if below else at[0])
    else:
        assert found == (below[0] if below else None)


@pytest.mark.parametrize(
    ("ends", "median"),
    [
        ([(1.0, True), (9.0, False), (9.0, False)], None),
        ([(1.0, True), (2.0, True), (9.0, False)], 2.0),
        ([(1.0, True), (9.0, False)], 1.0),
        # Of one that was only seen to the second 1 nothing is known later.
        ([(1.0, False), (2.0, True), (3.0, True), (4.0, True)], 3.0),
        ([], None),
    ],
)
def test_half_of_the_trainings_have_to_reach_it(
    ends: Sequence[tuple[float, bool]], median: float | None
) -> None:
    assert censored_median(ends) == median


def test_an_accuracy_counts_from_the_first_epoch_that_reached_it() -> None:
    found = time_to([curve((2, 0.3), (3, 0.7), (4, 0.6)), curve((2, 0.3), (9, 0.8))], 0.7)
    assert (found.seconds, found.reached, found.trials) == (8.0, 2, 2)


def test_one_that_diverged_would_never_have_reached_it() -> None:
    early = curve((1, 0.1), diverged=True)
    found = time_to([early, early, curve((2, 0.7))], 0.5)
    assert (found.seconds, found.reached, found.trials) == (None, 1, 3)


def test_epochs_that_are_no_timing_count_only_once_it_was_reached() -> None:
    def trial(*timed: bool) -> Curve:
        epochs = zip((0.2, 0.5, 0.8), timed, strict=True)
        return Curve.of(
            make_record(
                epochs=tuple(
                    make_epoch(number, accuracy).model_copy(update={"timed": is_timed})
                    for number, (accuracy, is_timed) in enumerate(epochs, 1)
                )
            )
        )

    found = time_to([trial(True, True, False), trial(False, True, True)], 0.5)
    assert (found.seconds, found.trials, found.untimed) == (4.0, 1, 1)
    assert math.isnan(trial(True, False, True).seconds[-1])
