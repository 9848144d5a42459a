"""An exponential moving average of a model's weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """Averages a model's parameters and floating-point buffers, step by step.

    After each step the average is ``decay`` times itself plus (1 - ``decay``) times the weights
    (Polyak and Juditsky, 1992, with exponential weights). BatchNorm's statistics are averaged
    with the weights that they belong to.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._current = [parameter.detach() for parameter in model.parameters()]
        self._current += [buffer for buffer in model.buffers() if buffer.is_floating_point()]
        self.values = [value.clone() for value in self._current]
        self._average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]

    def update(self) -> None:
        """Take the model's present weights in."""
        self._average(self.values, self._current, 0)

    @torch.no_grad()
    def load(self, values: Sequence[torch.Tensor]) -> None:
        """Put a checkpoint's average in place of this one."""
        torch._foreach_copy_(self.values, [*values])

    @contextmanager
    def in_the_model(self) -> Iterator[None]:
        """Lend the average to the model, and give it its own weights back."""
        own = [value.clone() for value in self._current]
        try:
            with torch.no_grad():
                torch._foreach_copy_(self._current, self.values)
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._current, own)
