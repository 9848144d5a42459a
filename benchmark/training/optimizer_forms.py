"""Optimisers that have a training and an evaluation form, as schedule-free ones do.

Their methods ``train`` and ``eval`` write other weights into the model (Defazio et al., 2024, "The
road less scheduled").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.optim import Optimizer

from benchmark.training.slots import lent, tensor_slots


def use_training_form(optimizers: Sequence[Optimizer]) -> None:
    """Have those that have two forms take steps."""
    for optimizer in _with_two_forms(optimizers):
        optimizer.train()


@contextmanager
def evaluation_form(model: nn.Module, optimizers: Sequence[Optimizer]) -> Iterator[None]:
    """Lend a model the weights of the evaluation form, and give it its own back, bit for bit."""
    switched = [*_with_two_forms(optimizers)]
    if not switched:
        yield
        return
    # To compute the way back would round, and training would depend on what was evaluated.
    with lent(tensor_slots(model).values()):
        for optimizer in switched:
            optimizer.eval()
        try:
            yield
        finally:
            use_training_form(optimizers)


def _with_two_forms(optimizers: Sequence[Optimizer]) -> Iterator[Any]:
    for optimizer in optimizers:
        if callable(getattr(optimizer, "train", None)) and callable(
            getattr(optimizer, "eval", None)
        ):
            yield optimizer
