"""How many seeds are enough: a few planned looks, over which the risk of an error is spread.

Whoever adds seeds until two models differ is sure to find a difference at last, of models that are
alike, too. So the looks are planned before the first training, and each may err with its part of
5 % alone. That the risks add up to 5 % at most holds however correlated the looks are (Bonferroni's
inequality), and they are strongly correlated, by the seeds of earlier looks and by the test images.
The interval at a look's level is a repeated confidence interval (Jennison and Turnbull, Journal of
the Royal Statistical Society B 51, 1989): it holds at whichever look one stops.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from benchmark.analysis.comparison import outcomes_difference
from benchmark.analysis.outcomes import Outcomes
from benchmark.analysis.ranks import holm_adjusted, pairwise_p_values
from benchmark.summaries import Difference

CONFIDENCE = 0.95
MOST_LOOKS = 4
# Fewer say too little of the spread to stop there.
FEWEST_SEEDS = 3

Verdict = Literal["differ", "agree", "undecided"]


def planned_looks(until: int) -> tuple[int, ...]:
    """After how many seeds each the models are compared, the last time after ``until``.

    Four times at most, each time after the same factor of seeds, and after two more at least.
    """
    count = min(MOST_LOOKS, 1 + max(0, until - FEWEST_SEEDS) // 2)
    growth = until / FEWEST_SEEDS
    # Rounded first: a power that is whole is to stay what it is.
    earlier = (FEWEST_SEEDS * growth ** (look / (count - 1)) for look in range(count - 1))
    return (*(math.ceil(round(seeds, 6)) for seeds in earlier), until)


def look_confidence(looks: int) -> float:
    """How sure a statement at any of so many looks has to be, for all to err in 5 % of runs.

    That is 0.95 without looks, where the data did not decide how many seeds there are.
    """
    return 1 - (1 - CONFIDENCE) / max(1, looks)


def joint_confidence(*runs: float) -> float:
    """How sure a statement about models of several runs has to be, each run being so sure.

    Each run may have ended at any of its looks, and every combination of them may err.
    """
    return 1 - (1 - CONFIDENCE) / math.prod(map(looks_of, runs))


def looks_of(confidence: float) -> float:
    """Over how many looks the risk of an error is spread where each is so sure."""
    return (1 - CONFIDENCE) / (1 - confidence)


@dataclass(frozen=True)
class Decision:
    """What one look says of the two models of the highest mean accuracy, the ``leaders``.

    They are None, and so is their ``difference``, where a model cannot be compared yet: one of the
    ``waiting``, each with how many of its seeds completed.
    """

    verdict: Verdict
    leaders: tuple[str, str] | None = None
    difference: Difference | None = None
    waiting: tuple[tuple[str, int], ...] = ()


def decide(
    outcomes: Mapping[str, Outcomes | None], confidence: float, resolve: float | None = None
) -> Decision:
    """Whether the leading two of several models differ, agree within ``resolve``, or neither.

    ``outcomes`` are those of each model's completed trials, ``resolve`` is a fraction. Which models
    lead is not known before. So they differ where that holds of every pair at once, by Holm's
    adjustment, and agree where the interval that all pairs have at once lies within ``resolve``.
    """
    waiting = tuple(
        (name, table.seeds if table else 0)
        for name, table in outcomes.items()
        if table is None or table.seeds < 2
    )
    tables = {name: table for name, table in outcomes.items() if table is not None}
    if waiting or len(tables) < 2:
        return Decision("undecided", waiting=waiting)
    names = [*tables]
    means, p_values = pairwise_p_values([*tables.values()])
    first, second = sorted(range(len(names)), key=lambda place: -means[place])[:2]
    pairs = len(names) * (len(names) - 1) // 2
    difference = outcomes_difference(
        tables[names[first]], tables[names[second]], 1 - (1 - confidence) / pairs
    )
    verdict: Verdict = "undecided"
    if holm_adjusted(p_values)[first, second] < 1 - confidence:
        verdict = "differ"
    elif resolve is not None and _lies_within(difference, resolve):
        verdict = "agree"
    return Decision(verdict, (names[first], names[second]), difference)


def _lies_within(difference: Difference, margin: float) -> bool:
    if difference.low is None or difference.high is None:
        return False
    return -margin <= difference.low and difference.high <= margin
