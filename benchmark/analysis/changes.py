"""How a figure of a model has changed beside that of a reference, and how surely."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from benchmark.analysis.comparison import outcomes_difference
from benchmark.analysis.intervals import mean_ratio
from benchmark.analysis.outcomes import Outcomes
from benchmark.analysis.power import MOST_SEEDS, fewest_seeds, seeds_needed
from benchmark.analysis.student import smallest_detectable, welch_freedom
from benchmark.summaries import Ratio

AT_THE_BOUND = "the observed change equals the bound, so how many seeds would tell is not known"

# What a change may be: a share that was computed exactly is compared exactly.
Amount = float | Fraction


class Change(Protocol):
    """A change from the reference to a model, which is negative where the figure dropped.

    That of an accuracy is a difference, 0.01 a percentage point; that of any other figure is
    relative, 0.01 a per cent.
    """

    @property
    def amount(self) -> Amount | None:
        """The change itself; None where nothing is known of it."""

    @property
    def words(self) -> str:
        """What became of the model, with the 95 % interval."""

    def bounds(self, confidence: float) -> tuple[Amount, Amount] | None:
        """The interval of the change; None where the data show none."""

    def remedy(self, limit: Amount, confidence: float) -> str | None:
        """What would tell on which side of a limit the change is; None where ``words`` say it."""


@dataclass(frozen=True)
class SettledChange:
    """A change that more seeds make no surer: known exactly, or, if ``amount`` is None, unknown."""

    amount: Amount | None
    words: str

    def bounds(self, confidence: float) -> tuple[Amount, Amount] | None:
        """The change itself."""
        del confidence
        return None if self.amount is None else (self.amount, self.amount)

    def remedy(self, limit: Amount, confidence: float) -> None:
        """None: ``words`` say what is missing."""
        del limit, confidence


@dataclass(frozen=True)
class AccuracyChange:
    """The difference of two accuracies by both doubts, each of two seeds or more.

    After several ``looks``, each of which could have ended the trainings, each may err with its
    part of the risk alone.
    """

    name: str
    outcomes: Outcomes
    reference: Outcomes
    looks: float = 1.0

    @property
    def amount(self) -> float:
        """The difference."""
        return self.outcomes.mean - self.reference.mean

    @property
    def words(self) -> str:
        """The difference in percentage points."""
        low, high = self.bounds(0.95)
        return f"{self.name} {_moved(self.amount, low, high, 2, ' points')}"

    def bounds(self, confidence: float) -> tuple[float, float]:
        """The interval that ``difference`` gives."""
        found = outcomes_difference(self.outcomes, self.reference, self._of_a_look(confidence))
        assert found.low is not None
        assert found.high is not None
        return found.low, found.high

    def remedy(self, limit: Amount, confidence: float) -> str:
        """How many seeds would tell, if any number would."""
        distance = self.amount - float(limit)
        if math.isclose(distance, 0, abs_tol=1e-9):
            return AT_THE_BOUND
        sure = self._of_a_look(confidence)
        needed = seeds_needed(self.outcomes, self.reference, distance, sure)
        if needed is None:
            return "no number of seeds would tell with these test images"
        if needed <= min(self.outcomes.seeds, self.reference.seeds):
            return "more test images would tell"
        return f"about {needed:,} seeds each would tell"

    def _of_a_look(self, confidence: float) -> float:
        return 1 - (1 - confidence) / self.looks


@dataclass(frozen=True)
class RelativeChange:
    """The ratio of a positive figure that varies from seed to seed, less 1; two seeds or more."""

    name: str
    values: Mapping[int, float]
    reference: Mapping[int, float]
    is_one_run: bool = True

    @property
    def amount(self) -> float:
        """The ratio of geometric means, less 1."""
        return self._ratio().mean - 1

    @property
    def words(self) -> str:
        """The change in per cent."""
        low, high = self.bounds(0.95)
        return f"{self.name} {_moved(self.amount, low, high, 1, ' %')}"

    def bounds(self, confidence: float) -> tuple[float, float]:
        """The interval that ``mean_ratio`` gives, less 1."""
        found = self._ratio(confidence)
        assert found.low is not None
        assert found.high is not None
        return found.low - 1, found.high - 1

    def remedy(self, limit: Amount, confidence: float) -> str:
        """How many seeds would tell with a power of 80 %, if they vary as these do."""
        distance = abs(math.log((1 + self.amount) / (1 + float(limit))))
        if math.isclose(distance, 0, abs_tol=1e-9):
            return AT_THE_BOUND
        variances = self._variances()

        def detects(seeds: int) -> bool:
            parts = [(variance / seeds, seeds) for variance in variances]
            total = sum(part for part, _ in parts)
            freedom = welch_freedom(total, *parts)
            return smallest_detectable(math.sqrt(total), freedom, confidence) <= distance

        needed = fewest_seeds(detects)
        if needed is None:
            return f"not even {MOST_SEEDS:,} seeds each would tell"
        return f"about {needed:,} seeds each would tell"

    def _ratio(self, confidence: float = 0.95) -> Ratio:
        return mean_ratio(self.values, self.reference, confidence, is_one_run=self.is_one_run)

    def _variances(self) -> list[float]:
        """Of the logarithms, as ``mean_ratio`` takes them: of the pairs, or of each model."""
        row, reference = (
            {seed: math.log(value) for seed, value in values.items()}
            for values in (self.values, self.reference)
        )
        if self._ratio().is_paired:
            pairs = [row[seed] - reference[seed] for seed in row if seed in reference]
            return [statistics.variance(pairs)]
        return [statistics.variance(values.values()) for values in (row, reference)]


def accuracy_change(
    name: str, outcomes: Outcomes, reference_name: str, reference: Outcomes, looks: float = 1.0
) -> Change:
    """The change of an accuracy, which one seed does not show."""
    single = single_seed((name, outcomes.seeds), (reference_name, reference.seeds))
    return single or AccuracyChange(name, outcomes, reference, looks)


def single_seed(*sides: tuple[str, int]) -> SettledChange | None:
    """That one seed shows nothing, where there is but one."""
    for name, seeds in sides:
        if seeds == 1:
            return SettledChange(
                None, f"{name} has only one seed, so its spread is unknown; train 2 or more each"
            )
    return None


def exact_change(name: str, value: Fraction, reference: Fraction) -> SettledChange:
    """The change of a figure that no seed changes, such as a number of parameters."""
    before, after = _number(reference), _number(value)
    if value == reference:
        return SettledChange(0.0, f"{name} stayed at {after}")
    verb = "grew" if value > reference else "dropped"
    words = f"{name} {verb} from {before} to {after}"
    if reference == 0:
        return SettledChange(math.inf, words)
    amount = value / reference - 1
    return SettledChange(amount, f"{words}, by {100 * abs(float(amount)):.1f} %")


def _number(value: Fraction) -> str:
    """A count with all its digits, anything else with ten."""
    return f"{value.numerator:,}" if value.denominator == 1 else f"{float(value):,.10g}"


def _moved(amount: float, low: float, high: float, digits: int, unit: str) -> str:
    """By how much a figure dropped or grew, and the interval, in the same direction."""
    verb = "grew"
    if amount < 0:
        verb, amount, low, high = "dropped", -amount, -high, -low
    # No number is a negative zero.
    rounded = (round(100 * value, digits) + 0.0 for value in (amount, low, high))
    mean, least, most = (f"{value:.{digits}f}" for value in rounded)
    return f"{verb} by {mean}{unit} ({least} to {most})"
