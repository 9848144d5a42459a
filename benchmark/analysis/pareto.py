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
from pathlib import Path

import numpy

from benchmark.analysis.intervals import mean_ratio
from benchmark.analysis.outcomes import Outcomes
from benchmark.analysis.ranks import holm_adjusted, pairwise_p_values


@dataclass(frozen=True)
class Candidate:
    """What a model is judged by.

    ``outcomes`` are None where nothing is sure of its accuracy, as with one seed. ``seconds`` are
    those of an epoch, by seed, on these ``devices``, in one run or another; ``counts`` are figures
    that are exact, the fewer the better, None for one that is not known.
    """

    outcomes: Outcomes | None
    seconds: Mapping[int, float]
    devices: tuple[str, ...]
    counts: tuple[int | None, ...]
    run: Path = Path()

    def is_surely_faster(self, other: Candidate, confidence: float) -> bool:
        """Whether its epochs are shorter, which devices of two kinds do not tell."""
        is_alike = len({*self.devices, *other.devices}) == 1
        if not is_alike or not self.seconds or not other.seconds:
            return False
        is_one_run = self.run == other.run
        ratio = mean_ratio(self.seconds, other.seconds, confidence, is_one_run=is_one_run)
        return ratio.high is not None and ratio.high < 1


def surely_dominating(
    candidates: Sequence[Candidate], confidence: float = 0.95
) -> list[int | None]:
    """Of each model the place of the most accurate one that surely dominates it; None on the front.

    That any model leaves it that no other dominates in truth happens in at most 1 - ``confidence``
    of runs: accuracies are compared as for ranks, with p-values adjusted for all pairs (Holm), and
    times by intervals of their ratios, as much surer as there are pairs (Bonferroni). Where one of
    two has no time, or a count is not known of it, neither dominates the other; a figure that no
    model has counts for nothing.
    """
    found: list[int | None] = [None] * len(candidates)
    sure = [place for place, item in enumerate(candidates) if item.outcomes is not None]
    if len(sure) < 2:
        return found
    tables = [item.outcomes for item in candidates if item.outcomes is not None]
    means, p_values = pairwise_p_values(tables)
    better = (holm_adjusted(p_values) < 1 - confidence) & (means[:, None] > means[None, :])
    criteria = _Criteria.of(candidates)
    surer = 1 - (1 - confidence) / (len(sure) * (len(sure) - 1) / 2)
    for row in numpy.argsort(-means, kind="stable").tolist():
        for column in numpy.flatnonzero(better[row]).tolist():
            winner, loser = sure[row], sure[column]
            if found[loser] is None and criteria.favour(
                candidates[winner], candidates[loser], surer
            ):
                found[loser] = winner
    return found


@dataclass(frozen=True)
class _Criteria:
    """Which figures matter beside accuracy: those that any model has."""

    has_time: bool
    has_counts: tuple[bool, ...]

    @classmethod
    def of(cls, candidates: Sequence[Candidate]) -> _Criteria:
        counts = zip(*(found.counts for found in candidates), strict=True)
        return cls(
            any(found.seconds for found in candidates),
            tuple(any(value is not None for value in values) for values in counts),
        )

    def favour(self, a: Candidate, b: Candidate, confidence: float) -> bool:
        """Whether A is surely faster than B, and its counts are no higher."""
        for matters, of_a, of_b in zip(self.has_counts, a.counts, b.counts, strict=True):
            if matters and (of_a is None or of_b is None or of_a > of_b):
                return False
        return not self.has_time or a.is_surely_faster(b, confidence)
