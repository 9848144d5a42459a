"""Each parameter group's learning rate, step by step and epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from benchmark.errors import PLUGIN_FAULTS, BenchmarkError, one_line
from benchmark.field_checks import is_factor, shown
from benchmark.optimization import EpochFigures, Optimization


class LearningRates:
    """The rates of the parameter groups of all optimisers of a training.

    A rate is the one that its group was configured with, times the step's factor, times ``factor``,
    which the recipe decides after each epoch.
    """

    def __init__(self, optimization: Optimization) -> None:
        self.configured = [group["lr"] for group in optimization.groups]
        self._optimization = optimization
        self.factor = 1.0

    def decide(self, figures: Sequence[EpochFigures]) -> None:
        """Have the recipe decide by the figures of all epochs so far; there may be none.

        Raises BenchmarkError where it fails, or gives what is no factor.
        """
        decide = self._optimization.factor_after_epoch
        if decide is None or not figures:
            return
        place = f"after epoch {figures[-1].epoch}"
        try:
            factor: object = decide(tuple(figures))
        except PLUGIN_FAULTS as error:
            raise BenchmarkError(
                f"the recipe's factor_after_epoch failed {place}: {one_line(error)}"
            ) from error
        if not is_factor(factor):
            raise BenchmarkError(
                f"the recipe's factor_after_epoch gave {shown(factor)} {place}: a factor is a "
                "finite number that is not negative"
            )
        self.factor = float(factor)  # type: ignore[arg-type]

    def first_at(self, step: int) -> float:
        """The first group's rate at a step of the whole training."""
        return float(self.configured[0] * self._factor_at(step))

    def put_at(self, step: int) -> None:
        """Give every group the rate of a step of the whole training."""
        factor = self._factor_at(step)
        for group, rate in zip(self._groups(), self.configured, strict=True):
            group["lr"] = float(rate * factor)

    def table(self) -> torch.Tensor:
        """Every group's rate at every step, under the present ``factor``: groups x steps."""
        factors = torch.tensor(self._optimization.learning_rate_factors, dtype=torch.float64)
        rates = torch.tensor(self.configured, dtype=torch.float64)
        return rates.unsqueeze(1) * (factors * self.factor)

    def _factor_at(self, step: int) -> float:
        return self._optimization.learning_rate_factors[step] * self.factor

    def _groups(self) -> list[dict[str, Any]]:
        groups = self._optimization.groups
        if len(groups) != len(self.configured):
            raise BenchmarkError(
                f"the recipe's optimisers have {len(groups)} parameter groups, and had "
                f"{len(self.configured)} when they were configured; make all of them in configure, "
                "and use requires_grad to have some move later"
            )
        return groups
