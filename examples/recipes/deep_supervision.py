"""A model with a second head that helps while it is trained, and the recipe that trains it."""

import math

from torch import nn, optim
from torch.nn import functional

from benchmark import ModelEntry, Optimization, RecipeEntry, hookimpl


class TwoHeads(nn.Module):
    def __init__(self, input_shape, num_classes):
        super().__init__()
        self.first = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), 32), nn.ReLU())
        self.helper = nn.Linear(32, num_classes)
        self.second = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, num_classes))

    def forward(self, pixels):
        hidden = self.first(pixels)
        logits = self.second(hidden)
        return {"logits": logits, "helper": self.helper(hidden)} if self.training else logits


def of_both_heads(outputs, labels):
    helper = functional.cross_entropy(outputs["helper"], labels)
    return functional.cross_entropy(outputs["logits"], labels) + 0.3 * helper


def configure(model, plan):
    return Optimization(
        optimizer=optim.Adam(model.parameters(), lr=1e-3, fused=True),
        learning_rate_factors=[1.0] * plan.total_steps,
        loss=of_both_heads,
    )


@hookimpl
def benchmark_models():
    yield ModelEntry("two_heads", TwoHeads, "dense layers, a second head while trained")


@hookimpl
def benchmark_recipes():
    yield RecipeEntry(
        "deep_supervision",
        configure,
        "Adam, a loss over both heads",
        logits=lambda outputs: outputs["logits"],
    )
