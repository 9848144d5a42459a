"""Sharpness-aware minimisation (Foret et al., 2021): the gradient of the worst point nearby."""

import torch
from torch import nn, optim
from torch.nn import functional

from benchmark import Optimization, RecipeEntry, hookimpl

RADIUS = 0.05


def configure(model, plan):
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    @torch.no_grad()
    def update(closure):
        closure()
        weights = [weight for weight in model.parameters() if weight.grad is not None]
        gradients = [weight.grad for weight in weights]
        before = [weight.clone() for weight in weights]
        scale = RADIUS / (nn.utils.get_total_norm(gradients) + 1e-12)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.add_(gradient * scale)
        closure()
        for weight, value in zip(weights, before, strict=True):
            weight.copy_(value)
        optimizer.step()

    return Optimization(
        optimizer=optimizer,
        learning_rate_factors=[1 - step / plan.total_steps for step in range(plan.total_steps)],
        loss=functional.cross_entropy,
        update=update,
    )


@hookimpl
def benchmark_recipes():
    yield RecipeEntry("sharpness_aware", configure, "SGD that looks at the worst point nearby")
