"""What a recipe cannot say ends as the trial's reason, in a line; what it can is kept and used."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
import torch

import benchmark as face
from benchmark.training.data import ResidentImages
from benchmark.training.preparation import as_floats
from benchmark_plugins.datasets.synthetic import SyntheticOptions, load
from tests.conftest import CommandLine
from tests.support.example_recipes import FOLDER
from tests.support.tiny import write_tiny_run
from tests.support.trial_files import trial_record

RECIPES = """
from torch import nn, optim
from torch.nn import functional
from torch.optim import lr_scheduler
from benchmark import Normalization, Optimization, RecipeEntry, Transform, hookimpl

def sgd(model, plan, **changes):
    given = {
        "optimizer": optim.SGD(model.parameters(), lr=0.1),
        "learning_rate_factors": [1.0] * plan.total_steps,
        "loss": functional.cross_entropy,
    }
    return Optimization(**given | changes)

def scheduler(model, plan):
    return sgd(model, plan, optimizer=lr_scheduler.StepLR(optim.SGD(model.parameters()), 3))

def lbfgs(model, plan):
    return sgd(model, plan, optimizer=optim.LBFGS(model.parameters()))

def other(model, plan):
    return sgd(model, plan, optimizer=optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1))

def sparse(model, plan):
    return sgd(model, plan, optimizer=optim.SparseAdam(model.parameters()))

def transform(model, plan):
    return sgd(model, plan, transform=Transform(lambda pixels, labels, draws: pixels))

def update(model, plan):
    return sgd(model, plan, update=lambda closure: None)

def channels(model, plan):
    return sgd(model, plan, normalization=Normalization([0.5] * 4, [0.5] * 4))

def factor(model, plan):
    return sgd(model, plan, factor_after_epoch=lambda figures: -figures[-1].epoch)

@hookimpl
def benchmark_recipes():
    for configure in (scheduler, lbfgs, other, sparse, transform, update, channels, factor):
        yield RecipeEntry(configure.__name__, configure)
"""


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (
            "scheduler",
            "ValueError: optimizer is a torch.optim.Optimizer or several, not a StepLR; schedules "
            "are given as numbers: learning_rate_factors, one a step, and factor_after_epoch for "
            "what follows from an epoch's figures",
        ),
        ("lbfgs", "ValueError: optimizer LBFGS needs a closure: give update=optimizer.step"),
        (
            "other",
            "optimizer SGD moves no parameter of the model: give it parameters of the model that "
            "configure is called with",
        ),
        (
            "sparse",
            "RuntimeError: SparseAdam does not support dense gradients, please consider Adam "
            "instead",
        ),
        (
            "transform",
            "the recipe's transform should return (pixels, labels), not float32 of 16 x 3 x 8 x 8",
        ),
        (
            "update",
            "the recipe's update returned without a call of its closure, which finds the "
            "gradients: call it once or more, as update=optimizer.step does",
        ),
        ("channels", "the recipe's normalization is of 4 channels, and the images have 3"),
        (
            "factor",
            "the recipe's factor_after_epoch gave -1 after epoch 1: a factor is a finite number "
            "that is not negative",
        ),
    ],
)
def test_what_a_recipe_cannot_say_is_the_trials_reason(
    benchmark: CommandLine, recipe: str, reason: str
) -> None:
    Path("recipes.py").write_text(RECIPES)
    arguments = (*write_tiny_run(Path()), "-p", "recipes.py", "-r", recipe)
    result = benchmark(*arguments, "-m", "tiny", "--seeds", "1")
    assert result.code == 1
    assert "Traceback" not in result.err
    record = trial_record("tiny")
    assert (record["status"], record["reason"]) == ("failed", reason)


def test_kept_weights_normalise_images_as_the_recipe_had_them() -> None:
    run = face.run(
        {
            "dataset": {"name": "synthetic", "train_images": 64, "test_images": 50, "size": 24},
            "models": ["separable_cnn"],
            "plugins": [str(FOLDER / "normalized.py")],
            "recipe": "normalized",
            "epochs": 2,
            "batch_size": 16,
            "seeds": 1,
            "device": "cpu",
            "precision": "fp32",
        }
    )
    (record,) = run.records
    model = run.model("separable_cnn")
    pixels = pixels_to_test(50)
    assert record.predictions is not None
    with torch.no_grad():
        assert numpy.array_equal(model(pixels).argmax(1), record.predictions)
        assert not torch.equal(model(pixels), model.get_submodule("model")(pixels))
    (row,) = run.evaluate().models
    assert row.accuracy.mean == record.test_accuracy


def pixels_to_test(count: int) -> torch.Tensor:
    options = SyntheticOptions(train_images=64, test_images=count, size=24)
    images = load(Path(), options).test
    return as_floats(ResidentImages(images, torch.device("cpu")).pixels)
