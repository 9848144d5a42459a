"""What the answers of real trainings have in common, in the terms of ``perf.simulation``."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
from scipy import optimize, special

from benchmark import open_run
from benchmark.analysis import Outcomes
from perf.simulation import Bools

# Enough for a normal distribution's integral to twelve digits.
_NODES, _WEIGHTS = numpy.polynomial.legendre.leggauss(64)


def components(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Those of each model of each run in the folder, and of each two models of one run.

    Of one training nothing is said of the seeds, so a model needs two for the first and one for
    the second.
    """
    models, pairs = [], []
    for path in sorted(file.parent for file in folder.glob("*/run.json")):
        tables = _tables(path)
        for label, table in tables.items():
            if len(table) > 1:
                models.append({"run": path.name, "model": label, **_of_model(table)})
        for (label_a, of_a), (label_b, of_b) in itertools.combinations(tables.items(), 2):
            if len(of_a) > 1 and len(of_b) > 1:
                found = {"models": [label_a, label_b], "likeness": _likeness(of_a, of_b)}
                pairs.append({"run": path.name, **found})
    return {"models": models, "pairs": pairs}


def _tables(path: Path) -> dict[str, Bools]:
    """The answers of each model's completed trials, seeds x images, by label."""
    rows: dict[str, list[Bools]] = {}
    for record in open_run(path).records:
        if record.status == "completed" and record.correct_images is not None:
            rows.setdefault(record.model, []).append(record.correct_images)
    return {label: numpy.stack(found) for label, found in rows.items()}


def _of_model(table: Bools) -> dict[str, Any]:
    outcomes = Outcomes.of(table)
    noise = outcomes.residual / outcomes.images
    agreement = _agreement(table, table)
    return {
        "seeds": outcomes.seeds,
        "accuracy": outcomes.mean,
        "spread": math.sqrt(outcomes.seed_variance),
        # That of accuracies over all images that there could be.
        "seed_spread": math.sqrt(max(0.0, outcomes.seed_variance - noise)),
        "agreement": agreement,
        "right": _shares_right(table),
        "expected": _expected_shares(outcomes.mean, agreement, outcomes.seeds),
    }


def _likeness(of_a: Bools, of_b: Bools) -> float:
    """How alike two models find images difficult, whatever noise their seeds add."""
    within = _agreement(of_a, of_a) * _agreement(of_b, of_b)
    return min(1.0, _agreement(of_a, of_b) / math.sqrt(within))


def _agreement(of_a: Bools, of_b: Bools) -> float:
    """The mean tetrachoric correlation of trainings of one with others, or of two models."""
    pairs = itertools.combinations(of_a, 2) if of_a is of_b else itertools.product(of_a, of_b)
    return float(numpy.mean([tetrachoric(*pair) for pair in pairs]))


def tetrachoric(right_a: Bools, right_b: Bools) -> float:
    """The correlation of two normal deviates that are below two levels as often as these are true.

    After Pearson, Philosophical Transactions of the Royal Society A 195, 1900.
    """
    level_a, level_b = (float(special.ndtri(right.mean())) for right in (right_a, right_b))
    both = float((right_a & right_b).mean())

    def excess(correlation: float) -> float:
        return both_below(level_a, level_b, correlation) - both

    return float(optimize.brentq(excess, -0.99, 0.99))


def both_below(level_a: float, level_b: float, correlation: float) -> float:
    """How often two standard normal deviates with this correlation are below their levels.

    By Plackett's integral over the correlation, Biometrika 41, 1954.
    """
    correlations = correlation * (_NODES + 1) / 2
    rest = 1 - correlations**2
    exponents = (level_a**2 - 2 * correlations * level_a * level_b + level_b**2) / (2 * rest)
    densities = numpy.exp(-exponents) / (2 * math.pi * numpy.sqrt(rest))
    independent = float(special.ndtr(level_a) * special.ndtr(level_b))
    return independent + correlation / 2 * float(_WEIGHTS @ densities)


def _shares_right(table: Bools) -> list[float]:
    """The shares of images that no seed, one, two and so on are right on."""
    counts = numpy.bincount(table.sum(axis=0), minlength=len(table) + 1)
    return [float(count) / table.shape[1] for count in counts]


def _expected_shares(accuracy: float, agreement: float, seeds: int) -> list[float]:
    """The same of simulated seeds of this accuracy and agreement."""
    difficulties, weights = numpy.polynomial.hermite_e.hermegauss(100)
    levels = special.ndtri(accuracy) + math.sqrt(agreement) * difficulties
    right = special.ndtr(levels / math.sqrt(1 - agreement))
    return [_binomial(count, seeds, right, weights / weights.sum()) for count in range(seeds + 1)]


def _binomial(count: int, seeds: int, right: Sequence[float], weights: Sequence[float]) -> float:
    chance = numpy.asarray(right)
    ways = special.comb(seeds, count) * chance**count * (1 - chance) ** (seeds - count)
    return float(numpy.asarray(weights) @ ways)
