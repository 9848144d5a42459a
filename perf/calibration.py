"""``python -m perf.calibration``: how often the intervals cover the truth, by simulation."""

from __future__ import annotations

import argparse
import itertools
import math
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from benchmark.analysis import Outcomes, outcomes_difference, outcomes_interval, rank_ranges
from perf.calibration_tables import write_tables
from perf.components import components
from perf.other_rules import by_satterthwaite, counting_noise_twice, paired_by_seed
from perf.processes import ROOT
from perf.publish import publish
from perf.scenarios import EVERY, FEW_WRONG, SCENARIOS, Scenario
from perf.simulation import Bools, MadeModel, draw_tables

PART = "calibration"
IMAGES = 10_000
FEW_IMAGES = (16, 100, 300)
SEEDS = (2, 3, 5, 10)
# Of a scenario, one after another in a process.
REPEATS_A_TASK = 250
# Five that are equal, as those of A/A are.
EQUAL_MODELS = 5
RANKED_SEEDS = (3, 5)
ENTROPY = 20_260_101

Counts = Counter[tuple[int, str]]
Generator = numpy.random.Generator


@dataclass(frozen=True)
class Task:
    """So many simulations of one scenario; of equal models to be ranked where that is None."""

    scenario: str | None
    images: int
    repeats: int
    seed: numpy.random.SeedSequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, keep what was counted, and write the tables; returns the exit status."""
    parser = argparse.ArgumentParser("python -m perf.calibration", description=__doc__)
    parser.add_argument("--repeats", type=int, default=5_000, help="simulations of a scenario")
    parser.add_argument("--ranked", type=int, default=2_000, help="simulations of equal models")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--results", type=Path, default=ROOT / "docs" / "results")
    parser.add_argument("--out", type=Path, default=ROOT / "perf" / "calibration.json")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "calibration.md")
    return publish(parser.parse_args(arguments), PART, measure, write_tables)


def measure(wanted: argparse.Namespace) -> dict[str, Any]:
    """Simulate every scenario, at 10,000 images and at few, and five equal models."""
    named = [
        *((name, IMAGES, wanted.repeats) for name in EVERY),
        *itertools.product([*SCENARIOS, *FEW_WRONG], FEW_IMAGES, [wanted.repeats]),
        (None, IMAGES, wanted.ranked),
    ]
    tasks = [*_tasks(named)]
    counted: dict[tuple[str | None, int], Counts] = {}
    with _mapper(wanted.processes) as mapper:
        for task, counts in zip(tasks, mapper(carry_out, tasks), strict=True):
            counted.setdefault((task.scenario, task.images), Counter()).update(counts)
    return {
        "repeats": wanted.repeats,
        "ranked": wanted.ranked,
        "components": components(wanted.results),
        "scenarios": [
            {"scenario": name, "images": images, "seeds": seeds, **_of_seeds(counts, seeds)}
            for (name, images), counts in counted.items()
            if name is not None
            for seeds in SEEDS
        ],
        "ranks": {
            seeds: float(counted[None, IMAGES][seeds, "told_apart"]) for seeds in RANKED_SEEDS
        },
    }


def _tasks(named: Iterable[tuple[str | None, int, int]]) -> Iterator[Task]:
    root = numpy.random.SeedSequence(ENTROPY)
    for name, images, repeats in named:
        for first in range(0, repeats, REPEATS_A_TASK):
            (seed,) = root.spawn(1)
            yield Task(name, images, min(REPEATS_A_TASK, repeats - first), seed)


@contextmanager
def _mapper(processes: int) -> Iterator[Callable[..., Iterable[Counts]]]:
    """What maps in this process if there is to be one, else in others."""
    if processes == 1:
        yield map
        return
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, spawning) as executor:
        yield executor.map


def _of_seeds(counts: Counts, seeds: int) -> dict[str, float]:
    return {name: float(value) for (number, name), value in counts.items() if number == seeds}


def carry_out(task: Task) -> Counts:
    """Simulate, and count by number of seeds what came of it."""
    generator = numpy.random.Generator(numpy.random.SFC64(task.seed))
    if task.scenario is None:
        return simulate_ranks(task.repeats, generator)
    return simulate(EVERY[task.scenario], task.images, task.repeats, generator)


def simulate(scenario: Scenario, images: int, repeats: int, generator: Generator) -> Counts:
    """How often the rule and others cover the truth, and how often they call models different.

    The numbers of seeds are the first of the same ten.
    """
    counts: Counts = Counter()
    for _ in range(repeats):
        of_a, of_b = draw_tables(
            (scenario.a, scenario.b),
            max(SEEDS),
            images,
            generator,
            likeness=scenario.likeness,
            seed_correlation=scenario.seed_correlation,
        )
        for seeds in SEEDS:
            found = _compared(of_a[:seeds], of_b[:seeds], scenario)
            if images == IMAGES:
                found |= _compared_otherwise(of_a[:seeds], of_b[:seeds], scenario)
                beside_ten = outcomes_difference(Outcomes.of(of_a), Outcomes.of(of_b[:seeds]))
                found["beside_ten_covered"] = _covers(
                    beside_ten.low, beside_ten.high, scenario.difference
                )
            counts.update({(seeds, name): value for name, value in found.items()})
    return counts


def _compared(of_a: Bools, of_b: Bools, scenario: Scenario) -> dict[str, Any]:
    a, b = Outcomes.of(of_a), Outcomes.of(of_b)
    found = outcomes_difference(a, b)
    alone = ((outcomes_interval(a), scenario.a), (outcomes_interval(b), scenario.b))
    covered = [_covers(each.low, each.high, model.accuracy) for each, model in alone]
    return {
        "covered": _covers(found.low, found.high, scenario.difference),
        "different": _finds(found.low, found.high),
        "width": (found.high or 0.0) - (found.low or 0.0),
        "by_score": found.degrees_of_freedom == math.inf,
        # Of both models together.
        "interval_covered": sum(covered) / 2,
    }


def _compared_otherwise(of_a: Bools, of_b: Bools, scenario: Scenario) -> dict[str, Any]:
    a, b = Outcomes.of(of_a), Outcomes.of(of_b)
    by_seeds = outcomes_difference(a, b, doubt="seeds")
    noise_twice = outcomes_difference(*counting_noise_twice(a, b))
    bounds = {
        "paired": paired_by_seed(of_a, of_b),
        "seeds": (by_seeds.low, by_seeds.high),
        "noise": (noise_twice.low, noise_twice.high),
    }
    alone = ((by_satterthwaite(a), scenario.a), (by_satterthwaite(b), scenario.b))
    one_each = outcomes_difference(Outcomes.of(of_a[:1]), Outcomes.of(of_b[:1]))
    return {
        **{f"{name}_covered": _covers(*pair, scenario.difference) for name, pair in bounds.items()},
        **{f"{name}_different": _finds(*pair) for name, pair in bounds.items()},
        # Of both models together.
        "satterthwaite_covered": sum(_covers(*pair, model.accuracy) for pair, model in alone) / 2,
        "mcnemar_different": (one_each.trainings_p_value or 0.0) < 0.05,
    }


def _covers(low: float | None, high: float | None, truth: float) -> bool:
    """Whether an interval does; one that has no bounds never does."""
    return low is not None and high is not None and low <= truth <= high


def _finds(low: float | None, high: float | None) -> bool:
    """Whether an interval of a difference says that there is one."""
    return low is not None and high is not None and not low <= 0 <= high


def simulate_ranks(repeats: int, generator: Generator) -> Counts:
    """How often the ranks tell some pair of five equal models apart."""
    models = [MadeModel(SCENARIOS["same"].a.accuracy, SCENARIOS["same"].a.seed_spread)]
    counts: Counts = Counter()
    for _ in range(repeats):
        tables = draw_tables(models * EQUAL_MODELS, max(RANKED_SEEDS), IMAGES, generator)
        for seeds in RANKED_SEEDS:
            ranges = rank_ranges([Outcomes.of(table[:seeds]) for table in tables])
            counts[seeds, "told_apart"] += any(found.best > 1 for found in ranges)
    return counts


if __name__ == "__main__":
    sys.exit(main())
