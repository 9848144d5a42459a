"""A model and a process as they were, after somebody was called who should only look at them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from benchmark.process_settings import settings_put_back
from benchmark.training import Slot, tensor_slots
from benchmark.trial.names import first_names


@dataclass
class Changes:
    """What was changed, in words: what has been ``put_back``, and what has ``stayed`` changed."""

    put_back: list[str] = field(default_factory=list)
    stayed: list[str] = field(default_factory=list)


@contextmanager
def only_looking(model: nn.Module | None, changes: Changes) -> Iterator[None]:
    """Put back what is changed inside, and note it.

    Settings of the process are put back, and a model's tensors that are moved, converted, exchanged
    or frozen. That values change is only noted, since copies of all of them would need time and
    memory. Random generators need no care, because every epoch seeds them. Neither does the model's
    mode, which is set before every epoch and every evaluation.
    """
    seen = [] if model is None else [*_look_at(model)]
    try:
        with settings_put_back(changes.put_back.append):
            yield
    finally:
        # First: to put a tensor back may count as a change of its values.
        rewritten = [tensor.name for tensor in seen if tensor.has_other_values]
        replaced = [tensor.name for tensor in seen if tensor.put_back()]
        if replaced:
            changes.put_back.append(f"the model's {first_names(replaced)}")
        if rewritten:
            changes.stayed.append(f"values of the model's {first_names(rewritten)}")


@dataclass(frozen=True)
class _SeenTensor:
    """A parameter or buffer as it was: its place, its memory, and how often that was written to."""

    name: str
    slot: Slot
    tensor: Tensor
    memory: Tensor
    version: int
    needs_gradient: bool

    @property
    def has_other_values(self) -> bool:
        return self.memory._version != self.version

    def put_back(self) -> bool:
        """Put all back but values; returns whether there was anything to be put back."""
        tensor, memory = self.tensor, self.memory
        is_exchanged = self.slot.tensor is not tensor
        self.slot.put(tensor)
        is_moved = tensor.data_ptr() != memory.data_ptr() or tensor.shape != memory.shape
        if is_moved:
            tensor.data = memory
        is_frozen = tensor.requires_grad != self.needs_gradient
        if is_frozen:
            tensor.requires_grad_(self.needs_gradient)
        return is_exchanged or is_moved or is_frozen


def _look_at(model: nn.Module) -> Iterator[_SeenTensor]:
    for name, slot in tensor_slots(model).items():
        tensor = slot.tensor
        # Others have no memory of one piece, or do not count how often it is written to.
        if tensor is None or tensor.layout != torch.strided or tensor.is_inference():
            continue
        # It shares the tensor's memory and count, and keeps them where the tensor gets others.
        memory = tensor.detach()
        yield _SeenTensor(name, slot, tensor, memory, memory._version, tensor.requires_grad)
