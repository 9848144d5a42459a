"""Adam at a constant learning rate: how the two models of 2019 were trained."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field
from torch import nn, optim
from torch.nn import functional

from benchmark import Optimization, Options, RecipeEntry, TrainingPlan, hookimpl

# Keras's epsilon of the time; PyTorch's default is 1e-8.
EPSILON = 1e-7


class AdamOptions(Options):
    """Options of the recipe ``adam``."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """The learning rate of every step."""


def configure(model: nn.Module, plan: TrainingPlan) -> Optimization:
    """Adam (Kingma and Ba, 2015) with cross-entropy; no weight decay, no augmentation."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return Optimization(
        optimizer=optim.Adam(
            parameters,
            lr=plan.options.learning_rate,
            eps=EPSILON,
            # PyTorch's fused step knows no complex numbers.
            fused=not any(parameter.is_complex() for parameter in parameters),
        ),
        learning_rate_factors=[1.0] * plan.total_steps,
        loss=functional.cross_entropy,
    )


@hookimpl
def benchmark_recipes() -> Iterator[RecipeEntry]:
    """Offer the recipe."""
    yield RecipeEntry("adam", configure, "Adam, constant learning rate", options=AdamOptions)
