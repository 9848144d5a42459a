"""Averaging and clipping over flat tensors of which the weights and gradients are views.

A norm, a product and an average are then one kernel each, however many weights there are. The norm
is a sum in another order, so the weights agree but for rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from perf.experiments.step import DECAY, MAX_NORM, NORM_EPSILON, Step

# Each view begins at a multiple of so many numbers, 128 bytes, as PyTorch's allocator would have
# it at least: kernels read aligned tensors faster.
ALIGNMENT = 32


class FlatViews(Step):
    """Weights, gradients and the average are views of one tensor each."""

    def changed(self, model: nn.Module) -> nn.Module:
        """Have all that is averaged lie in one tensor, the parameters first."""
        parameters = [*model.parameters()]
        buffers = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
        self._flat, views = flattened([*parameters, *buffers])
        for tensor, view in zip([*parameters, *buffers], views, strict=True):
            tensor.data = view
        self._flat_average = self._flat.clone()
        self._flat_gradient, self._gradients = flattened(parameters)
        return model

    def clip(self) -> None:
        """Limit the norm of the flat gradient."""
        given = [weight.grad for weight in self.weights if weight.grad is not None]
        torch._foreach_copy_(self._gradients, given)
        norm = self._flat_gradient.norm()
        self._flat_gradient.mul_((MAX_NORM / (norm + NORM_EPSILON)).clamp(max=1))
        for weight, gradient in zip(self.weights, self._gradients, strict=True):
            weight.grad = gradient

    def average(self) -> None:
        """Take the flat weights in."""
        self._flat_average.lerp_(self._flat, 1 - DECAY)

    def finish(self) -> None:
        """Show the average where the step as it is has it."""
        for average, view in zip(
            self.averages, views_of(self._flat_average, self.averaged), strict=True
        ):
            average.copy_(view)


def flattened(tensors: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """A flat tensor with the values of ``tensors``, and its views in their shapes and layouts."""
    size = sum(_room(tensor) for tensor in tensors)
    flat = torch.zeros(size, device=tensors[0].device)
    views = views_of(flat, tensors)
    with torch.no_grad():
        torch._foreach_copy_(views, list(tensors))
    return flat, views


def views_of(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Views of ``flat``, one after another, in the shapes and layouts of ``like``."""
    views, start = [], 0
    for tensor in like:
        views.append(flat.as_strided(tensor.shape, tensor.stride(), start))
        start += _room(tensor)
    return views


def _room(tensor: Tensor) -> int:
    return -(-tensor.numel() // ALIGNMENT) * ALIGNMENT
