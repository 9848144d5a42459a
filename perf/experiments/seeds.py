"""Several seeds in one process: one after another, or as branches of one graph.

A step of a small model leaves most of a large GPU idle; branches of a graph may run side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from perf.experiments.step import Step, StepWorkload


class SeedsInTurn:
    """A call takes a step of each seed, one after another."""

    def __init__(self, workload: StepWorkload, seeds: Sequence[int] = (0, 1, 2)) -> None:
        self.steps = [Step(replace(workload, seed=seed)) for seed in seeds]
        self.calls = workload.steps

    @property
    def losses(self) -> torch.Tensor:
        """Each step's mean loss: seeds x steps."""
        return torch.stack([step.losses for step in self.steps])

    def begin(self) -> None:
        """Go to each seed's first batch."""
        for step in self.steps:
            step.begin()

    def __call__(self) -> None:
        """Take each seed's next step."""
        for step in self.steps:
            step()

    def finish(self) -> None:
        """Nothing is left to work out."""


class SeedsAsBranches(SeedsInTurn):
    """Each seed's step is queued on a stream of its own, which becomes a branch when captured."""

    def __init__(self, workload: StepWorkload, seeds: Sequence[int] = (0, 1, 2)) -> None:
        super().__init__(workload, seeds)
        if workload.device.type == "cuda":
            self._streams = [torch.cuda.Stream(workload.device) for _ in self.steps]  # type: ignore[no-untyped-call]

    def __call__(self) -> None:
        """Take each seed's next step, side by side where there are streams."""
        if self.steps[0].device.type != "cuda":
            super().__call__()
            return
        trunk = torch.cuda.current_stream()
        for step, stream in zip(self.steps, self._streams, strict=True):
            stream.wait_stream(trunk)
            with torch.cuda.stream(stream):
                step()
        for stream in self._streams:
            trunk.wait_stream(stream)
