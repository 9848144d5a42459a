"""Images that are normalised with CIFAR-10's mean and standard deviation."""

from torch import optim
from torch.nn import functional

from benchmark import Normalization, Optimization, RecipeEntry, hookimpl


def configure(model, plan):
    return Optimization(
        optimizer=optim.Adam(model.parameters(), lr=1e-3, fused=True),
        learning_rate_factors=[1.0] * plan.total_steps,
        loss=functional.cross_entropy,
        normalization=Normalization(
            mean=(0.4914, 0.4822, 0.4465), standard_deviation=(0.2470, 0.2435, 0.2616)
        ),
    )


@hookimpl
def benchmark_recipes():
    yield RecipeEntry("normalized", configure, "Adam, images normalised")
