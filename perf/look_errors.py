"""``python -m perf.look_errors``: how often seeds added look by look err, by simulation.

The models never existed, so it is known which of them differ. ``docs/seeds.md`` has the table.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from benchmark.analysis import Decision, Outcomes, decide, look_confidence, planned_looks
from perf.processes import ROOT
from perf.publish import publish_simulations
from perf.report import table
from perf.simulation import Bools, MadeModel, draw_tables

PART = "looks"
PAGE = ROOT / "docs" / "seeds.md"
RUNS = 2_000
IMAGES = 2_000
# Of a model's seeds, as a fraction.
SEED_SPREAD = 0.0025
UNLIKE = 0.5


@dataclass(frozen=True)
class LookScenario:
    """Models of these true accuracies, and how alike they find images difficult."""

    name: str
    accuracies: tuple[float, ...]
    likeness: float = 0.98
    until: int = 10
    resolve: float | None = None


SCENARIOS = (
    LookScenario("two alike", (0.85, 0.85)),
    LookScenario("two alike, until 5", (0.85, 0.85), until=5),
    LookScenario("two alike, until 30", (0.85, 0.85), until=30),
    LookScenario("two of unlike families, equal", (0.85, 0.85), likeness=UNLIKE),
    LookScenario("five alike", (0.85,) * 5),
    LookScenario("five of unlike families, equal", (0.85,) * 5, likeness=UNLIKE),
    LookScenario("one of five better by 1 point", (0.85, *(0.84,) * 4)),
    LookScenario("half a point apart", (0.85, 0.845)),
    LookScenario("1 point apart", (0.85, 0.84)),
    LookScenario("2 points apart", (0.85, 0.83)),
    LookScenario("two alike, agreement within 1 point", (0.85, 0.85), resolve=0.01),
    LookScenario("1 point apart, agreement within 1 point", (0.85, 0.84), resolve=0.01),
)


@dataclass(frozen=True)
class Ends:
    """How the runs of a scenario ended, as shares, and with how many seeds each on average."""

    differ: float
    agree: float
    seeds: float


def simulate(scenario: LookScenario, runs: int = RUNS, seed: int = 0, images: int = IMAGES) -> Ends:
    """Carry out so many runs of a scenario, each on ``images`` test images of its own."""
    generator = numpy.random.default_rng(seed)
    models = [MadeModel(accuracy, SEED_SPREAD) for accuracy in scenario.accuracies]
    verdicts: Counter[str] = Counter()
    seeds = 0
    for _ in range(runs):
        answers = draw_tables(models, scenario.until, images, generator, likeness=scenario.likeness)
        decision, count = end(answers, scenario.until, scenario.resolve)
        verdicts[decision.verdict] += 1
        seeds += count
    return Ends(verdicts["differ"] / runs, verdicts["agree"] / runs, seeds / runs)


def end(answers: Sequence[Bools], until: int, resolve: float | None) -> tuple[Decision, int]:
    """Where a run stops whose models would give these answers, and with how many seeds each."""
    for count in planned_looks(until):
        outcomes = {f"{model}": Outcomes.of(answer[:count]) for model, answer in enumerate(answers)}
        decision = decide(outcomes, look_confidence(len(planned_looks(until))), resolve)
        if decision.verdict != "undecided":
            break
    return decision, count


def write_table(found: Sequence[tuple[LookScenario, Ends]]) -> str:
    """A row for each scenario, in per cent of its runs."""
    rows = [
        (
            scenario.name,
            f"{100 * ends.differ:.1f}",
            "-" if scenario.resolve is None else f"{100 * ends.agree:.1f}",
            f"{ends.seeds:.1f}",
        )
        for scenario, ends in found
    ]
    return table(("models", "differ (%)", "agree (%)", "seeds each"), rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate every scenario, and put the table into the page; returns the exit status."""
    return publish_simulations(arguments, PART, PAGE, RUNS, simulated_table)


def simulated_table(runs: int) -> str:
    """The table of so many runs of every scenario."""
    return write_table([(found, simulate(found, runs)) for found in SCENARIOS])


if __name__ == "__main__":
    sys.exit(main())
