"""The state of a training, as a checkpoint holds it: taken, compared and put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from benchmark.training.extra_state import extra_state, misfit, set_extra_state
from benchmark.training.named_tensors import misfit_of_tensors, named_tensors, put_tensors
from benchmark.training.training import Training


class MisfitError(Exception):
    """A state that is of another training; the text says what differs."""


def state_of(training: Training) -> dict[str, Any]:
    """All that a training has come to, as plain data and tensors that later steps change."""
    return {
        "steps_taken": training.steps_taken,
        "model": named_tensors(training.model),
        "optimizers": [o.state_dict() for o in training.optimization.optimizers],
        "other_parameters": [parameter.detach() for parameter in training.other_parameters],
        "average": None if training.average is None else training.average.values,
        "extra": extra_state(training.model),
    }


def check_fits(training: Training, state: Mapping[str, Any]) -> None:
    """Raise MisfitError if ``state`` is of a model with other tensors, or of another recipe."""
    if fault := misfit_of_tensors(training.model, state["model"]):
        raise MisfitError(fault)
    if len(state["optimizers"]) != len(training.optimization.optimizers):
        raise MisfitError("there are more optimisers now, or fewer")
    if len(state["other_parameters"]) != len(training.other_parameters):
        raise MisfitError("the optimisers move more or fewer tensors that are not the model's")
    if (state["average"] is None) != (training.average is None):
        raise MisfitError("weights are averaged now, or no longer")
    extra_misfit = misfit(training.model, state["extra"])
    if extra_misfit:
        raise MisfitError(extra_misfit)


def restore(training: Training, state: Mapping[str, Any]) -> None:
    """Put back what ``state_of`` gave in this or an earlier process."""
    restore_weights(training, state)
    for optimizer, saved in zip(training.optimization.optimizers, state["optimizers"], strict=True):
        optimizer.zero_grad(set_to_none=True)
        optimizer.load_state_dict(saved)


@torch.no_grad()
def restore_weights(training: Training, state: Mapping[str, Any]) -> None:
    """Put all weights, their average and the count of steps back, but no optimiser."""
    training.steps_taken = state["steps_taken"]
    for parameter, saved in zip(training.other_parameters, state["other_parameters"], strict=True):
        parameter.copy_(saved)
    put_tensors(training.model, state["model"], training.device)
    if training.average is not None:
        training.average.load(state["average"])
    set_extra_state(training.model, state["extra"])
