"""The recipes of ``examples/recipes``, and trainings by them that take milliseconds."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from benchmark import RecipeEntry, TrainingPlan
from benchmark.training.training import Training
from tests.support.made_training import random_images

FOLDER = Path(__file__).parents[2] / "examples" / "recipes"
NAMES = sorted(file.stem for file in FOLDER.glob("*.py"))

IMAGES, BATCH_SIZE, CLASSES = 40, 4, 3
STEPS = IMAGES // BATCH_SIZE
EPOCHS = 6


def module_of(name: str) -> ModuleType:
    """The plugin, imported as a file's is."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entry_of(name: str) -> RecipeEntry:
    """What the plugin offers."""
    (entry,) = module_of(name).benchmark_recipes()
    assert entry.name == name
    return entry


def training_by(name: str, *, seed: int = 0) -> Training:
    """A training by an example of a model that it is for."""
    torch.manual_seed(seed)
    entry = entry_of(name)
    model = example_model(name)
    plan = TrainingPlan(EPOCHS, STEPS, BATCH_SIZE, entry.options(), CLASSES)
    images = random_images(IMAGES, classes=CLASSES)
    optimization = entry.configure(model, plan)
    return Training(model, optimization, images, BATCH_SIZE, "fp32", logits=entry.logits)


def example_model(name: str) -> nn.Module:
    """The example's own model, or a convolution with BatchNorm and dropout."""
    if name == "deep_supervision":
        model: nn.Module = module_of(name).TwoHeads((3, 8, 8), CLASSES)
        return model
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Linear(4 * 6 * 6, CLASSES),
    )
