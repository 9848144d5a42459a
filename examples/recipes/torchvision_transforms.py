"""Transforms of torchvision's, for whole batches: colours that vary, and mixup."""

from torch import optim
from torch.nn import functional
from torchvision.transforms import v2

from benchmark import Optimization, RecipeEntry, Transform, hookimpl


def configure(model, plan):
    jitter = v2.ColorJitter(brightness=0.2, contrast=0.2)
    mixup = v2.MixUp(alpha=0.2, num_classes=plan.num_classes)
    return Optimization(
        optimizer=optim.Adam(model.parameters(), lr=1e-3, fused=True),
        learning_rate_factors=[1.0] * plan.total_steps,
        loss=functional.cross_entropy,
        transform=Transform(lambda pixels, labels, draws: mixup(jitter(pixels), labels)),
    )


@hookimpl
def benchmark_recipes():
    yield RecipeEntry("torchvision_transforms", configure, "Adam, torchvision's transforms")
