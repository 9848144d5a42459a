"""Finds what reads a number from the device on the host, which no captured graph could do again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode

from benchmark.training.captured_optimizers import can_be_fused

_aten = torch.ops.aten
# What a host calls to learn a tensor's values, or how many of them there are.
_READS = frozenset(
    {
        _aten._local_scalar_dense.default,
        _aten.equal.default,
        _aten.masked_select.default,
        _aten.nonzero.default,
        _aten._unique2.default,
    }
)
# A line of these is not the one that somebody could change.
_INSIDE = (str(Path(torch.__file__).parent), str(Path(__file__).parent))


class HostReadError(Exception):
    """The host has read what is on the device; the text says who did, and what to do about it."""


class HostReadsRaise(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While this is entered, to read values of a tensor on that device raises HostReadError."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._device = device

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        """Do what is asked for, unless it is such a read."""
        if function in _READS and arguments[0].device.type == self._device.type:
            raise HostReadError(_reason())
        return function(*arguments, **(options or {}))


def _reason() -> str:
    """Who reads, by the frames that lead here."""
    frames = [*_frames()]
    for frame in frames:
        owner = frame.f_locals.get("self")
        if isinstance(owner, Optimizer):
            return _of_optimizer(owner)
    for frame in frames:
        file = frame.f_code.co_filename
        if not file.startswith(_INSIDE):
            return f"{Path(file).name}, line {frame.f_lineno}, reads a number from the device"
    return "a step reads a number from the device"


def _of_optimizer(optimizer: Optimizer) -> str:
    name = type(optimizer).__name__
    reads = f"{name} reads its learning rate, or another number of the device's, on the host"
    for form in ("fused", "foreach"):
        if any(
            group.get(form) is False and can_be_fused(group) for group in optimizer.param_groups
        ):
            return f"{reads}; leave out {form}=False"
    if type(optimizer).__module__.startswith("torch."):
        return f"{reads}, and has no fused form; SGD and AdamW can be captured"
    return f"{reads}; multiply by the learning rate, a tensor in a graph, instead of alpha=-lr"


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        yield frame
        frame = frame.f_back
