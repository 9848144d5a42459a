"""Trainings that were stopped and go on: from which checkpoint, with what state, or not at all.

The models and recipes stand in this file, which is the plugin that every run here loads.
"""

from __future__ import annotations

import errno
import functools
import json
import math
import os
import random
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn, optim
from torch.nn import functional

from benchmark import ModelEntry, Optimization, RecipeEntry, TrainingPlan, hookimpl
from benchmark.catalog.shelves import load_catalog
from benchmark.errors import StoreError
from benchmark.store.directory import RunDirectory
from benchmark.training import checkpoint
from benchmark.training.checkpoint import (
    NEWEST,
    PREVIOUS,
    Checkpoints,
    NotPlainError,
    require_plain,
)
from benchmark_plugins.trackers.log import TrialLog
from tests.conftest import CommandLine, Result
from tests.support import killing
from tests.support.sampling import examples
from tests.support.tiny import CONFIG, write_tiny_run

EPOCHS = 5
AFTER_EVERY_EPOCH = ("--set", "checkpoint_every=1")

Shape = tuple[int, int, int]


class Linear(nn.Module):
    def __init__(self, input_shape: Shape, num_classes: int) -> None:
        super().__init__()
        self.dense = nn.Linear(math.prod(input_shape), num_classes)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.dense(pixels.flatten(1))


class Restless(Linear):
    """Draws from every generator there is."""

    def forward(self, pixels: Tensor) -> Tensor:
        if not self.training:
            return super().forward(pixels)
        scale = random.uniform(0.5, 1.5) * numpy.random.uniform(0.5, 1.5)
        return super().forward(functional.dropout(pixels * torch.rand_like(pixels))) * scale


class Counting(Linear):
    """Has a buffer that its state_dict leaves out, and that its logits depend on."""

    def __init__(self, input_shape: Shape, num_classes: int) -> None:
        super().__init__(input_shape, num_classes)
        self.steps: Tensor
        self.register_buffer("steps", torch.zeros(()), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        self.steps += self.training
        return super().forward(pixels) * (1 + self.steps)


class Normalized(Linear):
    """Has BatchNorm's statistics, which a recipe may average."""

    def __init__(self, input_shape: Shape, num_classes: int) -> None:
        super().__init__(input_shape, num_classes)
        self.norm = nn.BatchNorm1d(num_classes)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.norm(super().forward(pixels))


class Filling(Linear):
    """Has a buffer that is empty until the first step."""

    def __init__(self, input_shape: Shape, num_classes: int) -> None:
        super().__init__(input_shape, num_classes)
        self.steps: Tensor | None
        self.register_buffer("steps", None)

    def forward(self, pixels: Tensor) -> Tensor:
        if self.training:
            self.steps = torch.ones(()) if self.steps is None else self.steps + 1
        return super().forward(pixels) * (1 if self.steps is None else self.steps)


class Changeable(nn.Module):
    """As wide as a file says: as a model is of which only what it imports was edited."""

    def __init__(self, input_shape: Shape, num_classes: int) -> None:
        super().__init__()
        width = int(Path("width").read_text())
        self.hidden = nn.Linear(math.prod(input_shape), width)
        self.dense = nn.Linear(width, num_classes)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.dense(self.hidden(pixels.flatten(1)).relu())


MODELS = {"restless": Restless, "counting": Counting, "normalized": Normalized}


@hookimpl
def benchmark_models() -> Iterator[ModelEntry]:
    for name, build in {**MODELS, "filling": Filling, "changeable": Changeable}.items():
        yield ModelEntry(name, build)


class MakesFolder:
    """Makes the folder "executed" when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, ("executed",)


def configure_hoarder(model: nn.Module, plan: TrainingPlan) -> Optimization:
    """A recipe whose optimiser keeps what is no plain data."""
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    optimizer.param_groups[0]["kept"] = MakesFolder()
    return Optimization(optimizer, [1.0] * plan.total_steps, functional.cross_entropy)


def configure_numpy(model: nn.Module, plan: TrainingPlan) -> Optimization:
    """A recipe that computes its learning rates with NumPy."""
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    factors = numpy.linspace(1, 0.1, plan.total_steps)
    return Optimization(optimizer, factors, functional.cross_entropy)  # type: ignore[arg-type]


@hookimpl
def benchmark_recipes() -> Iterator[RecipeEntry]:
    yield RecipeEntry("hoarder", configure_hoarder)
    yield RecipeEntry("numpy_rates", configure_numpy)


# What the tests call and read.

Train = Callable[..., Result]


@pytest.fixture
def train(benchmark: CommandLine, tmp_path: Path) -> Train:
    """Train one model of this file with one seed, for five epochs of four steps."""
    config = tmp_path / "tiny.yaml"
    text = CONFIG.replace("seeds: 2", "seeds: 1").replace("epochs: 2", "epochs: 5")
    config.write_text(f"{text}checkpoint_every: 1\n")
    plugins = ("-p", __file__, *killing.CHOSEN)

    def call(model: str, *arguments: str) -> Result:
        return benchmark("run", str(config), *plugins, "-m", model, *arguments)

    return call


@contextmanager
def interrupted_after(epoch: int, model: str = "") -> Iterator[None]:
    """Interrupt a trial (of ``model``, where given) when that epoch has ended."""

    def interrupt(log: TrialLog, ended: Any) -> None:
        if ended.number == epoch and log.trial and model in ("", log.trial.model):
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrialLog, "on_epoch_end", interrupt)
        yield


@contextmanager
def killed_before_the_record() -> Iterator[None]:
    def kill(directory: RunDirectory, record: Any) -> NoReturn:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunDirectory, "write_record", kill)
        yield


def trial_folder(out: str = "runs") -> Path:
    (folder,) = Path(out).glob("*/trials/*/*/seed-0")
    return folder


def record(out: str = "runs") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((trial_folder(out) / "trial.json").read_text())
    return content


def figures(out: str = "runs") -> dict[str, Any]:
    """All that a trial came to, but for times."""
    found = record(out)
    times = ("train_seconds", "evaluation_seconds", "timed")
    epochs = [{k: v for k, v in epoch.items() if k not in times} for epoch in found["epochs"]]
    weights = (trial_folder(out) / killing.DIGEST).read_text()
    return {"epochs": epochs, "correct": found["correct"], "weights": weights}


def timed(out: str = "runs") -> list[bool]:
    return [epoch["timed"] for epoch in record(out)["epochs"]]


def contents(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def epochs_told(result: Result) -> int:
    return len(re.findall(r"epoch \d+/\d+ .* loss ", result.err))


# What goes on as if it had not been stopped.


@pytest.mark.parametrize("recipe", ["adam", "sgd_onecycle"])
@pytest.mark.parametrize("model", MODELS)
def test_a_training_that_goes_on_ends_as_one_that_was_never_stopped(
    train: Train, model: str, recipe: str
) -> None:
    train(model, "-r", recipe, "--out", "undisturbed")
    with interrupted_after(2):
        assert train(model, "-r", recipe).code == 130
    with interrupted_after(3):
        assert train(model, "-r", recipe).code == 130
    result = train(model, "-r", recipe)
    assert result.code == 0, result.err
    assert epochs_told(result) == 2
    assert figures() == figures("undisturbed")
    assert timed() == [True, True, False, False, True]
    assert (record()["resumed"], record()["warnings"]) == (2, [])
    assert not list(trial_folder().glob("*.pt"))


def test_a_buffer_that_was_empty_at_first_is_restored(train: Train) -> None:
    train("filling", "--out", "undisturbed")
    with interrupted_after(2):
        train("filling")
    train("filling")
    assert record()["resumed"] == 1
    assert figures() == figures("undisturbed")


def test_checkpoints_are_as_far_apart_as_the_config_says(train: Train) -> None:
    every_second = ("--set", "checkpoint_every=2")
    train("restless", *every_second, "--out", "undisturbed")
    with interrupted_after(3):
        train("restless", *every_second)
    result = train("restless", *every_second)
    assert epochs_told(result) == 3
    assert timed() == [True, True, False, True, True]
    assert figures() == figures("undisturbed")


@pytest.mark.parametrize("every", ["1", "2", "9"])
def test_a_training_that_had_ended_trains_nothing_more(train: Train, every: str) -> None:
    setting = ("--set", f"checkpoint_every={every}")
    train("normalized", "-r", "sgd_onecycle", *setting, "--out", "undisturbed")
    with killed_before_the_record():
        train("normalized", "-r", "sgd_onecycle", *setting)
    assert not (trial_folder() / "trial.json").exists()
    result = train("normalized", "-r", "sgd_onecycle", *setting)
    assert epochs_told(result) == 0
    assert figures() == figures("undisturbed")
    assert timed() == [True] * EPOCHS
    assert record()["resumed"] == 1


def test_a_recipe_may_compute_its_learning_rates_with_numpy(train: Train) -> None:
    with interrupted_after(2):
        train("normalized", "-r", "numpy_rates")
    train("normalized", "-r", "numpy_rates")
    assert (record()["resumed"], record()["warnings"]) == (1, [])


# What has changed, and cannot go on.


@contextmanager
def another_number_of_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


RECIPE = """
from torch import optim
from torch.nn import functional
from benchmark import Optimization, RecipeEntry, hookimpl

def configure(model, plan):
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    return Optimization(optimizer, [1.0] * plan.total_steps, functional.cross_entropy)

@hookimpl
def benchmark_recipes():
    yield RecipeEntry("mine", configure)
"""


def edit(file: str, before: str, after: str) -> None:
    text = Path(file).read_text()
    assert before in text
    Path(file).write_text(text.replace(before, after))
    load_catalog.cache_clear()


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("tiny.py", "nn.Flatten(), ", "nn.Flatten(), nn.Identity(), "),
        ("mine.py", "lr=0.1", "lr=0.2"),
    ],
)
def test_edited_code_begins_anew_and_when_the_edit_is_undone_what_was_begun_goes_on(
    benchmark: CommandLine, tmp_path: Path, file: str, before: str, after: str
) -> None:
    arguments = [
        *write_tiny_run(tmp_path),
        *AFTER_EVERY_EPOCH,
        "--seeds",
        "1",
        "-p",
        "mine.py",
        "-r",
        "mine",
    ]
    Path("mine.py").write_text(RECIPE)
    with interrupted_after(1, "twin"):
        assert benchmark(*arguments).code == 130
    begun = contents(Path("runs"))
    edit(file, before, after)
    result = benchmark(*arguments)
    assert (result.code, epochs_told(result)) == (0, 4)
    assert "goes on after epoch" not in result.err
    kept = contents(Path("runs"))
    assert {path for path in begun if kept[path] != begun[path]} <= {
        *Path().glob("runs/*/run.json")
    }
    edit(file, after, before)
    again = benchmark(*arguments)
    assert (again.code, epochs_told(again)) == (0, 1)
    assert "twin, seed 0: goes on after epoch 1 of 2" in again.err


def test_a_training_that_cannot_go_on_as_it_began_is_refused_and_nothing_is_lost(
    benchmark: CommandLine, tmp_path: Path
) -> None:
    arguments = [*write_tiny_run(tmp_path), *AFTER_EVERY_EPOCH, "--seeds", "1"]
    with interrupted_after(1, "twin"):
        assert benchmark(*arguments).code == 130
    before = contents(Path("runs"))
    with another_number_of_threads():
        result = benchmark(*arguments)
        assert (result.code, result.out) == (2, "")
        (refusal,) = result.err.splitlines()
        begun = rf"\S+/twin/\w{{12}}/seed-0/{NEWEST}: the training cannot go on as it began"
        assert re.match(rf"benchmark: error: {begun}: threads was \d+, is \d+; ", refusal)
        assert refusal.endswith("put it back as it was, or start over with --fresh")
        assert contents(Path("runs")) == before

        fresh = benchmark(*arguments, "--fresh")
        assert fresh.code == 0
        assert epochs_told(fresh) == 4


def test_an_edit_of_what_a_plugin_imports_from_its_package_begins_anew(
    benchmark: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [*write_tiny_run(tmp_path), *AFTER_EVERY_EPOCH, "--seeds", "1"]
    package = tmp_path / "packaged"
    package.mkdir()
    code = Path("tiny.py").read_text()
    (package / "plugin.py").write_text(f"from packaged import layers\n{code}")
    (package / "layers.py").write_text("WIDTH = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    arguments = [
        "packaged.plugin" if argument.endswith("tiny.py") else argument for argument in arguments
    ]
    with interrupted_after(1, "twin"):
        assert benchmark(*arguments).code == 130
    edit("packaged/layers.py", "1", "2")
    result = benchmark(*arguments)
    assert (result.code, epochs_told(result)) == (0, 4)


def test_a_model_with_other_tensors_is_refused_and_nothing_is_lost(train: Train) -> None:
    Path("width").write_text("4")
    with interrupted_after(2):
        train("changeable")
    before = {name: (trial_folder() / name).read_bytes() for name in (NEWEST, PREVIOUS)}
    Path("width").write_text("5")
    result = train("changeable")
    assert (result.code, result.out) == (2, "")
    refusal = result.err.splitlines()[-1]
    assert re.match(
        r"benchmark: error: \S+/changeable/\w{12}/seed-0: the model or the recipe ", refusal
    )
    assert re.search(r"checkpoint: hidden.weight was \(4, \d+\), is \(5, \d+\); ", refusal)
    assert refusal.endswith("put it back as it was, or start over with --fresh")
    assert {name: (trial_folder() / name).read_bytes() for name in before} == before
    Path("width").write_text("4")
    assert epochs_told(train("changeable")) == EPOCHS - 2


def test_what_is_put_back_as_it_was_goes_on(benchmark: CommandLine, tmp_path: Path) -> None:
    arguments = [*write_tiny_run(tmp_path), *AFTER_EVERY_EPOCH, "--seeds", "1"]
    with interrupted_after(1, "twin"):
        benchmark(*arguments)
    with another_number_of_threads():
        assert benchmark(*arguments).code == 2
    assert epochs_told(benchmark(*arguments)) == 1


# Checkpoints that are damaged.

CHECKPOINTS = {"seed": "0", "model": "a model of a plugin", "threads": "2"}


def content(epoch: int) -> dict[str, Any]:
    return {"epoch": epoch, "training": {"weights": torch.arange(20.0) * epoch}}


@contextmanager
def two_checkpoints() -> Iterator[Checkpoints]:
    """A folder of a checkpoint of epoch 2 and of the one before."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder), CHECKPOINTS)
        checkpoints.save(content(1))
        checkpoints.save(content(2))
        yield checkpoints


@functools.cache
def size_of_the_head() -> int:
    with two_checkpoints() as checkpoints:
        return (checkpoints.folder / NEWEST).read_bytes().index(b"\n")


@functools.cache
def size_of_a_checkpoint() -> int:
    with two_checkpoints() as checkpoints:
        return (checkpoints.folder / NEWEST).stat().st_size


def flip(file: Path, position: int, mask: int) -> None:
    damaged = bytearray(file.read_bytes())
    damaged[position] ^= mask
    file.write_bytes(damaged)


def load(checkpoints: Checkpoints) -> tuple[int | None, list[str]]:
    """The epoch of the checkpoint that is read, and what was warned of."""
    warnings: list[str] = []
    loaded = checkpoints.load(warnings.append)
    if loaded is None:
        return None, warnings
    assert torch.equal(loaded["training"]["weights"], torch.arange(20.0) * loaded["epoch"])
    return loaded["epoch"], warnings


def test_the_newest_checkpoint_is_read() -> None:
    with two_checkpoints() as checkpoints:
        assert load(checkpoints) == (2, [])


@settings(deadline=None, max_examples=examples(50))
@given(st.data(), st.integers(1, 255))
def test_a_flipped_byte_of_a_checkpoints_payload_leaves_the_one_before(
    data: st.DataObject, mask: int
) -> None:
    position = data.draw(st.integers(size_of_the_head() + 1, size_of_a_checkpoint() - 1))
    with two_checkpoints() as checkpoints:
        flip(checkpoints.folder / NEWEST, position, mask)
        warning = f"{NEWEST} is left out: it is cut short or altered: its checksum does not match"
        assert load(checkpoints) == (1, [warning])


@settings(deadline=None, max_examples=examples(200))
@given(st.data(), st.integers(1, 255))
def test_a_flipped_byte_of_a_checkpoints_head_leaves_the_one_before(
    data: st.DataObject, mask: int
) -> None:
    position = data.draw(st.integers(0, size_of_the_head()))
    with two_checkpoints() as checkpoints:
        flip(checkpoints.folder / NEWEST, position, mask)
        epoch, warnings = load(checkpoints)
        # A space may have become a tab, and nothing is damaged.
        assert (epoch, len(warnings)) in [(1, 1), (2, 0)]


@settings(deadline=None, max_examples=examples(50))
@given(st.data())
def test_a_checkpoint_that_is_cut_short_leaves_the_one_before(data: st.DataObject) -> None:
    size = data.draw(st.integers(0, size_of_a_checkpoint() - 1))
    with two_checkpoints() as checkpoints:
        newest = checkpoints.folder / NEWEST
        newest.write_bytes(newest.read_bytes()[:size])
        epoch, warnings = load(checkpoints)
        assert epoch == 1
        assert len(warnings) == 1


def test_a_kill_while_a_damaged_checkpoint_is_replaced_leaves_the_sound_one() -> None:
    with two_checkpoints() as checkpoints, pytest.MonkeyPatch.context() as patch:
        flip(checkpoints.folder / NEWEST, -1, 1)
        # As every process does before it trains.
        assert load(checkpoints)[0] == 1
        patch.setattr(checkpoint, "write_atomically", full)
        with pytest.raises(StoreError):
            checkpoints.save(content(2))
        assert load(checkpoints)[0] == 1


def test_a_checkpoint_runs_no_code() -> None:
    with two_checkpoints() as checkpoints:
        # Only somebody else's program writes such a one.
        checkpoints.save({**content(3), "more": MakesFolder()})
        epoch, warnings = load(checkpoints)
    assert epoch == 2
    assert warnings == [f"{NEWEST} is left out: it holds more than plain data and tensors"]
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (numpy.float64(1), "more is a float64"),
        ({"a": [1, (2, {3})]}, r"more.a[1][1] is a set"),
        ({MakesFolder(): 1}, "more is a MakesFolder"),
    ],
)
def test_what_could_not_be_read_back_is_named(more: Any, complaint: str) -> None:
    require_plain(content(3))
    with pytest.raises(NotPlainError, match=f"^{re.escape(complaint)}$"):
        require_plain({**content(3), "more": more})


def test_a_training_goes_on_from_the_checkpoint_before_a_damaged_one(train: Train) -> None:
    train("restless", "--out", "undisturbed")
    with interrupted_after(3):
        train("restless")
    flip(trial_folder() / NEWEST, -1, 1)
    result = train("restless")
    assert epochs_told(result) == 3
    assert figures() == figures("undisturbed")
    warning = f"{NEWEST} is left out: it is cut short or altered: its checksum does not match"
    assert record()["warnings"] == [warning]
    lines = result.err.splitlines()
    told = [index for index, line in enumerate(lines) if warning in line]
    assert [lines[index] for index in told] == [f"benchmark: restless, seed 0: {warning}"]
    # At once, and not only with the trial's record.
    assert told[0] < next(index for index, line in enumerate(lines) if "epoch 3/" in line)
    assert timed() == [True, True, False, True, True]


def test_a_training_whose_checkpoints_are_all_damaged_starts_over(train: Train) -> None:
    train("restless", "--out", "undisturbed")
    with interrupted_after(3):
        train("restless")
    flip(trial_folder() / NEWEST, -1, 1)
    (trial_folder() / PREVIOUS).write_bytes(b"")
    assert epochs_told(train("restless")) == EPOCHS
    assert figures() == figures("undisturbed")
    assert [warning.split()[0] for warning in record()["warnings"]] == [NEWEST, PREVIOUS]
    assert timed() == [True] * EPOCHS
    assert record()["resumed"] == 0


def test_what_was_warned_of_is_in_the_record_of_a_training_stopped_once_more(train: Train) -> None:
    with interrupted_after(3):
        train("restless")
    flip(trial_folder() / NEWEST, -1, 1)
    with interrupted_after(4):
        train("restless")
    train("restless")
    assert [warning.split()[0] for warning in record()["warnings"]] == [NEWEST]


@pytest.mark.parametrize("every", ["1", "null"])
def test_an_optimiser_that_keeps_an_object_is_trained_without_checkpoints(
    train: Train, every: str
) -> None:
    arguments = ("normalized", "-r", "hoarder", "--set", f"checkpoint_every={every}")
    with interrupted_after(2):
        train(*arguments)
    assert not (trial_folder() / NEWEST).exists()
    result = train(*arguments)
    assert result.code == 0
    assert epochs_told(result) == EPOCHS
    warning = (
        "no checkpoint can be written, because not all is plain data: "
        "training.optimizers[0].param_groups[0].kept is a MakesFolder"
    )
    assert record()["warnings"] == [warning]
    # Who means to stop it later hears of it after the first epoch.
    assert result.err.index(warning) < result.err.index("epoch 2/")
    assert not Path("executed").exists()


# Disks that refuse, and folders that are left behind.


def full(path: Path, content: bytes | memoryview) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_fills_up_keeps_the_checkpoint_before(train: Train) -> None:
    train("restless", "--out", "undisturbed")
    with interrupted_after(2):
        train("restless")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "write_atomically", full)
        result = train("restless")
    assert (result.code, result.out) == (2, "")
    path = trial_folder().absolute() / NEWEST
    refusal = (
        f"benchmark: error: {path}: cannot be written: No space left on device (the disk is full); "
        f"make room in {path.parent}, and the same command resumes from the checkpoint"
    )
    assert [line for line in result.err.splitlines() if "error" in line] == [refusal]
    assert not (trial_folder() / "trial.json").exists()
    assert epochs_told(train("restless")) == 3
    assert figures() == figures("undisturbed")


def test_a_kill_after_the_record_leaves_no_checkpoint(train: Train) -> None:
    with interrupted_after(2):
        train("restless")
    left = trial_folder() / NEWEST
    shutil.copy(left, "kept.pt")
    train("restless")
    shutil.copy("kept.pt", left)
    assert epochs_told(train("restless")) == 0
    assert not left.exists()


def test_a_trial_that_starts_over_begins_with_an_empty_folder(train: Train) -> None:
    train("restless")
    (trial_folder() / "trial.json").write_text("{")
    (trial_folder() / "made_by_a_plugin.txt").touch()
    assert epochs_told(train("restless")) == EPOCHS
    assert not (trial_folder() / "made_by_a_plugin.txt").exists()
