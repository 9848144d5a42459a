"""``torch.compile`` inside the graph: layers between convolutions become fewer kernels."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from perf.experiments.step import Step, StepWorkload


class Compiled(Step):
    """The model's forward and backward pass are what a compiler makes of them.

    Its dropout draws other masks, so only trainings without dropout come to the same weights, but
    for rounding.
    """

    def __init__(self, workload: StepWorkload, backend: str = "inductor") -> None:
        super().__init__(workload)
        self._compiled = torch.compile(self.model, backend=backend)

    def dropout(self) -> AbstractContextManager[object]:
        """The compiler's own, as in a training that is compiled."""
        return nullcontext()

    def forward(self, pixels: Tensor) -> Tensor:
        """The logits, from the compiled model."""
        logits: Tensor = self._compiled(pixels)
        return logits
