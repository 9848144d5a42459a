"""Augmentation of a recipe's own: one image in five loses its colours."""

import torch
from torch import optim
from torch.nn import functional

from benchmark import Augmentation, Optimization, RecipeEntry, Transform, hookimpl


def sometimes_gray(pixels, labels, draws):
    gray = pixels.mean(dim=1, keepdim=True)
    return torch.where(draws.view(-1, 1, 1, 1) < 0.2, gray, pixels), labels


def configure(model, plan):
    return Optimization(
        optimizer=optim.Adam(model.parameters(), lr=1e-3, fused=True),
        learning_rate_factors=[1.0] * plan.total_steps,
        loss=functional.cross_entropy,
        augment=Augmentation(flip=True),
        transform=Transform(sometimes_gray, draws=1),
    )


@hookimpl
def benchmark_recipes():
    yield RecipeEntry("sometimes_gray", configure, "Adam, one image in five without colours")
