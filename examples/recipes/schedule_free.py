"""Schedule-free SGD (Defazio et al., 2024); it needs ``pip install schedulefree``."""

from schedulefree import SGDScheduleFree
from torch.nn import functional

from benchmark import Optimization, RecipeEntry, hookimpl


def configure(model, plan):
    return Optimization(
        optimizer=SGDScheduleFree(model.parameters(), lr=0.5, warmup_steps=plan.steps_per_epoch),
        learning_rate_factors=[1.0] * plan.total_steps,
        loss=functional.cross_entropy,
    )


@hookimpl
def benchmark_recipes():
    yield RecipeEntry("schedule_free", configure, "SGD without a schedule")
