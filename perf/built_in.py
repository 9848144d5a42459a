"""The built-in models and recipes by name, for images of 3 x 32 x 32 in ten classes."""

from __future__ import annotations

from torch import nn

from benchmark import ModelEntry, Optimization, TrainingPlan
from benchmark.catalog import load_catalog
from perf.random_images import CLASSES, SIDE

MODELS = ("baseline_cnn", "separable_cnn")
RECIPES = ("adam", "sgd_onecycle")
SHAPE = (3, SIDE, SIDE)


def build_model(name: str, *, dropout: float = 1.0) -> nn.Module:
    """Build a model whose rates of dropout are multiplied by ``dropout``."""
    entry: ModelEntry = load_catalog().models[name].entry
    assert entry.options is not None
    options = entry.options.from_mapping({"dropout": dropout})
    model: nn.Module = entry.build(SHAPE, len(CLASSES), options)
    return model


def configure(
    recipe: str, model: nn.Module, *, epochs: int, steps_per_epoch: int, batch_size: int
) -> Optimization:
    """Have a recipe say how ``model`` is trained, with the recipe's own options."""
    entry = load_catalog().recipes[recipe].entry
    options = entry.options.from_mapping({})
    plan = TrainingPlan(epochs, steps_per_epoch, batch_size, options, len(CLASSES))
    optimization: Optimization = entry.configure(model, plan)
    return optimization
