"""Which parameters a recipe's optimisers move: a model's, and others."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from benchmark.errors import BenchmarkError
from benchmark.optimization import Optimization


def names_left_alone(model: nn.Module, optimization: Optimization) -> Iterator[str]:
    """The names of those of a model's trainable parameters that no optimiser moves."""
    moved = {id(parameter) for parameter in _moved(optimization)}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and id(parameter) not in moved:
            yield name


def of_no_model(model: nn.Module, optimization: Optimization) -> list[Tensor]:
    """What is moved and is not the model's, in order: a loss may have parameters of its own.

    Raises BenchmarkError where nothing of the model is moved.
    """
    own = {id(parameter) for parameter in model.parameters()}
    moved = [*_moved(optimization)]
    others = [parameter for parameter in moved if id(parameter) not in own]
    if len(others) == len(moved):
        kinds = " and ".join(type(optimizer).__name__ for optimizer in optimization.optimizers)
        raise BenchmarkError(
            f"optimizer {kinds} moves no parameter of the model: give it parameters of the model "
            "that configure is called with"
        )
    return others


def _moved(optimization: Optimization) -> Iterator[Tensor]:
    for group in optimization.groups:
        yield from group["params"]
