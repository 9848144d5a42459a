"""Data sets that wrap others: chosen in a config, loaded, cached and told apart."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy
import pytest

from benchmark import DatasetEntry, Options, api
from benchmark.catalog.shelves import load_catalog
from benchmark.catalog.wrapping import dataset_identity
from benchmark.config.run_config import resolve_selection
from benchmark.datasets.loading import Dataset, load_dataset
from benchmark.protocol import Selection
from tests.conftest import CommandLine, Result, only_error
from tests.support.tiny import PLUGIN as TINY

PLAIN = """
import numpy
from benchmark import DatasetEntry, DatasetUnavailableError, Images, ImageSplits, Options, hookimpl

class PlainOptions(Options):
    shade: int
    count: int = 8
    is_there: bool = True

def identify(data_directory, options):
    return options.model_dump_json()

def load(data_directory, options):
    if not options.is_there:
        raise DatasetUnavailableError("plain: is not there", "draw it")
    half = Images(
        numpy.full((options.count, 3, 8, 8), options.shade, numpy.uint8),
        numpy.arange(options.count) % 2,
    )
    return ImageSplits(half, half, ("even", "odd"))

@hookimpl
def benchmark_datasets():
    yield DatasetEntry("plain", load, options=PlainOptions, identify=identify)
"""
# Two that darken test images: one whose results are cached, one whose results are not.
DARKER = """
from dataclasses import replace
from typing import Any
from benchmark import DatasetEntry, Images, Options, hookimpl

class DarkerOptions(Options):
    of: dict[str, Any] | None = None
    by: int = 2

class DefaultOptions(Options):
    images: dict[str, Any] = {"name": "plain", "shade": 30}

def load(data_directory, options, images):
    test = Images(images.test.pixels // getattr(options, "by", 2), images.test.labels)
    return replace(images, test=test)

def identify(data_directory, options):
    return "darker"

@hookimpl
def benchmark_datasets():
    yield DatasetEntry("darker", load, options=DarkerOptions, wraps="of")
    yield DatasetEntry("kept", load, options=DarkerOptions, identify=identify, wraps="of")
    yield DatasetEntry("ready", load, options=DefaultOptions, wraps="images")
"""
PLUGINS = ("-p", "plain.py", "-p", "darker.py")
SHADE_100 = {"name": "plain", "shade": 100}


@pytest.fixture(autouse=True)
def _plugins() -> None:
    Path("plain.py").write_text(PLAIN)
    Path("darker.py").write_text(DARKER)


def _load(name: str, **options: object) -> Dataset:
    load_catalog.cache_clear()
    shelf = load_catalog(("plain.py", "darker.py")).datasets
    selection = resolve_selection(shelf, name, options, {key: f"--set {key}" for key in options})
    return load_dataset(selection, shelf, Path("data"))


def _identity(selection: Selection) -> str:
    load_catalog.cache_clear()
    return dataset_identity(selection, load_catalog(("plain.py", "darker.py")).datasets)


# Loading.


def test_a_wrapper_gets_the_images_of_what_it_wraps_and_may_hand_them_on() -> None:
    wrapped = _load("plain", shade=100)
    dataset = _load("darker", of=SHADE_100)
    assert (dataset.splits.test.pixels == 50).all()
    assert (dataset.splits.train.pixels == 100).all()
    assert dataset.splits.classes == wrapped.splits.classes
    assert dataset.fingerprint != wrapped.fingerprint
    # As it was mapped from the cache of the other one, and not copied.
    train = dataset.splits.train.pixels
    assert isinstance(train, numpy.memmap)
    assert wrapped.cache is not None
    assert str(train.filename) == str((wrapped.cache / "train_pixels.npy").absolute())
    assert [*Path("data/decoded").iterdir()] == [wrapped.cache]


def test_a_wrapper_may_wrap_a_wrapper() -> None:
    dataset = _load("darker", of={"name": "darker", "by": 5, "of": SHADE_100})
    assert (dataset.splits.test.pixels == 10).all()


def test_options_of_what_is_wrapped_have_their_defaults() -> None:
    selection = _load("darker", of=SHADE_100).selection
    assert selection.options == {"of": {**SHADE_100, "count": 8, "is_there": True}, "by": 2}
    ready = _load("ready")
    assert ready.selection.options["images"]["count"] == 8
    assert (ready.splits.test.pixels == 15).all()


def test_what_a_wrapper_makes_is_cached_if_it_says_what_it_would_make() -> None:
    first = _load("kept", of=SHADE_100)
    assert first.cache is not None
    assert first.cache.name.startswith("kept-")
    assert _load("kept", of=SHADE_100).cache == first.cache
    # It says the same of all images, whatever it wraps.
    assert (first.splits.test.pixels == 50).all()
    other = _load("kept", of={"name": "plain", "shade": 60})
    assert (other.splits.test.pixels == 30).all()
    assert (_load("kept", of={"name": "kept", "of": SHADE_100}).splits.test.pixels == 25).all()


def test_other_code_of_what_is_wrapped_is_another_cache_identity_and_fingerprint() -> None:
    before = _load("kept", of=SHADE_100)
    identity = _identity(before.selection)
    Path("plain.py").write_text(PLAIN.replace("options.shade,", "options.shade + 100,"))
    after = _load("kept", of=SHADE_100)
    assert (after.splits.test.pixels == 100).all()
    assert after.cache != before.cache
    assert after.fingerprint != before.fingerprint
    assert _identity(after.selection) != identity


def test_the_identity_is_that_of_all_code_and_of_no_option() -> None:
    darker = Selection(name="darker", options={"of": SHADE_100})
    identity = _identity(darker)
    assert re.fullmatch("[0-9a-f]{12}", identity)
    other_options = {"of": {"name": "plain", "shade": 7}, "by": 3}
    assert _identity(Selection(name="darker", options=other_options)) == identity
    assert _identity(Selection(name="darker", options={"of": "synthetic"})) != identity
    assert _identity(Selection(name="kept", options={"of": SHADE_100})) != identity
    Path("darker.py").write_text(DARKER.replace('"by", 2', '"by", 3'))
    assert _identity(darker) != identity


# What is wrong with a selection, and where.


@pytest.mark.parametrize(
    ("written", "key", "said"),
    [
        ("{name: darker, of: plian}", "of", "unknown data set 'plian' - did you mean 'plain'?"),
        ("{name: darker, of: {name: plian}}", "of.name", "unknown data set 'plian' - did you"),
        ("{name: darker, of: {shade: 3}}", "of", "should be a name, or a mapping with a name and"),
        ("{name: darker, of: [plain]}", "of", "should be a name, or a mapping with a name and"),
        ("{name: darker, of: {name: 3}}", "of.name", "should be a name, got 3"),
        ("{name: darker, of: {name: plain, shade: x}}", "of.shade", "should be a valid integer"),
        ("{name: darker, of: {name: plain, shade: 1, cuont: 2}}", "of.cuont", "unknown key - did"),
        (
            "{name: darker, of: {name: darker, of: {name: plain, shade: 1, z: 2}}}",
            "of.of.z",
            "unknown key (data set 'plain' has shade, count, is_there)",
        ),
        ("{name: darker, fo: {name: plain}}", "fo", "unknown key (data set 'darker' has of, by)"),
    ],
)
def test_faults_of_what_is_wrapped_are_told_with_their_place(
    benchmark: CommandLine, written: str, key: str, said: str
) -> None:
    line = f"dataset:   {written}"
    Path("x.yaml").write_text(f"models: [baseline_cnn]\nepochs: 1\n{line}\n")
    column = line.rindex(f"{key.rpartition('.')[2]}:") + 1
    assert only_error(benchmark("run", "x.yaml", *PLUGINS)).startswith(
        f"benchmark: error: x.yaml:3:{column}: dataset.{key}: {said}"
    )


def test_all_faults_are_told_at_once(benchmark: CommandLine) -> None:
    result = benchmark(
        *("run", *PLUGINS, "-d", "darker", "--set", "dataset.of=plain", "--set", "dataset.by=x")
    )
    assert result.err.splitlines() == [
        "benchmark: error: --set dataset.of: dataset.of.shade: missing: "
        "--set dataset.of.shade=VALUE",
        "benchmark: error: --set dataset.by: should be a valid integer, got 'x'",
    ]


PREPARE = ("data", "prepare", "darker", *PLUGINS)
# Refused at last, so that nothing is trained.
RUN = ("run", *PLUGINS, "-d", "darker", "--batch-size", "10000", "-m", "baseline_cnn")
WRAPPED_TWICE = ("--set", "of=darker", "--set", "of.of=plain")


@pytest.mark.parametrize(
    ("arguments", "remedies"),
    [
        ((*PREPARE,), ["--set of=NAME", "--set of.shade=VALUE"]),
        ((*PREPARE, "--set", "of=plain"), ["--set of.shade=VALUE"]),
        ((*PREPARE, "--set", "of.name=plain"), ["--set of.shade=VALUE"]),
        ((*PREPARE, *WRAPPED_TWICE), ["--set of.of.shade=VALUE"]),
        ((*PREPARE, "--set", "of=darker"), ["--set of.of=NAME", "--set of.of.shade=VALUE"]),
        # Whichever is given first.
        ((*PREPARE, "--set", "of.shade=9", "--set", "of=plain"), []),
        ((*RUN,), ["--set dataset.of=NAME", "--set dataset.of.shade=VALUE"]),
        ((*RUN, "--set", "dataset.of={name: plain}"), ["--set dataset.of.shade=VALUE"]),
    ],
)
def test_what_is_missing_can_be_given_as_is_said(
    benchmark: CommandLine, arguments: tuple[str, ...], remedies: list[str]
) -> None:
    for remedy in remedies:
        assert re.search(rf"{re.escape(remedy)}(,|$)", only_error(benchmark(*arguments)))
        setting = remedy.removeprefix("--set ").replace("NAME", "plain").replace("VALUE", "9")
        arguments = (*arguments, "--set", setting)
    result = benchmark(*arguments)
    if arguments[0] == "data":
        assert (result.code, result.err) == (0, "")
    else:
        assert "batch_size 10000 is larger than the training set (8 images)" in result.err


def test_the_name_alone_is_enough_where_nothing_else_is_needed(benchmark: CommandLine) -> None:
    small = ("--set", "of.train_images=10", "--set", "of.test_images=10", "--set", "of.size=8")
    of_name = benchmark(*PREPARE, "--set", "of=synthetic", *small)
    given = "of={name: synthetic, train_images: 10, test_images: 10, size: 8}"
    assert of_name == benchmark(*PREPARE, "--set", given)
    assert of_name.code == 0


def test_where_what_is_wrapped_is_not_to_be_had_the_next_is_tried(benchmark: CommandLine) -> None:
    Path("x.yaml").write_text(
        "models: [baseline_cnn]\nepochs: 1\nbatch_size: 10000\ndataset:\n"
        "- {name: darker, of: {name: plain, shade: 1, is_there: false}}\n"
        "- {name: plain, shade: 2}\n"
    )
    result = benchmark("run", "x.yaml", *PLUGINS)
    assert "benchmark: plain: is not there; trying plain" in result.err


def test_an_entry_wraps_what_an_option_of_its_own_names() -> None:
    with pytest.raises(ValueError, match="'odd' wraps what its option 'off' names, and has no"):
        DatasetEntry("odd", print, options=Options, wraps="off")  # type: ignore[arg-type]
    entry = load_catalog(("plain.py", "darker.py")).datasets["darker"].entry
    assert entry.wraps == "of"


# A run of it.

CONFIG = """
dataset: {name: darker, of: {name: plain, shade: 100}}
models: [tiny]
epochs: 1
batch_size: 4
precision: fp32
device: cpu
"""
TRAIN = ("run", "wrapped.yaml", *PLUGINS, "-p", "tiny.py")


@pytest.fixture
def train(benchmark: CommandLine) -> CommandLine:
    Path("tiny.py").write_text(TINY)
    Path("wrapped.yaml").write_text(CONFIG)

    def call(*arguments: str) -> Result:
        load_catalog.cache_clear()
        return benchmark(*(arguments or TRAIN))

    return call


def test_a_run_is_of_the_code_of_what_is_wrapped_too(train: CommandLine) -> None:
    assert train().code == 0
    (run,) = Path("runs").iterdir()
    assert "1 of 1 trials completed earlier, 0 to train" in train("run", str(run)).err
    Path("plain.py").write_text(PLAIN.replace("options.shade,", "options.shade + 1,"))
    result = train()
    assert result.code == 0
    assert f"the code of data set darker has changed since {run}, which is kept" in result.err
    assert len([*Path("runs").iterdir()]) == 2


def test_a_trial_is_refused_where_the_code_of_what_is_wrapped_is_another(
    train: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out = api.carry_out

    def edit_and_carry_out(*arguments: Any) -> Any:
        Path("plain.py").write_text(f"{PLAIN}EDITED = 1")
        load_catalog.cache_clear()
        return carry_out(*arguments)

    monkeypatch.setattr(api, "carry_out", edit_and_carry_out)
    assert train().code == 1
    (file,) = Path("runs").rglob("trial.json")
    record = json.loads(file.read_text())
    assert record["status"] == "refused"
    assert re.search(r"data set 'darker' is (\w+), not (?!\1)\w+", record["reason"])
