"""A model's parameters and buffers by name, read and put back."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn


def named_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """A model's parameters and buffers by name, also those that its state_dict leaves out."""
    named = {name: parameter.detach() for name, parameter in model.named_parameters()}
    return {**named, **dict(model.named_buffers())}


def misfit_of_tensors(model: nn.Module, tensors: Mapping[str, torch.Tensor]) -> str | None:
    """What of ``tensors`` is not of this model, in words; None where all fits."""
    present = named_tensors(model)
    for name, tensor in present.items():
        before, now = tensors.get(name), tuple(tensor.shape)
        if before is None:
            return f"{name} is new, {now}"
        if tuple(before.shape) != now:
            return f"{name} was {tuple(before.shape)}, is {now}"
    gone = (n for n in tensors if n not in present and not _has_place_for(model, n))
    return next((f"{name} is gone" for name in gone), None)


@torch.no_grad()
def put_tensors(
    model: nn.Module, tensors: Mapping[str, torch.Tensor], device: torch.device
) -> None:
    """Give a model the tensors that ``named_tensors`` gave of it."""
    present = named_tensors(model)
    for name in present.keys() - tensors.keys():
        # A buffer that was None then.
        _set_buffer(model, name, None)
    for name, tensor in tensors.items():
        if name in present and not _is_expanded(present[name]):
            present[name].copy_(tensor)
        else:
            # A buffer that was None when the model was built, or that cannot be written to.
            _set_buffer(model, name, tensor.to(device))


def _is_expanded(tensor: torch.Tensor) -> bool:
    """Whether several of its elements are one place in memory."""
    return any(
        stride == 0 and size > 1 for stride, size in zip(tensor.stride(), tensor.shape, strict=True)
    )


def _has_place_for(model: nn.Module, name: str) -> bool:
    """Whether ``name`` is a buffer that the model has only later, None when it is built."""
    path, _, buffer = name.rpartition(".")
    owner = dict(model.named_modules()).get(path)
    return owner is not None and buffer in owner._buffers


def _set_buffer(model: nn.Module, name: str, value: torch.Tensor | None) -> None:
    module, _, buffer = name.rpartition(".")
    setattr(model.get_submodule(module), buffer, value)
