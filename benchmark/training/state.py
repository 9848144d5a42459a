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
        "optimizer": training.optimization.optimizer.state_dict(),
        "average": None if training.average is None else training.average.values,
        "extra": extra_state(training.model),
    }


def check_fits(training: Training, state: Mapping[str, Any]) -> None:
    """Raise MisfitError if ``state`` is of a model with other tensors, or another average."""
    if fault := misfit_of_tensors(training.model, state["model"]):
        raise MisfitError(fault)
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
    put_tensors(training.model, state["model"], training.device)
    if training.average is not None:
        training.average.load(state["average"])
    set_extra_state(training.model, state["extra"])
