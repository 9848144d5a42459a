"""Images held out of the training set: what they judge, and when the test images are looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CommandLine, Result, only_error
from tests.support.tiny import write_tiny_run
from tests.support.trial_files import trial_record

# Its test images follow from an option, and nothing else does.
DATA = """
import numpy
from benchmark import DatasetEntry, Images, ImageSplits, Options, hookimpl

class Choice(Options):
    test_seed: int = 0
    copies: int = 0
    own: bool = False

def images(count, seed):
    random = numpy.random.default_rng(seed)
    labels = numpy.arange(count) % 10
    pixels = random.integers(0, 255, (count, 3, 8, 8), numpy.uint8)
    pixels[:, 0] = 25 * labels[:, None, None]
    return Images(pixels, labels)

def load(data_directory, options):
    train, test = images(120, 7), images(40, 100 + options.test_seed)
    test.pixels[: options.copies] = train.pixels[: options.copies]
    held = images(20, 5) if options.own else None
    return ImageSplits(train, test, tuple("abcdefghij"), held)

@hookimpl
def benchmark_datasets():
    yield DatasetEntry("made", load, options=Choice)
"""


@pytest.fixture
def train(benchmark: CommandLine) -> CommandLine:
    """Train one model with one seed on the data set above."""
    write_tiny_run(Path())
    Path("made.py").write_text(DATA)
    chosen = ("-p", "tiny.py", "-p", "made.py", "-d", "made")

    def call(*settings: str, out: str = "runs", seeds: str = "1") -> Result:
        settings = (
            settings if any("models" in s for s in settings) else ("models=[tiny]", *settings)
        )
        given = [word for setting in settings for word in ("--set", setting)]
        return benchmark("run", "tiny.yaml", *chosen, "--seeds", seeds, "--out", out, *given)

    return call


def without(epochs: list[dict[str, Any]], start: str) -> list[dict[str, Any]]:
    return [{k: v for k, v in epoch.items() if not k.startswith(start)} for epoch in epochs]


def test_every_epoch_is_judged_by_them_and_the_test_images_are_looked_at_once(
    train: CommandLine,
) -> None:
    result = train("validation=20", "epochs=3", "metrics=[accuracy, macro_f1]")
    assert result.code == 0
    record = trial_record("tiny")
    first, second, last = record["epochs"]
    for epoch in (first, second, last):
        assert 0 <= epoch["validation_accuracy"] <= 1
        assert epoch["validation_metrics"]["accuracy"] == epoch["validation_accuracy"]
        assert "macro_f1" in epoch["validation_metrics"]
    assert "test_accuracy" not in first
    assert "test_loss" not in second
    assert record["metrics"]["accuracy"]["value"] == last["test_accuracy"]
    assert (record["dataset"]["train_images"], record["dataset"]["validation_images"]) == (100, 20)
    assert "validation loss" in result.err
    assert result.err.count("test loss") == 1
    assert "100 training, 20 validation and 40 test images" in " ".join(result.out.split())


def test_a_share_is_held_out_and_is_part_of_the_protocol(train: CommandLine) -> None:
    train("validation=0.1")
    assert trial_record("tiny")["dataset"]["validation_images"] == 12
    train("validation=12")
    train("validation=13")
    train()
    assert len([*Path("runs").iterdir()]) == 3


def test_without_test_all_figures_are_of_the_images_held_out(train: CommandLine) -> None:
    result = train("validation=20", "test=false", seeds="2")
    assert result.code == 0
    shown = " ".join(result.out.split())
    assert "100 training and 20 validation images" in shown
    assert "Validation accuracy is that after the last epoch" in shown
    assert "interval over seeds and validation images" in shown
    assert "The test images were not looked at." in shown
    assert "test acc" not in shown
    record = trial_record("tiny")
    assert all("test_loss" not in epoch for epoch in record["epochs"])
    assert record["dataset"]["test_images"] == 0


def test_without_test_nothing_depends_on_the_test_images(
    train: CommandLine, benchmark: CommandLine
) -> None:
    settings = ("validation=20", "test=false")
    train(*settings)
    train(*settings, "dataset.test_seed=1", out="others")
    one, other = trial_record("tiny"), trial_record("tiny", out="others")
    assert one["dataset"]["fingerprint"] != other["dataset"]["fingerprint"]
    assert without(one["epochs"], "train_seconds") != []
    for key in ("correct", "metrics"):
        assert one[key] == other[key]
    (run,) = Path("runs").iterdir()
    (row,) = json.loads(benchmark("table", str(run), "--format", "json").out)
    assert row["test_accuracy"] is None
    assert row["accuracy"] == one["epochs"][-1]["validation_accuracy"]


def test_a_comparison_says_which_images_it_is_of(
    train: CommandLine, benchmark: CommandLine
) -> None:
    train("validation=20", "test=false", "models=[tiny, twin]", seeds="2")
    (run,) = Path("runs").iterdir()
    for row in json.loads(benchmark("compare", str(run), "--format", "json").out):
        assert row["test_accuracy"] is None
        assert 0 <= row["accuracy"] <= 1
    shown = " ".join(benchmark("compare", str(run)).out.split())
    assert "Differences of the validation accuracy after the last epoch" in shown
    assert "over seeds and validation images" in shown
    assert "test images" not in shown
    methods = " ".join(benchmark("compare", str(run), "--methods").out.split())
    assert "were judged by 20 images held out of the training set" in methods
    assert "were tested on" not in methods


def test_kept_weights_can_be_tested_when_the_choice_is_made(
    train: CommandLine, benchmark: CommandLine
) -> None:
    train("validation=20", "test=false")
    (run,) = Path("runs").iterdir()
    result = benchmark("evaluate", str(run), "--format", "json")
    (row,) = json.loads(result.out)
    assert row["images"] == "other"
    assert row["original_accuracy"] == trial_record("tiny")["epochs"][-1]["validation_accuracy"]


def test_the_trainings_are_the_same_with_and_without_the_test_images(train: CommandLine) -> None:
    train("validation=20", "epochs=3")
    train("validation=20", "epochs=3", "test=false", out="untested")
    one, other = trial_record("tiny"), trial_record("tiny", out="untested")
    for epoch, same in zip(one["epochs"], other["epochs"], strict=True):
        for key in ("train_loss", "validation_loss", "validation_accuracy"):
            assert epoch[key] == same[key]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (
            ("validation=0",),
            "--set validation: should be a number of images (1 or more), or a share",
        ),
        (("validation=1.5",), "--set validation: should be a number of images"),
        (("validation=true",), "--set validation: should be a number of images"),
        (("validation=many",), "--set validation: should be a number of images"),
        (("validation=111",), "111 of 120 training images cannot be held out"),
        (("test=false",), "test: false leaves no images to judge by; hold some out, as with"),
        (("validation=20", "test=false", "test_images=5"), "has no effect with test: false"),
        (("validation=20", "dataset.own=true"), "holds 20 images out itself; leave validation out"),
        (("dataset.duplicates=some",), "dataset.duplicates: should be keep or drop, got 'some'"),
    ],
)
def test_what_cannot_be_held_out_is_a_line(
    train: CommandLine, settings: tuple[str, ...], complaint: str
) -> None:
    assert complaint in only_error(train(*settings))
    assert not Path("runs").exists()


def test_a_data_set_can_hold_images_out_itself(train: CommandLine) -> None:
    assert train("dataset.own=true").code == 0
    record = trial_record("tiny")
    assert record["dataset"]["validation_images"] == 20
    assert "validation_accuracy" in record["epochs"][0]
    assert train("dataset.own=true", "test=false", out="untested").code == 0


def test_identical_images_are_told_and_the_remedy_removes_them(train: CommandLine) -> None:
    result = train("dataset.copies=3")
    line = (
        "benchmark: data set 'made': 3 training images are also test images (training image 1 of "
        "class 'a' is test image 1 of class 'a'); --set dataset.duplicates=drop removes them from "
        "training"
    )
    assert line in result.err.splitlines()
    assert trial_record("tiny")["dataset"]["train_images"] == 120
    result = train("dataset.copies=3", "dataset.duplicates=drop", out="dropped")
    assert "also test images" not in result.err
    dataset = trial_record("tiny", out="dropped")["dataset"]
    assert (dataset["train_images"], dataset["duplicates"]) == (117, "drop")
    # The same command again, and the run's own config, mean the same.
    (run,) = Path("dropped").iterdir()
    assert "0 to train" in train("dataset.copies=3", "dataset.duplicates=drop", out="dropped").err
    assert [*Path("dropped").iterdir()] == [run]
