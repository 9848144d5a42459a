"""L-BFGS, which calls for loss and gradients as often as its line search wants."""

from torch import optim
from torch.nn import functional

from benchmark import Optimization, RecipeEntry, hookimpl


def configure(model, plan):
    optimizer = optim.LBFGS(model.parameters(), lr=0.5, max_iter=4, line_search_fn="strong_wolfe")
    return Optimization(
        optimizer=optimizer,
        learning_rate_factors=[1.0] * plan.total_steps,
        loss=functional.cross_entropy,
        update=optimizer.step,
    )


@hookimpl
def benchmark_recipes():
    yield RecipeEntry("lbfgs", configure, "L-BFGS, four iterations a step")
