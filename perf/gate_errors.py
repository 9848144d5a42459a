"""``python -m perf.gate_errors``: how often gates fail, hold and cannot tell, by simulation.

The models never existed, so it is known which gates should fail. ``docs/gates.md`` has the table.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy

from benchmark.analysis import Outcomes, accuracy_change, exit_code, judge, parse_gate
from perf.processes import ROOT
from perf.publish import publish_simulations
from perf.report import table
from perf.simulation import MadeModel, draw_tables

PART = "gates"
PAGE = ROOT / "docs" / "gates.md"
RUNS = 2_000
SEEDS = 5
IMAGES = 10_000
FAILS, CANNOT_TELL, HOLDS = 1, 3, 0


@dataclass(frozen=True)
class GateScenario:
    """Rows that are gated, each with this accuracy, and a reference of the accuracy 0.85."""

    name: str
    gate: str
    accuracy: float = 0.85
    rows: int = 1
    seeds: int = SEEDS


SCENARIOS = (
    GateScenario("as good as the reference", "accuracy drops by 0.5"),
    GateScenario("as good as the reference, at the very bound", "accuracy drops by 0"),
    GateScenario("ten rows as good as the reference, at the bound", "accuracy drops by 0", rows=10),
    GateScenario("2 points worse", "accuracy drops by 0.5", accuracy=0.83),
    GateScenario("2 points better", "accuracy drops by 0.5", accuracy=0.87),
    GateScenario("10 points worse, one seed", "accuracy drops by 0.5", accuracy=0.75, seeds=1),
)


def gate_shares(
    scenario: GateScenario, runs: int = RUNS, seed: int = 0, images: int = IMAGES
) -> Mapping[int, float]:
    """In which share of runs the gate gives each exit code."""
    generator = numpy.random.default_rng(seed)
    gate = parse_gate(scenario.gate)
    models = [MadeModel(0.85), *[MadeModel(scenario.accuracy)] * scenario.rows]
    codes: Counter[int] = Counter()
    for _ in range(runs):
        reference, *rows = (
            Outcomes.of(answers)
            for answers in draw_tables(models, scenario.seeds, images, generator)
        )
        changes = {
            name: accuracy_change(name, row, "reference", reference)
            for name, row in zip(map(str, range(len(rows))), rows, strict=True)
        }
        codes[exit_code(judge(gate, changes))] += 1
    return {code: codes[code] / runs for code in (FAILS, CANNOT_TELL, HOLDS)}


def write_table(shares: Sequence[tuple[GateScenario, Mapping[int, float]]]) -> str:
    """A row for each scenario, in per cent of its runs."""
    rows = [
        (
            scenario.name,
            f"`{scenario.gate}`",
            str(scenario.seeds),
            *(f"{100 * found[code]:.1f}" for code in (FAILS, CANNOT_TELL, HOLDS)),
        )
        for scenario, found in shares
    ]
    headers = ("rows", "gate", "seeds", "fails (%)", "cannot tell (%)", "holds (%)")
    return table(headers, rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate every scenario, and put the table into the page; returns the exit status."""
    return publish_simulations(arguments, PART, PAGE, RUNS, simulated_table)


def simulated_table(runs: int) -> str:
    """The table of so many runs of every scenario."""
    return write_table([(found, gate_shares(found, runs)) for found in SCENARIOS])


if __name__ == "__main__":
    sys.exit(main())
