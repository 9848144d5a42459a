"""How many seeds would tell two models apart."""

from __future__ import annotations

import math
from collections.abc import Callable

from benchmark.analysis.outcomes import Outcomes, image_variance
from benchmark.analysis.student import smallest_detectable, welch_freedom

# Nobody trains a model as often; a number beyond it is as good as none.
MOST_SEEDS = 10_000


def seeds_needed(a: Outcomes, b: Outcomes, distance: float, confidence: float = 0.95) -> int | None:
    """How many seeds each would find a difference of this size, with a power of 80 %.

    ``distance`` is a fraction. Seeds and images are taken to vary as they did in these trials, of
    which each model has two or more. None where no number would: for no difference, and where the
    test images alone leave more doubt, which no seed reduces.
    """
    noise = a.residual / a.seeds + b.residual / b.seeds
    from_images = image_variance(a.shares - b.shares, noise)

    def detects(seeds: int) -> bool:
        of_a, of_b = a.seed_variance / seeds, b.seed_variance / seeds
        variance = of_a + of_b + from_images
        freedom = welch_freedom(variance, (of_a, seeds), (of_b, seeds))
        detectable = smallest_detectable(math.sqrt(variance), freedom, confidence)
        return detectable <= abs(distance)

    return fewest_seeds(detects)


def fewest_seeds(detects: Callable[[int], bool]) -> int | None:
    """The smallest sufficient number of seeds, at least two; None if no number suffices."""
    if not detects(MOST_SEEDS):
        return None
    few, enough = 1, MOST_SEEDS
    while enough - few > 1:
        middle = (few + enough) // 2
        if detects(middle):
            enough = middle
        else:
            few = middle
    return enough
