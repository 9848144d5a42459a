"""Trackers are chosen by name, see what is promised, change nothing, and hold nothing up."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn

from benchmark import ModelEntry, Options, Run, Tracker, TrackerEntry, hookimpl
from benchmark.catalog import load_catalog
from benchmark.datasets import load_dataset
from benchmark.protocol import Selection
from benchmark.store.directory import RunDirectory
from benchmark.trial import Trackers, call_thread
from tests.conftest import CommandLine, Result, only_error
from tests.support.tiny import CONFIG
from tests.support.trial_files import figures, trial_folder, trial_record

EPOCHS = 3
EVENTS = Path("events.txt")


class Model(nn.Module):
    """Draws random numbers, has statistics, and tells from its buffer what it was given."""

    def __init__(self, input_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        self.dense = nn.Linear(192, 8)
        self.norm = nn.BatchNorm1d(8)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(8, num_classes)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.head(self.dropout(self.norm(self.dense(pixels.flatten(1))).relu()))


def build_broken(input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    raise ValueError("no such model")


@hookimpl
def benchmark_models() -> Iterator[ModelEntry]:
    yield ModelEntry("model", Model)
    yield ModelEntry("broken", build_broken)


class FolderOptions(Options):
    folder: str = "given"
    interrupts: bool = False


class Notes(Tracker):
    """Notes every call, with the thread and where it is asked for."""

    def __init__(self, options: FolderOptions) -> None:
        self.options = options
        self.thread = threading.get_ident()
        # Must be used by the thread that opened it.
        self.connection = sqlite3.connect(":memory:")
        self.note(f"create {options.folder}")

    def note(self, event: str) -> None:
        assert threading.get_ident() == self.thread
        self.connection.execute("SELECT 1")
        with EVENTS.open("a") as file:
            file.write(f"{event}\n")

    def on_run_start(self, run: Any) -> None:
        assert self.trial is None
        assert (run.path / "run.json").exists()
        assert isinstance(run, Run)
        self.note(f"run start {len(run.records)}")

    def on_trial_start(self, trial: Any, model: nn.Module, epochs_done: int) -> None:
        assert trial == self.trial
        self.note(f"start {trial.model} {epochs_done} {type(model).__name__}")

    def on_epoch_end(self, epoch: Any) -> None:
        self.note(f"epoch {epoch.number}")
        if self.options.interrupts and epoch.number == 2:
            raise KeyboardInterrupt

    def on_trial_end(self, record: Any, model: nn.Module) -> None:
        assert not model.training
        self.note(f"end {record.status}")
        self.connection.close()

    def on_trial_error(self, error: BaseException) -> None:
        assert self.trial is not None
        self.note(f"error {self.trial.model} {type(error).__name__}")
        self.connection.close()

    def on_run_end(self, run: Any) -> None:
        self.note(f"run end {len(run.records)}")
        self.connection.close()


class Duck:
    """No subclass of anything's, with one method."""

    def __init__(self, options: Options) -> None:
        del options

    def on_epoch_end(self, epoch: Any) -> None:
        with EVENTS.open("a") as file:
            file.write(f"duck {epoch.number}\n")


class Evaluates(Tracker):
    """Writes down what the model that it is given makes of the test images."""

    def __init__(self, options: Options) -> None:
        del options

    def on_trial_end(self, record: Any, model: nn.Module) -> None:
        assert self.trial is not None
        spec = self.trial
        catalog = load_catalog(spec.plugins)
        images = load_dataset(spec.dataset, catalog.datasets, spec.data_directory).splits.test
        with torch.no_grad():
            pixels = torch.from_numpy(images.pixels).float().div_(255)
            loss = nn.functional.cross_entropy(model(pixels), torch.from_numpy(images.labels))
        (spec.directory / "loss.txt").write_text(str(float(loss)))


class Meddles(Tracker):
    """Does all that must not matter, whenever it can."""

    def __init__(self, options: Options) -> None:
        del options
        self.model: Any = None
        self.meddle()

    def meddle(self) -> None:
        torch.rand(3), numpy.random.rand(3), torch.manual_seed(7)
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        if self.model is not None:
            self.model.eval()
            self.model.head.requires_grad_(False)
            self.model.norm.register_buffer("running_mean", torch.zeros(8))
            self.model.half()

    def on_run_start(self, run: Any) -> None:
        self.meddle()

    def on_trial_start(self, trial: Any, model: nn.Module, epochs_done: int) -> None:
        self.model = model
        self.meddle()

    def on_epoch_end(self, epoch: Any) -> None:
        self.meddle()


class Rewrites(Tracker):
    """Changes the model's weights after the first epoch, and is not asked after the second."""

    def __init__(self, options: Options) -> None:
        del options
        self.model: Any = None

    def on_trial_start(self, trial: Any, model: nn.Module, epochs_done: int) -> None:
        self.model = model

    def on_epoch_end(self, epoch: Any) -> None:
        assert epoch.number == 1
        with torch.no_grad():
            self.model.head.weight.mul_(1.01)


class HangOptions(Options):
    method: str


class Hangs(Tracker):
    """Never returns from one of its methods."""

    def __init__(self, options: HangOptions) -> None:
        self.options = options
        self.pass_by("create")

    def pass_by(self, method: str) -> None:
        with EVENTS.open("a") as file:
            file.write(f"{method}\n")
        if method == self.options.method:
            torch.set_default_dtype(torch.float64)
            threading.Event().wait()

    def on_run_start(self, run: Any) -> None:
        self.pass_by("on_run_start")

    def on_trial_start(self, trial: Any, model: nn.Module, epochs_done: int) -> None:
        self.pass_by("on_trial_start")

    def on_epoch_end(self, epoch: Any) -> None:
        self.pass_by("on_epoch_end")

    def on_trial_end(self, record: Any, model: nn.Module) -> None:
        self.pass_by("on_trial_end")

    def on_run_end(self, run: Any) -> None:
        self.pass_by("on_run_end")


class Prints(Tracker):
    """Writes to standard output."""

    def __init__(self, options: Options) -> None:
        del options

    def on_run_start(self, run: Any) -> None:
        print("begins")

    def on_epoch_end(self, epoch: Any) -> None:
        print("goes on")


def create_never(options: Options) -> Tracker:
    raise AssertionError("it was not chosen")


@hookimpl
def benchmark_trackers() -> Iterator[TrackerEntry]:
    yield TrackerEntry("notes", Notes, "notes", FolderOptions)
    yield TrackerEntry("duck", Duck)
    yield TrackerEntry("evaluates", Evaluates)
    yield TrackerEntry("meddles", Meddles)
    yield TrackerEntry("rewrites", Rewrites)
    yield TrackerEntry("hangs", Hangs, options=HangOptions)
    yield TrackerEntry("prints", Prints)
    yield TrackerEntry("never", create_never)


# What the tests call and read.

Train = Callable[..., Result]


@pytest.fixture
def train(benchmark: CommandLine) -> Train:
    """Train the model of this file for three epochs of four steps."""
    Path("tiny.yaml").write_text(
        CONFIG.replace("seeds: 2", "seeds: 1").replace("epochs: 2", f"epochs: {EPOCHS}")
    )

    def call(*arguments: str, models: tuple[str, ...] = ("model",)) -> Result:
        chosen = [part for model in models for part in ("-m", model)]
        return benchmark("run", "tiny.yaml", "-p", __file__, *chosen, *arguments)

    return call


def events() -> list[str]:
    """What was noted since this was last asked."""
    found = EVENTS.read_text().splitlines()
    EVENTS.unlink()
    return found


def warnings(out: str = "runs") -> list[str]:
    found: list[str] = trial_record("model", out=out)["warnings"]
    return found


WHOLE = ["start model 0 Model", *(f"epoch {n + 1}" for n in range(EPOCHS)), "end completed"]


# The choice.


def test_trackers_are_chosen_in_the_config_and_on_the_command_line(train: Train) -> None:
    with Path("tiny.yaml").open("a") as config:
        config.write("trackers: [duck, {name: notes, folder: there}]\n")
    assert train().code == 0
    assert [event for event in events() if event.startswith("create")] == ["create there"] * 2
    assert not (trial_folder("model") / "log.txt").exists()
    config = json.loads(next(Path("runs").glob("*/run.json")).read_text())["config"]
    notes = {"name": "notes", "options": {"folder": "there", "interrupts": False}}
    assert config["trackers"] == [{"name": "duck", "options": {}}, notes]

    assert train("--fresh", "--tracker", "duck", "--tracker", "log").code == 0
    assert events() == [f"duck {n + 1}" for n in range(EPOCHS)]
    log = (trial_folder("model") / "log.txt").read_text()
    assert "model, seed 0: 3 epochs of 4 steps on synthetic, recipe adam, cpu, fp32" in log
    assert "completed after" in log

    assert train("--fresh", "--set", "trackers=[{name: notes, folder: here}]").code == 0
    assert events()[0] == "create here"
    assert train("--fresh", "--set", "trackers=[]").code == 0
    assert not EVENTS.exists()
    assert not (trial_folder("model") / "log.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--tracker", "noted"], "--tracker: unknown tracker 'noted' - did you mean 'notes'?"),
        (["--tracker", "log", "--tracker", "log"], "--tracker: tracker 'log' is chosen twice"),
        (
            ["--set", "trackers=[log, {name: notes, foldr: x}]"],
            "--set trackers: trackers[1].foldr: unknown key - did you mean 'folder'?",
        ),
        (["--set", "trackers=[log, {folder: x}]"], "--set trackers: should be a name, or a "),
        (["--set", "trackers=3"], "--set trackers: should be a name, or a mapping with a name"),
        (["--set", "trackers=[hangs]"], "--set trackers: trackers[0].method: missing"),
        (["--set", "trackers.folder=x"], "give the list as a whole (--set trackers=[...])"),
    ],
)
def test_a_wrong_choice_is_refused_where_it_stands(
    train: Train, arguments: list[str], fault: str
) -> None:
    assert fault in only_error(train(*arguments))


def test_a_fault_in_a_config_has_its_place(train: Train) -> None:
    with Path("tiny.yaml").open("a") as config:
        config.write("trackers: [log, log]\n")
    error = only_error(train())
    assert error.endswith("tiny.yaml:10:17: trackers[1]: tracker 'log' is chosen twice")


def test_trackers_are_listed(benchmark: CommandLine) -> None:
    result = benchmark("list", "trackers", "-p", __file__)
    assert {line.split()[1] for line in result.out.splitlines()[2:]} >= {"log", "notes", "never"}
    (row,) = (line.split() for line in benchmark("plugins").out.splitlines() if line[:4] == "log ")
    assert row[-3:] == ["trackers", "1", "loaded"]


def test_without_the_log_a_worker_is_captured_all_the_same(train: Train) -> None:
    assert train("--executor", "local", "--tracker", "prints").code == 0
    assert (trial_folder("model") / "log.txt").read_text() == "goes on\n" * EPOCHS


# What they see.


def test_a_tracker_sees_a_run_and_its_trials_from_one_thread(train: Train) -> None:
    assert train("--tracker", "notes", models=("model", "broken")).code == 1
    create, first, *others, last = events()
    assert (create, first, last) == ("create given", "run start 0", "run end 2")
    assert others == ["create given", *WHOLE, "create given", "error broken ModelError"]


def test_an_interrupted_run_has_its_end_told_once_and_resumes(train: Train) -> None:
    every_epoch = ("--set", "checkpoint_every=1")
    interrupts = ("--set", "trackers=[{name: notes, interrupts: true}]")
    assert train(*every_epoch, *interrupts).code == 130
    assert events()[-3:] == ["epoch 2", "error model KeyboardInterrupt", "run end 1"]
    assert train(*every_epoch, "--tracker", "notes").code == 0
    started = events()[2:]
    assert started == [
        "create given",
        "start model 2 Model",
        "epoch 3",
        "end completed",
        "run end 1",
    ]


@pytest.mark.parametrize("recipe", ["adam", "sgd_onecycle"])
def test_at_its_end_a_trial_shows_the_model_that_was_evaluated(train: Train, recipe: str) -> None:
    arguments = ("-r", recipe, "--tracker", "evaluates")

    def assert_evaluated() -> None:
        loss = float((trial_folder("model") / "loss.txt").read_text())
        assert loss == pytest.approx(trial_record("model")["epochs"][-1]["test_loss"], rel=1e-6)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunDirectory, "write_record", _interrupt)
        assert train(*arguments).code == 130
    (trial_folder("model") / "loss.txt").unlink()
    # Only the record is left to be made: no epoch has laid out images to calibrate on.
    assert train(*arguments).code == 0
    assert trial_record("model")["resumed"] == 1
    assert_evaluated()
    assert train(*arguments, "--fresh").code == 0
    assert_evaluated()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_a_tracker_prints_is_not_among_the_table(train: Train) -> None:
    result = train("--tracker", "prints", "--format", "json")
    assert result.code == 0
    json.loads(result.out)
    assert "begins\n" in result.err
    assert result.err.count("goes on\n") == EPOCHS


# What they must not do.


@pytest.mark.parametrize("recipe", ["adam", "sgd_onecycle"])
def test_a_tracker_that_meddles_changes_no_training(train: Train, recipe: str) -> None:
    before = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
    assert train("-r", recipe, "--out", "alone").code == 0
    result = train("-r", recipe, "--tracker", "meddles")
    assert result.code == 0
    assert figures(trial_record("model")) == figures(trial_record("model", out="alone"))
    assert (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()) == before
    tensors = "the model's dense.weight, dense.bias, norm.weight and 5 more"
    assert f"tracker meddles changed {tensors} in on_epoch_end; put back" in warnings()
    changed = "changed the default dtype from torch.float32 to torch.float64 in"
    assert f"tracker meddles {changed} on_trial_start; put back" in warnings()
    assert f"benchmark: tracker meddles {changed} on_run_start; put back\n" in result.err
    assert not [warning for warning in warnings() if "is dropped" in warning]


def test_a_tracker_that_writes_into_the_model_is_dropped_and_named(train: Train) -> None:
    assert train("--tracker", "rewrites").code == 0
    assert warnings() == [
        "tracker rewrites is dropped: on_epoch_end: it changed values of the model's head.weight, "
        "which stay so; a tracker only looks on"
    ]


@pytest.mark.parametrize(
    "method", ["create", "on_run_start", "on_trial_start", "on_epoch_end", "on_trial_end"]
)
def test_a_tracker_that_hangs_is_left_once(
    train: Train, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_thread, "LONGEST_CALL_SECONDS", 0.25)
    trackers = f"trackers=[duck, {{name: hangs, method: {method}}}]"
    result = train("--set", trackers)
    assert result.code == 0
    line = f"tracker hangs is dropped: {method}: it did not return within 0.25 s"
    said = {
        "create": [f"benchmark: {line}", f"benchmark: model, seed 0: {line}"],
        "on_run_start": [f"benchmark: {line}"],
    }.get(method, [f"benchmark: model, seed 0: {line}"])
    assert [found for found in result.err.splitlines() if "is dropped" in found] == said
    assert warnings().count(line) == (method != "on_run_start")
    noted = events()
    # Once in each process that creates one.
    assert noted.count(method) == (2 if method == "create" else 1)
    assert [event for event in noted if "duck" in event] == [f"duck {n + 1}" for n in range(EPOCHS)]
    assert torch.get_default_dtype() == torch.float32


def test_a_tracker_that_a_machine_lacks_is_dropped() -> None:
    said: list[str] = []
    with Trackers(said.append) as trackers:
        trackers.create(load_catalog(), [Selection(name="loq"), Selection(name="log")])
        assert trackers.want("on_epoch_end")
    assert said == [
        "tracker loq is dropped: create: UnknownNameError: unknown tracker 'loq' - did you mean "
        "'log'?"
    ]


def test_a_call_that_was_interrupted_is_not_waited_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(call_thread, "LONGEST_INTERRUPTED_SECONDS", 0.25)
    # A process in the background may have been told to ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread, stuck = call_thread.CallThread("stuck"), threading.Event()

    def press_and_hang() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        stuck.wait()

    try:
        with pytest.raises(KeyboardInterrupt):
            thread.call(press_and_hang)
    finally:
        signal.signal(signal.SIGINT, before)
    with pytest.raises(call_thread.EndlessCallError, match="the call before did not return"):
        thread.call(print)
    stuck.set()
    assert thread.call(lambda: threading.current_thread().name) == "stuck"


def test_a_run_that_only_looks_up_earlier_trials_is_told_too(train: Train) -> None:
    train("--tracker", "notes")
    events()
    assert train("--tracker", "notes").code == 0
    assert events() == ["create given", "run start 1", "run end 1"]
