"""The images drawn by code: the same everywhere, balanced, and hard enough to tell models apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import nn

from benchmark import TrainingPlan
from benchmark.catalog.shelves import load_catalog
from benchmark.datasets.images import fingerprint
from benchmark.datasets.loading import Dataset, load_dataset
from benchmark.entries import ImageSplits
from benchmark.protocol import Selection
from benchmark.training.clock import TimeAccount
from benchmark.training.data import ResidentImages
from benchmark.training.loop import train
from benchmark.training.precision import resolve_precision
from benchmark.training.training import Training
from benchmark_plugins.models.baseline_cnn import BaselineCNN
from benchmark_plugins.recipes.adam import AdamOptions, configure
from tests.conftest import CommandLine, Result
from tests.support.command_process import run
from tests.support.made_training import judge_by
from tests.support.sampling import is_drawn

CLASSES = 10
SMALL = {"train_images": 200, "test_images": 100, "size": 16}


def _load(data_directory: Path, **options: Any) -> Dataset:
    selection = Selection(name="synthetic", options=options)
    return load_dataset(selection, load_catalog().datasets, data_directory)


def _draw(**options: Any) -> ImageSplits:
    """Draw the images anew, whatever may be cached."""
    entry = load_catalog().datasets["synthetic"].entry
    return entry.load(Path("unused"), entry.options.from_mapping(options))


def _prepare(benchmark: CommandLine, **options: Any) -> Result:
    settings = (
        argument for key, value in options.items() for argument in ("--set", f"{key}={value}")
    )
    return benchmark("data", "prepare", "synthetic", *settings)


def test_defaults() -> None:
    options = load_catalog().datasets["synthetic"].entry.options()
    assert options.model_dump() == {
        "train_images": 10_000,
        "test_images": 2_000,
        "size": 32,
        "seed": 0,
    }


def test_same_options_give_the_same_images() -> None:
    assert fingerprint(_draw(**SMALL)) == fingerprint(_draw(**SMALL))


def test_every_machine_draws_the_same() -> None:
    assert fingerprint(_draw(**SMALL))[:16] == "0bbcb719099309bf"


def test_another_process_draws_the_same(benchmark: CommandLine, tmp_path: Path) -> None:
    here = _prepare(benchmark, **SMALL)
    settings = [f"--set={key}={value}" for key, value in SMALL.items()]
    command = ["data", "prepare", "synthetic", *settings, "--data-dir", str(tmp_path / "data")]
    # From nothing: with hashes and addresses of its own.
    there = run(*command, from_nothing=True)
    assert there.returncode == 0
    assert there.stdout == here.out
    assert there.stderr == ""


@pytest.mark.parametrize("change", [{"seed": 1}, {"size": 17}, {"train_images": 210}])
def test_other_options_give_other_images(change: dict[str, int]) -> None:
    assert fingerprint(_draw(**SMALL)) != fingerprint(_draw(**{**SMALL, **change}))


@pytest.mark.parametrize("size", [8, 32, 45])
def test_images_are_as_asked_for(tmp_path: Path, size: int) -> None:
    # More than one chunk, and a rest.
    splits = _load(tmp_path, train_images=1230, test_images=55, size=size, seed=3).splits
    assert splits.train.pixels.shape == (1230, 3, size, size)
    assert splits.test.pixels.shape == (55, 3, size, size)
    assert splits.train.pixels.dtype == numpy.uint8
    assert len(splits.classes) == CLASSES
    # Neither black nor white, and no image of one colour.
    assert 40 < splits.train.pixels.mean() < 215
    assert splits.train.pixels.reshape(1230, -1).std(1).min() > 5


def test_classes_are_balanced_and_in_no_order() -> None:
    splits = _draw(train_images=1000, test_images=105, size=8)
    assert (numpy.bincount(splits.train.labels) == 100).all()
    counts = numpy.bincount(splits.test.labels)
    assert sorted(counts) == [10] * 5 + [11] * 5
    # Sorted labels would show the first batches one class only.
    first = numpy.bincount(splits.train.labels[:200], minlength=CLASSES)
    assert first.min() >= 5


def test_no_image_is_there_twice() -> None:
    splits = _draw(train_images=1000, test_images=1000, size=16)
    images = [image.tobytes() for half in (splits.train, splits.test) for image in half.pixels]
    assert len(set(images)) == 2000


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("size", 7),
        ("size", 257),
        ("size", "large"),
        ("train_images", 9),
        ("test_images", 0),
        ("seed", -1),
        ("seed", "null"),
        ("colour", "red"),
    ],
)
def test_impossible_options_are_told_in_a_line(
    benchmark: CommandLine, key: str, value: object
) -> None:
    result = _prepare(benchmark, **{key: value})
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith("benchmark: error: --set ")
    assert key in line


def test_misspelt_option_is_guessed(benchmark: CommandLine) -> None:
    assert "did you mean 'train_images'?" in _prepare(benchmark, train_image=100).err


def test_one_line_on_stdout_and_none_on_stderr(benchmark: CommandLine) -> None:
    result = _prepare(benchmark, **SMALL)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("synthetic: ready (")
    assert len(result.out.splitlines()) == 1


# How hard it is, on a small version: eight thousand images, few epochs.

EPOCHS = 5


@pytest.fixture
def _one_thread() -> Iterator[None]:
    """Beside other tests, threads that wait for each other take far longer than one alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _accuracies(model: nn.Module, splits: ImageSplits) -> Iterator[float]:
    """Train with the recipe ``adam``; yield the test accuracy after each epoch."""
    device = torch.device("cpu")
    images = ResidentImages(splits.train, device)
    plan = TrainingPlan(EPOCHS, len(images) // 64, 64, AdamOptions(), num_classes=10)
    training = Training(
        model.to(memory_format=torch.channels_last),
        configure(model, plan),
        images,
        plan.batch_size,
        resolve_precision("auto", device),
    )
    test = ResidentImages(splits.test, device)
    for _, judgement in train(
        training,
        training.take,
        judge_by(test, training.precision),
        seed=0,
        epochs=range(1, EPOCHS + 1),
        account=TimeAccount(device),
    ):
        yield judgement.final.accuracy


@pytest.mark.usefixtures("_one_thread")
@pytest.mark.skipif(not is_drawn("calibration", one_in=8), reason="is not in this commit's sample")
def test_a_linear_classifier_stays_poor_where_the_baseline_soon_does_well() -> None:
    splits = _draw(train_images=8000, test_images=1000)
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, CLASSES))
    # Better than chance, but far from good, however long it is trained.
    assert 0.2 < max(_accuracies(linear, splits)) < 0.5
    assert any(accuracy > 0.85 for accuracy in _accuracies(BaselineCNN((3, 32, 32), 10), splits))
