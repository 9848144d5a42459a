"""Finds what reads a number from the device on the host, which no captured graph could do again."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any, Self

import torch
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode

from benchmark.errors import one_line
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
# A line of these is not one that somebody could change.
_INSIDE = (str(Path(torch.__file__).parent), str(Path(__file__).parents[1]))


class HostReadError(Exception):
    """The host has read what is on the device."""


class HostReadsRaise(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While this is entered, to read values of a tensor on that device raises HostReadError.

    So does to ask a GPU's generator where it stands, which is no operation on a tensor.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._device = device
        self._functions = torch.cuda.get_rng_state, torch.cuda.set_rng_state

    def __enter__(self) -> Self:
        """Have reads raise."""
        if self._device.type == "cuda":
            torch.cuda.get_rng_state = torch.cuda.set_rng_state = _refuse
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *raised: Any) -> None:
        """Have them read again."""
        super().__exit__(*raised)  # type: ignore[no-untyped-call]
        torch.cuda.get_rng_state, torch.cuda.set_rng_state = self._functions

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        """Do what is asked for, unless it is such a read."""
        if function in _READS and arguments[0].device.type == self._device.type:
            raise HostReadError("a step reads a number from the device")
        return function(*arguments, **(options or {}))


def _refuse(*arguments: object, **options: object) -> Any:
    raise HostReadError(
        "a step asks where the GPU's random generator stands, as torch.utils.checkpoint does "
        "unless it is given preserve_rng_state=False"
    )


def why_not_captured(error: Exception) -> str:
    """What a step raised that was taken as a graph would have it, who did, and what helps."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    optimizers = (frame.f_locals.get("self") for frame in reversed(frames))
    optimizer = next((found for found in optimizers if isinstance(found, Optimizer)), None)
    if optimizer is not None and (isinstance(error, HostReadError) or "fused" in str(error)):
        return _of_optimizer(optimizer, error)
    said = str(error) if isinstance(error, HostReadError) else one_line(error)
    place = _place(error)
    return f"{said} ({place})" if place else said


def _place(error: Exception) -> str | None:
    """The innermost line of somebody's own code that led to an error."""
    lines = [
        f"{Path(frame.f_code.co_filename).name}, line {number}"
        for frame, number in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.startswith(_INSIDE)
    ]
    return lines[-1] if lines else None


def _of_optimizer(optimizer: Optimizer, error: Exception) -> str:
    name = type(optimizer).__name__
    if not isinstance(error, HostReadError):
        return (
            f"{name} has no fused form for this device in this release of PyTorch; SGD and AdamW "
            "can be captured"
        )
    reads = f"{name} reads its learning rate, or another number of the device's, on the host"
    # What has complex parameters cannot be fused, whatever was chosen.
    groups = [group for group in optimizer.param_groups if can_be_fused(group)]
    for form in ("fused", "foreach"):
        if any(group.get(form) is False for group in groups):
            return f"{reads}; leave out {form}=False"
    if type(optimizer).__module__.startswith("torch."):
        return f"{reads}, and has no fused form; SGD and AdamW can be captured"
    return f"{reads}; multiply by the learning rate, a tensor in a graph, instead of alpha=-lr"
