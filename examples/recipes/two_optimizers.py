"""SGD for matrices and convolutions, Adam for biases and the scales of normalisation layers."""

from torch import optim
from torch.nn import functional

from benchmark import Optimization, RecipeEntry, hookimpl


def configure(model, plan):
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    return Optimization(
        optimizer=(
            optim.SGD(weights, lr=0.1, momentum=0.9, fused=True),
            optim.Adam(others, lr=1e-3, fused=True),
        ),
        learning_rate_factors=[1 - step / plan.total_steps for step in range(plan.total_steps)],
        loss=functional.cross_entropy,
    )


@hookimpl
def benchmark_recipes():
    yield RecipeEntry("two_optimizers", configure, "SGD for weights, Adam for all else")
