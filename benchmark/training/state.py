"""The state of a training, as a checkpoint holds it: taken, compared and put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from benchmark.training.extra_state import extra_state, misfit, set_extra_state
from benchmark.training.training import Training


class MisfitError(Exception):
    """A state that is of another training; the text says what differs."""


def state_of(training: Training) -> dict[str, Any]:
    """All that a training has come to, as plain data and tensors that later steps change."""
    return {
        "steps_taken": training.steps_taken,
        "model": _tensors(training.model),
        "optimizer": training.optimization.optimizer.state_dict(),
        "average": None if training.average is None else training.average.values,
        "extra": extra_state(training.model),
    }


def check_fits(training: Training, state: Mapping[str, Any]) -> None:
    """Raise MisfitError if ``state`` is of a model with other tensors, or another average."""
    present = _tensors(training.model)
    for name, tensor in present.items():
        before, now = state["model"].get(name), tuple(tensor.shape)
        if before is None:
            raise MisfitError(f"{name} is new, {now}")
        if tuple(before.shape) != now:
            raise MisfitError(f"{name} was {tuple(before.shape)}, is {now}")
    for name in state["model"]:
        if name not in present and not _has_place_for(training.model, name):
            raise MisfitError(f"{name} is gone")
    if (state["average"] is None) != (training.average is None):
        raise MisfitError("weights are averaged now, or no longer")
    extra_misfit = misfit(training.model, state["extra"])
    if extra_misfit:
        raise MisfitError(extra_misfit)


def restore(training: Training, state: Mapping[str, Any]) -> None:
    """Put back what ``state_of`` gave in this or an earlier process."""
    restore_weights(training, state)
    training.optimization.optimizer.zero_grad(set_to_none=True)
    training.optimization.optimizer.load_state_dict(state["optimizer"])


@torch.no_grad()
def restore_weights(training: Training, state: Mapping[str, Any]) -> None:
    """Put the model, its average and the count of steps back, but not the optimiser."""
    training.steps_taken = state["steps_taken"]
    present = _tensors(training.model)
    for name in present.keys() - state["model"].keys():
        # A buffer that was None then.
        _set_buffer(training.model, name, None)
    for name, tensor in state["model"].items():
        if name in present:
            present[name].copy_(tensor)
        else:
            # A buffer that was None when the model was built.
            _set_buffer(training.model, name, tensor.to(training.device))
    if training.average is not None:
        training.average.load(state["average"])
    set_extra_state(training.model, state["extra"])


def _has_place_for(model: nn.Module, name: str) -> bool:
    """Whether ``name`` is a buffer that the model has only later, None when it is built."""
    path, _, buffer = name.rpartition(".")
    owner = dict(model.named_modules()).get(path)
    return owner is not None and buffer in owner._buffers


def _set_buffer(model: nn.Module, name: str, value: torch.Tensor | None) -> None:
    module, _, buffer = name.rpartition(".")
    setattr(model.get_submodule(module), buffer, value)


def _tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """A model's parameters and buffers by name, also those that its state_dict leaves out."""
    named = {name: parameter.detach() for name, parameter in model.named_parameters()}
    return {**named, **dict(model.named_buffers())}
