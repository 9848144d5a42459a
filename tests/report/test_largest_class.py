"""A model that is not shown to beat always naming the largest class is marked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import CommandLine
from tests.support.tiny import write_tiny_run

DATA = """
import numpy
import torch
from torch import nn
from benchmark import DatasetEntry, Images, ImageSplits, ModelEntry, Options, hookimpl

class Choice(Options):
    rare: int = 10

def images(count, rare):
    labels = numpy.array([1] * rare + [0] * (count - rare))
    pixels = numpy.random.default_rng(count).integers(0, 99, (count, 3, 8, 8), numpy.uint8)
    pixels[:rare] += 150
    return Images(pixels, labels)

def load(data_directory, options):
    return ImageSplits(images(100, options.rare), images(100, options.rare), ("cat", "dog"))

class Blind(nn.Module):
    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.tensor([1.0, 0.0]))

    def forward(self, image):
        return self.bias.expand(len(image), 2) + 0 * image.flatten(1).sum(1, keepdim=True)

@hookimpl
def benchmark_datasets():
    yield DatasetEntry("unequal", load, options=Choice)

@hookimpl
def benchmark_models():
    yield ModelEntry("blind", lambda input_shape, num_classes: Blind())
"""


@pytest.fixture
def run(benchmark: CommandLine, tmp_path: Path) -> CommandLine:
    """Train a model that sees nothing, and one that does."""
    write_tiny_run(tmp_path)
    Path("unequal.py").write_text(DATA)
    return lambda *arguments: benchmark(
        *("run", "tiny.yaml", "-p", "tiny.py", "-p", "unequal.py", "-d", "unequal"),
        *("-m", "blind", "-m", "tiny", "--epochs", "8", "--seeds", "2"),
        *("--set", "recipe.learning_rate=0.05"),
        *arguments,
    )


def test_in_a_set_of_unequal_classes(run: CommandLine) -> None:
    result = run()
    lines = result.out.splitlines()
    rows = {line.split()[0]: line for line in lines if line.endswith(" ok")}
    blind, tiny = rows["blind"], rows["tiny"]
    assert "90.00" in blind
    assert " *" in blind
    assert " *" not in tiny
    assert (
        "The classes have 90 and 10 test images: always naming the largest would score 90.00 %; * "
        "is not shown to be better than that."
    ) in " ".join(lines)


def test_in_a_set_of_equal_classes(run: CommandLine) -> None:
    result = run("--set", "dataset.rare=50")
    shown = " ".join(result.out.split())
    assert "* is not shown to be better than always naming one class (50.00 %)." in shown
    assert "The classes have" not in shown


def test_programs_are_told_as_well(run: CommandLine) -> None:
    blind, tiny = json.loads(run("--format", "json").out)
    assert (blind["largest_class_share"], blind["beats_largest_class"]) == (0.9, False)
    assert tiny["beats_largest_class"] is True


def test_it_is_said_of_images_held_out_as_well(run: CommandLine) -> None:
    result = run("--set", "validation=20", "--set", "test=false")
    assert "The classes have 18 and 2 validation images" in " ".join(result.out.split())
