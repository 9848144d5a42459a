"""Where a model keeps its tensors, looked up when they are used: a model may put others there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Slot:
    """The place of a parameter or buffer in its module."""

    holder: MutableMapping[str, Tensor | None]
    name: str

    @property
    def tensor(self) -> Tensor | None:
        """What is there now."""
        # Not get: a scripted module's holder has none.
        return self.holder[self.name] if self.name in self.holder else None  # noqa: SIM401

    def put(self, tensor: Tensor) -> None:
        """Put a tensor there, unless it is there already."""
        if self.tensor is not tensor:
            self.holder[self.name] = tensor


def tensor_slots(model: nn.Module) -> dict[str, Slot]:
    """A model's slots by their tensors' names: one for each tensor, and those that are empty."""
    slots: dict[str, Slot] = {}
    seen: set[int] = set()
    for path, module in model.named_modules():
        for holder in (module._parameters, module._buffers):
            for name, tensor in holder.items():
                if tensor is None or id(tensor) not in seen:
                    slots[f"{path}.{name}".lstrip(".")] = Slot(holder, name)
                seen.add(id(tensor))
    return slots


@contextmanager
def lent(slots: Iterable[Slot]) -> Iterator[None]:
    """Let others write to slots, or put other tensors there, and put all back as it was."""
    own = [(slot, tensor) for slot in slots if (tensor := slot.tensor) is not None]
    memory = [tensor.detach() for _, tensor in own]
    values = [tensor.clone() for tensor in memory]
    try:
        yield
    finally:
        with torch.no_grad():
            for (slot, tensor), place in zip(own, memory, strict=True):
                slot.put(tensor)
                if tensor.data_ptr() != place.data_ptr():
                    tensor.data = place
            # In place: a captured graph knows the addresses.
            copy_each(memory, values)


@torch.no_grad()
def copy_each(targets: Sequence[Tensor], sources: Sequence[Tensor]) -> None:
    """Copy each source into its target, which has its shape and type, in few operations."""
    for own, others in of_one_kind(targets, sources):
        torch._foreach_copy_(own, others)


def of_one_kind(
    targets: Sequence[Tensor], sources: Sequence[Tensor]
) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """The pairs of tensors divided by device and type, as operations on whole lists want them."""
    kinds: dict[object, tuple[list[Tensor], list[Tensor]]] = {}
    for target, source in zip(targets, sources, strict=True):
        kind = (target.device, target.dtype, source.device, source.dtype)
        own, others = kinds.setdefault(kind, ([], []))
        own.append(target)
        others.append(source)
    yield from kinds.values()
