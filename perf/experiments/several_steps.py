"""Several steps captured as one graph: fewer launches, and no gap between those of one graph."""

from __future__ import annotations

from perf.experiments.step import Step, StepWorkload


class SeveralSteps(Step):
    """A call takes ``together`` steps, into which the workload's must divide.

    Raises ValueError where they do not.
    """

    def __init__(self, workload: StepWorkload, together: int) -> None:
        if workload.steps % together:
            raise ValueError(f"{workload.steps} steps cannot be taken {together} at a time")
        super().__init__(workload)
        self.calls = workload.steps // together
        self._together = together

    def __call__(self) -> None:
        """Take the next steps."""
        for _ in range(self._together):
            super().__call__()
