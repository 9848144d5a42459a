"""Batches four times as large as those that there is memory for."""

from torch import optim
from torch.nn import functional

from benchmark import Optimization, RecipeEntry, hookimpl


def configure(model, plan):
    return Optimization(
        optimizer=optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        learning_rate_factors=[1 - step / plan.total_steps for step in range(plan.total_steps)],
        loss=functional.cross_entropy,
        accumulated_batches=4,
    )


@hookimpl
def benchmark_recipes():
    yield RecipeEntry("accumulated", configure, "SGD that moves after four batches")
