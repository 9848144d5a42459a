"""How long a training takes to a given accuracy, where some never reach it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from benchmark.analysis.outcomes import Floats
from benchmark.records import TrialRecord


@dataclass(frozen=True)
class Curve:
    """A trial's accuracy after each epoch, and its training seconds up to then.

    It is that of the images held out or, where there are none, of the test images.

    The seconds are NaN from the first epoch on whose seconds are no timing. A training that
    ``diverged`` would never have reached what it did not reach before.
    """

    seconds: Floats
    accuracies: Floats
    diverged: bool = False

    @classmethod
    def of(cls, record: TrialRecord) -> Curve:
        """What a record's epochs say."""
        timed = (e.train_seconds if e.timed else math.nan for e in record.epochs)
        return cls(
            numpy.array([*itertools.accumulate(timed)]),
            numpy.array([epoch.accuracy for epoch in record.epochs], float),
            record.status == "diverged",
        )


@dataclass(frozen=True)
class TimeTo:
    """The median of the seconds until trainings reached an ``accuracy``.

    ``seconds`` is None where fewer than half of the ``trials`` did. Those whose seconds are no
    timing are not among these; there are ``untimed`` of them.
    """

    accuracy: float
    seconds: float | None
    reached: int
    trials: int
    untimed: int


def time_to(curves: Sequence[Curve], accuracy: float) -> TimeTo:
    """How long trainings take until their accuracy is first as high as that.

    One that has not reached it would have taken longer than it lasted: its time is censored, and
    the median is that of Kaplan and Meier (JASA 53, 1958). Where exactly half of the trainings
    would last longer than a time and shorter than the next, it is the middle of the two, as it is
    of an even number of values.
    """
    found = [_end(curve, accuracy) for curve in curves]
    ends = [end for end in found if not math.isnan(end[0])]
    reached = sum(has_reached for _, has_reached in ends)
    return TimeTo(
        accuracy, censored_median(ends), reached, len(ends), untimed=len(found) - len(ends)
    )


def censored_median(ends: Sequence[tuple[float, bool]]) -> float | None:
    """The median of times, each with whether it is the time itself; else the time is longer."""
    surviving = 1.0
    half: float | None = None
    # At the same time, what ended is counted before what was only seen so far.
    ordered = sorted(ends, key=lambda end: (end[0], not end[1]))
    for place, (seconds, has_ended) in enumerate(ordered):
        if not has_ended:
            continue
        if half is not None:
            return (half + seconds) / 2
        surviving *= 1 - 1 / (len(ordered) - place)
        if math.isclose(surviving, 0.5):
            half = seconds
        elif surviving < 0.5:
            return seconds
    return half


def _end(curve: Curve, accuracy: float) -> tuple[float, bool]:
    """When a training reached an accuracy, or until when it had not."""
    places: Any = numpy.flatnonzero(curve.accuracies >= accuracy)
    if len(places):
        return float(curve.seconds[places[0]]), True
    return (math.inf if curve.diverged else float(curve.seconds[-1])), False
