"""SGD with a learning rate that is halved when the loss falls no more."""

import math

from torch import optim
from torch.nn import functional

from benchmark import Optimization, RecipeEntry, hookimpl

PATIENCE = 2


def halved_on_plateaus(figures):
    factor, best, waited = 1.0, math.inf, 0
    for epoch in figures:
        loss = epoch.train_loss if epoch.validation_loss is None else epoch.validation_loss
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        if waited == PATIENCE:
            factor, waited = factor / 2, 0
    return factor


def configure(model, plan):
    return Optimization(
        optimizer=optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        learning_rate_factors=[1.0] * plan.total_steps,
        loss=functional.cross_entropy,
        factor_after_epoch=halved_on_plateaus,
    )


@hookimpl
def benchmark_recipes():
    yield RecipeEntry("plateau", configure, "SGD, its learning rate halved on plateaus")
