"""Which models are on the Pareto front: no other is surely as good in everything, and better.

A model is off the front only where another surely *dominates* it: is more accurate and faster, both
surely, and has no more parameters and no more multiply-accumulates. To be no worse in a figure that
is measured can only be sure where it is better, because intervals of equal figures always reach to
both sides. Parameters and multiply-accumulates are counted and exact. So two models of which one
cannot tell which is better are both on the front, and so is every model with one seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from benchmark.analysis.intervals import mean_ratio
from benchmark.analysis.outcomes import Outcomes
from benchmark.analysis.ranks import holm_adjusted, pairwise_p_values


@dataclass(frozen=True)
class Candidate:
    """What a model is judged by.

    ``outcomes`` are None where nothing is sure of its accuracy, as with one seed. ``seconds`` are
    those of an epoch, by seed, on these ``devices``; ``counts`` are figures that are exact, the
    fewer the better, None for one that is not known.
    """

    outcomes: Outcomes | None
    seconds: Mapping[int, float]
    devices: tuple[str, ...]
    counts: tuple[int | None, ...]

    def is_surely_faster(self, other: Candidate, confidence: float) -> bool:
        """Whether its epochs are shorter, which devices of two kinds do not tell."""
        is_alike = self.devices == other.devices and len(self.devices) == 1
        if not is_alike or not self.seconds or not other.seconds:
            return False
        high = mean_ratio(self.seconds, other.seconds, confidence).high
        return high is not None and high < 1


def pareto_front(candidates: Sequence[Candidate], confidence: float = 0.95) -> list[bool]:
    """Of each model whether it is on the front.

    That any model leaves it that no other dominates in truth happens in at most 1 - ``confidence``
    of runs: accuracies are compared as for ranks, with p-values adjusted for all pairs (Holm), and
    times by intervals of their ratios, as much surer as there are pairs (Bonferroni). Where one of
    two has no time, or a count is not known of it, neither dominates the other; a figure that no
    model has counts for nothing.
    """
    sure = [place for place, found in enumerate(candidates) if found.outcomes is not None]
    on_front = [True] * len(candidates)
    if len(sure) < 2:
        return on_front
    known = [candidates[place] for place in sure]
    tables = [found.outcomes for found in known if found.outcomes is not None]
    means, p_values = pairwise_p_values(tables)
    better = (holm_adjusted(p_values) < 1 - confidence) & (means[:, None] > means[None, :])
    criteria = _criteria(candidates)
    pairs = len(known) * (len(known) - 1) // 2
    for winner, loser in numpy.argwhere(better).tolist():
        is_on = on_front[sure[loser]]
        if is_on and _costs_less(
            known[winner], known[loser], criteria, 1 - (1 - confidence) / pairs
        ):
            on_front[sure[loser]] = False
    return on_front


def _criteria(candidates: Sequence[Candidate]) -> Any:
    """Whether any was timed, and of each count whether any has it."""
    counts = zip(*(found.counts for found in candidates), strict=True)
    return (
        any(found.seconds for found in candidates),
        [any(value is not None for value in values) for values in counts],
    )


def _costs_less(a: Candidate, b: Candidate, criteria: Any, confidence: float) -> bool:
    """Whether A is surely faster, and its counts are no higher."""
    is_timed, is_counted = criteria
    for matters, of_a, of_b in zip(is_counted, a.counts, b.counts, strict=True):
        if matters and (of_a is None or of_b is None or of_a > of_b):
            return False
    return not is_timed or a.is_surely_faster(b, confidence)
