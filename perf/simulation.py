"""Right and wrong answers of models that never existed, whose true accuracies are known.

A seed is right on an image where the image's difficulty and noise of that seed's own on that image
add up to less than a level, which is higher for seeds of a higher accuracy. So

- seeds are nested in models: each draws its accuracy from those of its model,
- images are crossed with them: what is difficult is so for all seeds of a model,
- seeds of one model agree as far as its ``agreement`` says, models as far as their likeness does.

Seeds and images are drawn anew for every table, from infinitely many of both. The page
``docs/calibration.md`` compares this with the records of real trainings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from scipy import special

Bools = numpy.ndarray[Any, numpy.dtype[numpy.bool_]]
Floats = numpy.ndarray[Any, numpy.dtype[numpy.float64]]

# No seed of any simulation is ever farther from its model's accuracy, in standard deviations.
_FARTHEST = 8


@dataclass(frozen=True)
class MadeModel:
    """A model that never existed; accuracies are fractions.

    ``accuracy`` is the true one: over infinitely many seeds and images. ``seed_spread`` is the
    standard deviation of its seeds' accuracies, each over infinitely many images. A share
    ``odd_seeds`` of the seeds is worse than the others by ``odd_drop``.

    ``agreement`` is the tetrachoric correlation of the answers of two of its seeds: 0 if what one
    finds difficult says nothing about the other, 1 if both are right on the same images.

    Raises ValueError where a seed's accuracy could be below 0 or above 1.
    """

    accuracy: float
    seed_spread: float = 0.005
    agreement: float = 0.8
    odd_seeds: float = 0.0
    odd_drop: float = 0.0

    def __post_init__(self) -> None:
        reach = _FARTHEST * self.seed_spread + self.odd_drop
        if not reach < self.accuracy < 1 - reach:
            raise ValueError(f"an accuracy of a seed could be below 0 or above 1: {self}")

    def seed_accuracies(self, deviates: Floats, generator: numpy.random.Generator) -> Floats:
        """Those of seeds with these standard normal deviates, over infinitely many images."""
        is_odd = generator.random(len(deviates)) < self.odd_seeds
        # On average the true one.
        drop = self.odd_drop * (is_odd - self.odd_seeds)
        return self.accuracy + self.seed_spread * deviates - drop


def draw_tables(
    models: Sequence[MadeModel],
    seeds: int,
    images: int,
    generator: numpy.random.Generator,
    *,
    likeness: float = 1.0,
    seed_correlation: float = 0.0,
) -> list[Bools]:
    """A boolean array of seeds x images for each model, in which True is a right answer.

    ``likeness`` is the correlation of how difficult two models find an image, 1 for models that
    find the same difficult. ``seed_correlation`` is that of the accuracies of the first seeds of
    two models, of their second seeds, and so on: 0 unless a seed does the same to every model.
    """
    common_difficulty = generator.standard_normal(images)
    common_deviates = generator.standard_normal(seeds)
    tables = []
    for model in models:
        difficulty = _correlated(common_difficulty, likeness, generator)
        deviates = _correlated(common_deviates, seed_correlation, generator)
        levels = special.ndtri(model.seed_accuracies(deviates, generator))
        # Difficulty and noise have the variance 1 in all, here in units of the noise's.
        noise_share = 1 - model.agreement
        difficulty *= math.sqrt(model.agreement / noise_share)
        levels /= math.sqrt(noise_share)
        answers = generator.standard_normal((seeds, images), dtype=numpy.float32)
        answers += difficulty.astype(numpy.float32)
        tables.append(answers < levels.astype(numpy.float32)[:, None])
    return tables


def _correlated(common: Floats, correlation: float, generator: numpy.random.Generator) -> Floats:
    """Standard normal deviates that have this correlation with others made of ``common``."""
    own = generator.standard_normal(len(common))
    return math.sqrt(correlation) * common + math.sqrt(1 - correlation) * own
