"""Copies of a training's state on the host, which later steps do not change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn


class HostCopies:
    """Copies plain data and tensors into memory that is kept from one copy to the next.

    So each copy takes the place of the one before. What lies on a GPU is copied into pinned memory,
    all of it with one wait for the device.
    """

    def __init__(self) -> None:
        self._buffers: list[Tensor] = []

    @torch.no_grad()
    def take(self, content: Any) -> Any:
        """Copy dicts, lists and tuples with all that is in them; all tensors are on the CPU then.

        A tensor that stands in two places does so in the copy, too.
        """
        copying = _Copying(iter(self._buffers))
        copy = copying.copied(content)
        for device in copying.gpus:
            torch.cuda.synchronize(device)
        self._buffers = copying.buffers
        return copy


class _Copying:
    """One copy while it is taken; ``kept`` are the buffers of the one before, in their order."""

    def __init__(self, kept: Iterator[Tensor]) -> None:
        self.buffers: list[Tensor] = []
        self.gpus: set[torch.device] = set()
        self._kept = kept
        self._copies: dict[int, Tensor] = {}

    def copied(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            if id(value) not in self._copies:
                self._copies[id(value)] = self._copied_tensor(value)
            return self._copies[id(value)]
        if type(value) in (dict, OrderedDict):
            return type(value)((self.copied(key), self.copied(item)) for key, item in value.items())
        if type(value) in (list, tuple):
            return type(value)(map(self.copied, value))
        return value

    def _copied_tensor(self, tensor: Tensor) -> Tensor:
        buffer = _buffer_for(tensor, next(self._kept, None))
        buffer.copy_(tensor, non_blocking=tensor.is_cuda)
        self.buffers.append(buffer)
        if tensor.is_cuda:
            self.gpus.add(tensor.device)
        if isinstance(tensor, nn.Parameter):
            return nn.Parameter(buffer, tensor.requires_grad)
        # Detached: the buffer itself must need no gradient, or it could not be written to.
        return buffer.detach().requires_grad_(tensor.requires_grad)


def _buffer_for(tensor: Tensor, kept: Tensor | None) -> Tensor:
    is_dense = tensor.layout is torch.strided
    if is_dense and kept is not None and _form(kept) == _form(tensor):
        return kept
    is_pinned = is_dense and tensor.is_cuda
    return torch.empty_like(tensor, device="cpu", pin_memory=is_pinned, requires_grad=False)


def _form(tensor: Tensor) -> tuple[torch.Size, torch.dtype, torch.layout]:
    return tensor.shape, tensor.dtype, tensor.layout
