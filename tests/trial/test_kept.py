"""What a completed trial keeps: predictions, weights, metrics; and what can be made of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from safetensors.torch import load_file

import benchmark as face
from benchmark.errors import StoreError
from benchmark.trial import keeping
from benchmark_plugins.datasets.synthetic import SyntheticOptions, load
from tests.conftest import CommandLine, Result, only_error
from tests.support import sound_models
from tests.support.command_process import run as command_process
from tests.support.trial_files import read_record, trial_folder

CONFIG = """
dataset: {name: synthetic, train_images: 64, test_images: 40, size: 8}
models: [separable_cnn]
recipe: sgd_onecycle
epochs: 2
batch_size: 16
precision: fp32
device: cpu
trackers: []
"""
SOUND = [
    name
    for name, build in sound_models.MODELS.items()
    if not name.startswith("gives_") and name != "opaque"
]


@pytest.fixture
def train(benchmark: CommandLine) -> CommandLine:
    """Train on tiny images."""
    Path("kept.yaml").write_text(CONFIG)
    return lambda *arguments: benchmark("run", "kept.yaml", *arguments)


def evaluated(benchmark: CommandLine, *arguments: str) -> list[dict[str, Any]]:
    result = benchmark("evaluate", str(*Path("runs").iterdir()), *arguments, "--format", "json")
    assert (result.code, result.err) == (0, "")
    return json.loads(result.out)


# Predictions


def test_the_class_given_to_each_image_is_kept_and_the_accuracy_is_worked_out_from_it(
    train: CommandLine,
) -> None:
    assert train("--seeds", "2").code == 0
    run = face.open_run(str(*Path("runs").iterdir()))
    options = SyntheticOptions(train_images=64, test_images=40, size=8)
    labels = load(Path(), options).test.labels
    for record in run.records:
        given = record.predictions
        assert given is not None
        assert (given.dtype, given.shape) == (numpy.uint8, (40,))
        assert record.correct_images is not None
        assert numpy.array_equal(given == labels, record.correct_images)
        assert (given == labels).mean() == record.test_accuracy
    folder = trial_folder("separable_cnn")
    first = run.records[0].predictions
    assert first is not None
    assert numpy.array_equal(numpy.load(folder / "predictions.npy"), first)


def test_predictions_that_were_changed_or_are_gone_are_an_error(train: CommandLine) -> None:
    train()
    (record,) = face.open_run(str(*Path("runs").iterdir())).records
    file = trial_folder("separable_cnn") / "predictions.npy"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(StoreError, match="was altered"):
        _ = record.predictions
    file.write_bytes(content + b"more")
    with pytest.raises(StoreError, match="too large"):
        _ = record.predictions
    file.unlink()
    with pytest.raises(StoreError, match="no longer there"):
        _ = record.predictions


# Weights


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:FutureWarning")
def test_the_weights_of_every_sound_model_give_the_original_predictions(
    train: CommandLine, benchmark: CommandLine
) -> None:
    chosen = [argument for name in SOUND for argument in ("-m", name)]
    plugin = ("-p", sound_models.__file__)
    result = train(*plugin, *chosen)
    assert result.code == 0, result.out
    run = str(*Path("runs").iterdir())
    result = benchmark("evaluate", run, *plugin, "--format", "json")
    assert result.code == 0
    assert "another class" not in result.err
    rows = json.loads(result.out)
    assert [row["model"] for row in rows] == SOUND
    assert {row["images"] for row in rows} == {"original"}
    assert all(row["difference"] == 0 for row in rows)


def test_what_is_kept_are_the_averaged_weights_and_the_calibrated_statistics(
    train: CommandLine,
) -> None:
    assert train().code == 0
    run = face.open_run(str(*Path("runs").iterdir()))
    model = run.model("separable_cnn", seed=0)
    assert not model.training
    images = torch.rand(4, 3, 8, 8)
    assert model(images).shape == (4, 10)
    file = trial_folder("separable_cnn") / "weights.safetensors"
    saved = load_file(file)
    expected = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    assert saved.keys() == expected.keys()
    assert all(torch.equal(saved[name], tensor) for name, tensor in expected.items())
    # BatchNorm's own count says that its statistics were measured on the whole batches of an epoch.
    assert {int(v) for k, v in saved.items() if k.endswith("num_batches_tracked")} == {4}


def test_extra_state_that_is_not_plain_costs_the_weights_and_a_line(
    train: CommandLine, benchmark: CommandLine
) -> None:
    result = train("-p", sound_models.__file__, "-m", "opaque")
    assert result.code == 0
    assert not (trial_folder("opaque") / "weights.safetensors").exists()
    (line,) = [line for line in result.err.splitlines() if "not kept" in line]
    assert "its weights are not kept: the model's extra state is not all plain data" in line
    again = benchmark("evaluate", str(*Path("runs").iterdir()), "-p", sound_models.__file__)
    assert again.code == 2
    assert "its weights are not kept" in again.err


def test_no_weights_are_kept_where_nobody_wants_them(
    train: CommandLine, benchmark: CommandLine
) -> None:
    result = train("--set", "keep_weights=false")
    assert "weights" not in result.err
    assert read_record(trial_folder("separable_cnn"))["weights_file"] is None
    again = benchmark("evaluate", str(*Path("runs").iterdir()))
    assert "'benchmark run' with --fresh and keep_weights: true trains it again" in again.err
    assert train("--fresh", "--set", "keep_weights=true").code == 0
    assert benchmark("evaluate", str(*Path("runs").iterdir())).code == 0


def test_a_run_says_beforehand_what_its_weights_will_take(train: CommandLine) -> None:
    lines = train("--seeds", "2").err.splitlines()
    (said,) = [line for line in lines if "the weights of 2 trials of separable_cnn" in line]
    assert lines.index(said) < next(i for i, line in enumerate(lines) if "epoch 1/2" in line)
    size = 2 * sum(
        t.numel() * t.element_size()
        for t in load_file(trial_folder("separable_cnn") / "weights.safetensors").values()
    )
    assert f"will take {size / 1024:.0f} KiB (" in said


def test_weights_are_no_longer_kept_when_little_of_the_disk_is_left(
    train: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(Path())
    # All that is free is what has to be left.
    monkeypatch.setattr(keeping, "MOST_BYTES_LEFT", usage.total)
    monkeypatch.setattr(keeping, "LEAST_SHARE_LEFT", 1.0)
    result = train()
    assert result.code == 0
    assert "its weights are not kept: only" in result.err
    record = read_record(trial_folder("separable_cnn"))
    assert (record["status"], record["weights_file"]) == ("completed", None)


def test_weights_are_counted_and_can_be_removed(train: CommandLine, benchmark: CommandLine) -> None:
    train()
    file = trial_folder("separable_cnn") / "weights.safetensors"
    size = f"{file.stat().st_size / 1024:.0f} KiB"
    assert size in benchmark("runs").out
    result = benchmark("runs", "clean", "--weights", "--yes")
    assert result.out.startswith(f"{size} of weights in runs/")
    assert not file.exists()
    assert (trial_folder("separable_cnn") / "predictions.npy").exists()
    again = benchmark("evaluate", str(*Path("runs").iterdir()))
    assert again.code == 2
    assert "is no longer there; 'benchmark run' with --fresh trains it again" in again.err


def test_weights_that_were_changed_are_refused(train: CommandLine, benchmark: CommandLine) -> None:
    train()
    file = trial_folder("separable_cnn") / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    result = benchmark("evaluate", str(*Path("runs").iterdir()))
    assert result.code == 2
    assert "was altered" in result.err


LINEAR = """
from torch import nn
from benchmark import ModelEntry, hookimpl

def build(input_shape, num_classes):
    channels, height, width = input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, num_classes))

@hookimpl
def benchmark_models():
    yield ModelEntry("mine", build)
"""


def test_a_model_whose_code_has_changed_is_refused_unless_forced(
    train: CommandLine,
) -> None:
    Path("mine.py").write_text(LINEAR)
    assert train("-p", "mine.py", "-m", "mine").code == 0
    run = str(*Path("runs").iterdir())
    Path("mine.py").write_text(LINEAR.replace("nn.Flatten()", "nn.Flatten(1)"))
    # Each in a process of its own, which has loaded no earlier code.
    result = command_process("evaluate", run)
    assert result.returncode == 2
    assert "mine, seed 0: the weights are of version" in result.stderr
    assert "the source of its plugin mine has changed; --force" in result.stderr
    assert command_process("evaluate", run, "--force").returncode == 0
    # Other weights than the model has now are refused all the same.
    Path("mine.py").write_text(LINEAR.replace("nn.Linear", "nn.Dropout(), nn.Linear"))
    result = command_process("evaluate", run, "--force")
    assert "the weights are not of this model" in result.stderr


def test_a_seed_or_a_row_that_is_not_there_is_a_line(train: CommandLine) -> None:
    train("--seeds", "2")
    run = face.open_run(str(*Path("runs").iterdir()))
    with pytest.raises(StoreError, match=r"no record of seed 7 \(there are: 0, 1\)"):
        run.model("separable_cnn", seed=7)
    with pytest.raises(StoreError, match="did you mean 'separable_cnn'"):
        run.model("seperable_cnn")


# On other images


def test_other_images_have_a_difference_with_an_interval(
    train: CommandLine, benchmark: CommandLine
) -> None:
    train("--seeds", "2")
    (row,) = evaluated(benchmark, "--set", "dataset.seed=1", "--set", "dataset.test_images=30")
    assert (row["images"], row["seeds"]) == ("other", [0, 1])
    assert row["difference"] == pytest.approx(row["accuracy"] - row["original_accuracy"])
    assert row["difference_low"] < row["difference"] < row["difference_high"]


def test_images_that_were_changed_one_by_one_are_paired(
    train: CommandLine, benchmark: CommandLine
) -> None:
    train("--seeds", "2")
    (row,) = evaluated(benchmark, "-d", "corrupted", "--set", "dataset.severity=5")
    assert row["images"] == "changed"
    assert row["difference_low"] <= row["difference"] <= row["difference_high"]
    # The run's own data set is wrapped, with its options; of another one nothing is paired.
    (row,) = evaluated(benchmark, "-d", "corrupted", "--set", "dataset.of.seed=1")
    assert row["images"] == "other"
    nested = "{name: corrupted, corruption: blur, of: {name: synthetic, train_images: 64, "
    nested += "test_images: 40, size: 8}}"
    (row,) = evaluated(benchmark, "-d", "corrupted", "--set", f"dataset.of={nested}")
    assert row["images"] == "changed"


CLASSES = """
import numpy
from benchmark import DatasetEntry, Images, ImageSplits, Options, hookimpl

class Choice(Options):
    classes: tuple[str, ...] = ("sun", "triangle")
    size: int = 8

def load(data_directory, options):
    labels = numpy.arange(40) % len(options.classes)
    random = numpy.random.default_rng(0)
    pixels = random.integers(0, 255, (40, 3, options.size, options.size), numpy.uint8)
    pixels[:, 0] = 20 * numpy.array([len(n) for n in options.classes])[labels][:, None, None]
    images = Images(pixels, labels)
    return ImageSplits(images, images, options.classes)

@hookimpl
def benchmark_datasets():
    yield DatasetEntry("chosen", load, options=Choice)
"""


@pytest.fixture
def trained(train: CommandLine, benchmark: CommandLine) -> CommandLine:
    """Evaluates models that were trained on a data set of two classes."""
    Path("chosen.py").write_text(CLASSES)
    Path("kept.yaml").write_text(
        CONFIG.replace(
            "{name: synthetic, train_images: 64, test_images: 40, size: 8}", "{name: chosen}"
        )
    )
    assert train("-p", "chosen.py", "--set", "epochs=8").code == 0

    def evaluate(*settings: str) -> Result:
        given = [word for setting in settings for word in ("--set", f"dataset.{setting}")]
        return benchmark("evaluate", str(*Path("runs").iterdir()), *given, "--format", "json")

    return evaluate


def test_classes_are_matched_by_name(trained: CommandLine) -> None:
    straight, reversed_order = (
        json.loads(trained(f"classes=[{names}]").out)[0]["accuracy"]
        for names in ("sun, triangle", "triangle, sun")
    )
    assert straight == pytest.approx(reversed_order, abs=0.3)
    assert straight > 0.6
    assert reversed_order > 0.6


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("classes=[sun, star]", "has classes that the models do not know: star (they know"),
        ("size=9", "has images of 3 x 9 x 9, and the models were trained on 3 x 8 x 8"),
        ("sise=9", "--set dataset.sise: unknown key - did you mean 'size'?"),
    ],
)
def test_images_that_do_not_fit_are_refused(
    trained: CommandLine, setting: str, complaint: str
) -> None:
    assert complaint in only_error(trained(setting))


# Metrics

METRICS = """
import torch
from benchmark import Column, MetricEntry, hookimpl

def raises(logits, labels):
    raise KeyError("no luck")

def spoils(logits, labels):
    logits.zero_()
    labels.zero_()
    return 1

@hookimpl
def benchmark_metrics():
    yield MetricEntry("spoils", "spoils", spoils, "lower")
    yield MetricEntry("raises", "raises", raises, "lower")
    yield MetricEntry("infinite", "infinite", lambda logits, labels: float("inf"), "lower")
    yield MetricEntry("many", "many", lambda logits, labels: logits, "lower")
    yield MetricEntry("text", "text", lambda logits, labels: "good", "lower")
    yield MetricEntry("counted", "n", lambda logits, labels: torch.tensor(len(labels)), "higher")

@hookimpl
def benchmark_columns():
    yield Column("twice", "twice", lambda summary: 2 * summary.metric("counted").mean)
"""


def test_metrics_are_columns_and_one_that_fails_costs_its_own(train: CommandLine) -> None:
    Path("more.py").write_text(METRICS)
    names = "accuracy, spoils, raises, infinite, many, text, counted, top5_accuracy"
    result = train("-p", "more.py", "--set", f"metrics=[{names}]", "--format", "json")
    assert result.code == 0
    (row,) = json.loads(result.out)
    assert row["accuracy"] == row["test_accuracy"]
    assert (row["counted"], row["twice"], row["spoils"]) == (40, 80, 1)
    assert 0 < row["top5_accuracy"] <= 1
    assert row["top5_accuracy"] >= row["accuracy"]
    for name, reason in {
        "raises": "KeyError: 'no luck'",
        "infinite": "it gave inf, not a finite number",
        "many": "it gave a Tensor of shape (40, 10), not a number",
        "text": "it gave a str, not a number",
    }.items():
        assert row[name] is None
        assert f"metric '{name}' is left out: {reason}" in result.err
        assert f"metric '{name}' has no figure for separable_cnn" in result.err


def test_a_metric_has_an_interval_in_every_format(
    train: CommandLine, benchmark: CommandLine
) -> None:
    chosen = ("--set", "metrics=[accuracy, negative_log_likelihood, calibration_error]")
    result = train("--seeds", "2", *chosen, "--format", "json")
    (row,) = json.loads(result.out)
    assert row["calibration_error_low"] < row["calibration_error"] < row["calibration_error_high"]
    low, mean, high = (row[f"negative_log_likelihood{end}"] for end in ("_low", "", "_high"))
    assert low < mean < high
    run = str(*Path("runs").iterdir())
    shown = benchmark("table", run).out
    assert "test images (calibration_error: seeds alone);" in " ".join(shown.split())
    assert f"{mean:.4g} ± " in shown
    assert "NLL" in shown
    named = benchmark("table", run, "--columns", "model,negative_log_likelihood,accuracy_low")
    assert named.code == 0
    assert benchmark("table", run, "--sort", "negative_log_likelihood").code == 0
    assert "did you mean 'negative_log_likelihood'" in only_error(
        benchmark("table", run, "--sort", "negative_log_likelyhood")
    )


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("[accurracy]", "unknown metric 'accurracy' - did you mean 'accuracy'?"),
        ("[accuracy, accuracy]", "metric 'accuracy' is chosen twice"),
        ("[3]", "should be a name, got 3"),
        ("{name: accuracy}", "should be a name, got {'name': 'accuracy'}"),
    ],
)
def test_metrics_that_there_are_not_are_refused(
    train: CommandLine, value: str, complaint: str
) -> None:
    assert complaint in only_error(train("--set", f"metrics={value}"))


def test_a_run_that_did_not_ask_for_a_metric_says_so_when_it_is_asked_for_later(
    train: CommandLine,
) -> None:
    train()
    result = train("--set", "metrics=[accuracy, macro_f1]")
    assert result.code == 0
    assert "metric 'macro_f1' has no figure for separable_cnn" in result.err
    assert "'benchmark run' with --fresh trains them again" in result.err
    again = train("--set", "metrics=[accuracy, macro_f1]", "--fresh")
    assert "no figure" not in again.err
