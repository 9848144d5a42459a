"""An exponential moving average of a model's weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from benchmark.training.slots import copy_each, lent, of_one_kind, tensor_slots


class WeightAverage:
    """Averages a model's parameters and its floating-point and complex buffers, step by step.

    After each step the average is ``decay`` times itself plus (1 - ``decay``) times the weights
    (Polyak and Juditsky, 1992, with exponential weights). BatchNorm's statistics are averaged
    with the weights that they belong to. Tensors are looked up whenever they are used, because a
    model may put others in their place; one that it has later, or in another shape or type, is
    averaged from then on.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model = model
        self._slots = tensor_slots(model)
        self._average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        self.values: dict[str, Tensor] = {}
        self._current()

    def update(self) -> None:
        """Take the model's present weights in."""
        current = self._current()
        for averages, weights in of_one_kind([*self.values.values()], current):
            self._average(averages, weights, 0)

    @torch.no_grad()
    def load(self, values: Mapping[str, Tensor]) -> None:
        """Put a checkpoint's average in place of this one."""
        for name, value in values.items():
            own = self.values.get(name)
            if own is not None and own.shape == value.shape:
                # In place: a captured graph knows the addresses.
                own.copy_(value)
            else:
                tensor = self._slots[name].tensor if name in self._slots else None
                device = value.device if tensor is None else tensor.device
                self.values[name] = value.to(device, copy=True)
        self.values = {name: self.values[name] for name in self._slots if name in values}

    @contextmanager
    def in_the_model(self) -> Iterator[None]:
        """Lend the average to the model, and give it its own weights back."""
        self._slots = tensor_slots(self._model)
        current = self._current()
        with lent(self._slots[name] for name in self.values):
            copy_each(current, [*self.values.values()])
            yield

    def _current(self) -> list[Tensor]:
        """The present tensors of what is averaged, in the order of ``values``."""
        current = {
            name: tensor
            for name, slot in self._slots.items()
            if (tensor := slot.tensor) is not None and _is_averaged(tensor)
        }
        if current.keys() != self.values.keys() or any(
            _form(tensor) != _form(self.values[name]) for name, tensor in current.items()
        ):
            self.values = {name: self._begun(name, tensor) for name, tensor in current.items()}
        return [*current.values()]

    def _begun(self, name: str, tensor: Tensor) -> Tensor:
        """The average of a tensor so far, or a new one that begins with what it is now."""
        average = self.values.get(name)
        if average is None or _form(average) != _form(tensor):
            return tensor.detach().clone()
        return average


def _form(tensor: Tensor) -> tuple[torch.Size, torch.dtype]:
    return tensor.shape, tensor.dtype


def _is_averaged(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()
