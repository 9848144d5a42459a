"""How often seeds that are added look by look end with a wrong statement: simulations.

``python -m perf.looks`` prints what docs/seeds.md has: a row for each case, of models that never
existed. An image is as hard for all models as their likeness makes it, a seed makes its training a
little better or worse on all images, and the rest of every answer is chance.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from scipy import special

from benchmark.analysis import Decision, Outcomes, decide, look_confidence, planned_looks

# In units of the chance in a single answer: how much images differ, and seeds. At 85 % accuracy and
# 10,000 images, two trainings then differ by 0.35 points (standard deviation), as in docs/results.
IMAGE_SPREAD = 2.5
SEED_SPREAD = 0.03

Bools = numpy.ndarray[Any, numpy.dtype[numpy.bool_]]


@dataclass(frozen=True)
class Case:
    """Models of known accuracies; ``unlikeness`` is by how much images are hard for one alone."""

    name: str
    accuracies: tuple[float, ...]
    unlikeness: float = 0.0
    until: int = 10
    resolve: float | None = None


CASES = (
    Case("two alike", (0.85, 0.85)),
    Case("two alike, until 5", (0.85, 0.85), until=5),
    Case("two alike, until 30", (0.85, 0.85), until=30),
    Case("two of unlike families, equal", (0.85, 0.85), unlikeness=0.8),
    Case("five alike", (0.85,) * 5),
    Case("five of unlike families, equal", (0.85,) * 5, unlikeness=0.8),
    Case("half a point apart", (0.85, 0.845)),
    Case("one point apart", (0.85, 0.84)),
    Case("two points apart", (0.85, 0.83)),
    Case("two alike, agreement within 1 point", (0.85, 0.85), resolve=0.01),
    Case("1 point apart, agreement within 1 point", (0.85, 0.84), resolve=0.01),
)


@dataclass(frozen=True)
class Ends:
    """How the runs of a case ended, as shares, and with how many seeds each on average."""

    differ: float
    agree: float
    seeds: float


def simulate(case: Case, images: int, runs: int, seed: int = 0) -> Ends:
    """Carry so many runs of a case out, each on ``images`` test images of its own."""
    generator = numpy.random.default_rng(seed)
    verdicts: Counter[str] = Counter()
    seeds = 0
    for _ in range(runs):
        shape = case.until, images
        answers = _answers(generator, case.accuracies, case.unlikeness, shape)
        decision, count = end(answers, case.until, case.resolve)
        verdicts[decision.verdict] += 1
        seeds += count
    return Ends(verdicts["differ"] / runs, verdicts["agree"] / runs, seeds / runs)


def end(answers: Sequence[Bools], until: int, resolve: float | None) -> tuple[Decision, int]:
    """Where a run stops whose models would give these answers, and with how many seeds each."""
    for count in planned_looks(until):
        outcomes = {f"{model}": Outcomes.of(table[:count]) for model, table in enumerate(answers)}
        decision = decide(outcomes, look_confidence(until), resolve)
        if decision.verdict != "undecided":
            break
    return decision, count


def _answers(
    generator: numpy.random.Generator,
    accuracies: Sequence[float],
    unlikeness: float,
    shape: tuple[int, int],
) -> list[Bools]:
    """What each model's seeds get right, of the same images."""
    seeds, images = shape
    spread = math.sqrt(1 + IMAGE_SPREAD**2 + unlikeness**2 + SEED_SPREAD**2)
    easiness = generator.normal(0, IMAGE_SPREAD, images)
    tables = []
    for accuracy in accuracies:
        own = easiness + generator.normal(0, unlikeness, images)
        skill = special.ndtri(accuracy) * spread + generator.normal(0, SEED_SPREAD, (seeds, 1))
        noise = generator.standard_normal((seeds, images), numpy.float32)
        tables.append(skill + own > noise)
    return tables


def main() -> None:
    """Print a row for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--images", type=int, default=2_000)
    given = parser.parse_args()
    print("| Models | Differ | Agree | Seeds each |\n|---|---|---|---|")
    for case in CASES:
        ends = simulate(case, given.images, given.runs)
        agree = "-" if case.resolve is None else f"{ends.agree:.1%}"
        print(f"| {case.name} | {ends.differ:.1%} | {agree} | {ends.seeds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
