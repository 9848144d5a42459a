"""Models, recipes and trackers that fail in a run: a row with its reason, and the run goes on.

The faulty ones stand in this file, which is the plugin that every run here loads (-p FILE).
"""

from __future__ import annotations

import itertools
import json
import math
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim
from torch.nn import functional

from benchmark import (
    ModelEntry,
    Optimization,
    Options,
    RecipeEntry,
    Tracker,
    TrackerEntry,
    TrainingPlan,
    hookimpl,
)
from tests.conftest import CommandLine, Result
from tests.support.tiny import CONFIG

PLUGIN = "test_trial_faults (no distribution)"
STEPS = 4
EPOCHS = 2

Shape = tuple[int, int, int]


class Linear(nn.Module):
    """A model that works; others break it."""

    def __init__(self, input_shape: Shape, num_classes: int) -> None:
        super().__init__()
        self.dense = nn.Linear(math.prod(input_shape), num_classes)
        self.steps = itertools.count(1)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.dense(pixels.flatten(1))

    def count_step(self) -> int:
        """Which training step this is, from 1; 0 when evaluated."""
        return next(self.steps) if self.training else 0


def build_raises(input_shape: Shape, num_classes: int) -> nn.Module:
    raise RuntimeError("no such layer\nand a second line")


def build_refuses(input_shape: Shape, num_classes: int) -> nn.Module:
    raise ValueError(f"needs larger images than {input_shape}")


def build_exits(input_shape: Shape, num_classes: int) -> nn.Module:
    sys.exit(3)


def build_gives_no_module(input_shape: Shape, num_classes: int) -> Any:
    return "a model"


def build_without_parameters(input_shape: Shape, num_classes: int) -> nn.Module:
    return nn.Flatten()


def build_frozen(input_shape: Shape, num_classes: int) -> nn.Module:
    return Linear(input_shape, num_classes).requires_grad_(False)


def build_too_narrow(input_shape: Shape, num_classes: int) -> nn.Module:
    return Linear(input_shape, num_classes - 1)


class GivesPair(Linear):
    def forward(self, pixels: Tensor) -> Any:
        return super().forward(pixels), "and more"


class RaisesAtStepSeven(Linear):
    def forward(self, pixels: Tensor) -> Tensor:
        if self.count_step() == 7:
            raise ArithmeticError("seven")
        return super().forward(pixels)


class ExitsAtStepThree(Linear):
    def forward(self, pixels: Tensor) -> Tensor:
        if self.count_step() == 3:
            sys.exit("goodbye")
        return super().forward(pixels)


class NotANumberAtStepSeven(Linear):
    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(pixels) * (math.nan if self.count_step() == 7 else 1.0)


class InfiniteFromStepThree(Linear):
    def forward(self, pixels: Tensor) -> Tensor:
        logits = super().forward(pixels)
        # As large as floats go: the loss of a wrong answer is infinite.
        return logits * (math.inf if self.count_step() >= 3 else 1.0)


class NotANumberWhenEvaluated(Linear):
    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(pixels) * (1.0 if self.training else math.nan)


@dataclass(frozen=True)
class Fault:
    """A faulty model and what a trial of it says."""

    build: Callable[[Shape, int], nn.Module]
    reason: str
    error: str
    status: str = "failed"
    epochs: int = 0


FAULTS = {
    "build_raises": Fault(build_raises, "build raised RuntimeError: no such layer", "ModelError"),
    "build_refuses": Fault(
        build_refuses, "build raised ValueError: needs larger images than (3, 8, 8)", "ModelError"
    ),
    "build_exits": Fault(build_exits, "build raised SystemExit: 3", "ModelError"),
    "no_module": Fault(
        build_gives_no_module,
        "build returned a str, not a torch.nn.Module",
        "ModelError",
    ),
    "no_parameters": Fault(
        build_without_parameters,
        "the model has no parameters to train",
        "ModelError",
    ),
    "frozen": Fault(build_frozen, "the model has no parameters to train", "ModelError"),
    "too_narrow": Fault(
        build_too_narrow,
        "for 2 images the model should give 2 x 10 logits, not (2, 9)",
        "ModelError",
    ),
    "gives_pair": Fault(
        GivesPair,
        "for 2 images the model should give 2 x 10 logits, not tuple",
        "ModelError",
    ),
    "raises_midway": Fault(
        RaisesAtStepSeven, "ArithmeticError: seven", "ArithmeticError", epochs=1
    ),
    "exits_midway": Fault(ExitsAtStepThree, "SystemExit: goodbye", "SystemExit"),
    "nan_midway": Fault(
        NotANumberAtStepSeven,
        "the loss is not finite in epoch 2, step 3 of 4",
        "DivergedError",
        "diverged",
        epochs=1,
    ),
    "infinite": Fault(
        InfiniteFromStepThree,
        "the loss is not finite in epoch 1, step 3 of 4",
        "DivergedError",
        "diverged",
    ),
    "nan_evaluated": Fault(
        NotANumberWhenEvaluated,
        "the test loss is not finite after epoch 1",
        "DivergedError",
        "diverged",
    ),
}


# Models that are sound, whatever else they do.


class ReadsANumber(Linear):
    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(pixels) * (1.0 if pixels.mean().item() < 2 else 0.0)


class UsesNumpy(Linear):
    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(pixels + torch.from_numpy(pixels.numpy(force=True)))


class IndexesADict(Linear):
    def forward(self, pixels: Tensor) -> Tensor:
        scale = {"cpu": 1.0}[pixels.device.type]
        return super().forward(pixels) * scale


class AssertsItsDevice(Linear):
    def forward(self, pixels: Tensor) -> Tensor:
        assert not pixels.is_meta, "only real tensors"
        return super().forward(pixels)


class CannotBeCopied(Linear):
    def __init__(self, input_shape: Shape, num_classes: int) -> None:
        super().__init__(input_shape, num_classes)
        self.lock = threading.Lock()


class Lazy(nn.Sequential):
    def __init__(self, input_shape: Shape, num_classes: int) -> None:
        super().__init__(nn.Flatten(), nn.LazyLinear(num_classes))


class KeepsATensor(Linear):
    def forward(self, pixels: Tensor) -> Tensor:
        logits = super().forward(pixels)
        # Made at the first forward pass, as tables of positions often are.
        if not hasattr(self, "table"):
            self.table = torch.ones(1, logits.shape[1])
        return logits * self.table


UNUSUAL = {
    "reads_a_number": ReadsANumber,
    "uses_numpy": UsesNumpy,
    "indexes_a_dict": IndexesADict,
    "asserts_device": AssertsItsDevice,
    "cannot_be_copied": CannotBeCopied,
    "lazy": Lazy,
    "keeps_a_tensor": KeepsATensor,
}


@hookimpl
def benchmark_models() -> Iterator[ModelEntry]:
    yield ModelEntry("steady", Linear)
    yield ModelEntry("marked", type("Marked", (Linear,), {}))
    for name, fault in FAULTS.items():
        yield ModelEntry(name, fault.build)
    for name, build in UNUSUAL.items():
        yield ModelEntry(name, build)


def sound_optimization(model: nn.Module, plan: TrainingPlan, steps: int) -> Optimization:
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    return Optimization(optimizer, [1.0] * steps, functional.cross_entropy)


def faulty_for_marked(
    configure: Callable[[nn.Module, TrainingPlan], Any],
) -> Callable[[nn.Module, TrainingPlan], Optimization]:
    """A recipe that is at fault with one model and sound with all others."""

    def configure_all(model: nn.Module, plan: TrainingPlan) -> Optimization:
        if type(model).__name__ == "Marked":
            return configure(model, plan)
        return sound_optimization(model, plan, plan.total_steps)

    return configure_all


def configure_raises(model: nn.Module, plan: TrainingPlan) -> Optimization:
    raise RuntimeError("no such optimiser")


def loss_raises(logits: Tensor, labels: Tensor) -> Tensor:
    raise RuntimeError("no such loss")


def configure_bad_loss(model: nn.Module, plan: TrainingPlan) -> Optimization:
    return Optimization(optim.SGD(model.parameters(), lr=0.01), [1.0] * 8, loss_raises)


RECIPES = {
    "short": (
        lambda model, plan: sound_optimization(model, plan, plan.total_steps - 1),
        "recipe 'short' gave 7 learning rates for 8 steps",
    ),
    "long": (
        lambda model, plan: sound_optimization(model, plan, plan.total_steps + 1),
        "recipe 'long' gave 9 learning rates for 8 steps",
    ),
    "raises": (configure_raises, "RuntimeError: no such optimiser"),
    "exits": (lambda model, plan: sys.exit(3), "SystemExit: 3"),
    "bad_loss": (configure_bad_loss, "RuntimeError: no such loss"),
}


@hookimpl
def benchmark_recipes() -> Iterator[RecipeEntry]:
    for name, (configure, _) in RECIPES.items():
        yield RecipeEntry(name, faulty_for_marked(configure))


class Witness(Tracker):
    """Writes down what it is told."""

    def __init__(self, options: Options) -> None:
        pass

    def on_trial_start(self, trial: Any, model: nn.Module, epochs_done: int) -> None:
        self.note("start")

    def on_epoch_end(self, epoch: Any) -> None:
        self.note(f"epoch {epoch.number}")

    def on_trial_end(self, record: Any, model: nn.Module) -> None:
        self.note(f"end {record.status}")

    def on_trial_error(self, error: BaseException) -> None:
        self.note(f"error {type(error).__name__}")

    def note(self, event: str) -> None:
        assert self.trial is not None
        with (self.trial.directory / "witness.txt").open("a") as lines:
            lines.write(f"{event}\n")


@hookimpl
def benchmark_trackers() -> Iterator[TrackerEntry]:
    yield TrackerEntry("witness", Witness)


# What the tests call and read.

Train = Callable[..., Result]


@pytest.fixture
def train(benchmark: CommandLine, tmp_path: Path) -> Train:
    """Train models with this file as a plugin, for two epochs of four steps."""
    config = tmp_path / "tiny.yaml"
    config.write_text(CONFIG.replace("seeds: 2", "seeds: 1"))

    def call(*models: str, arguments: tuple[str, ...] = ()) -> Result:
        chosen = [part for model in models for part in ("-m", model)]
        trackers = ("--tracker", "log", "--tracker", "witness")
        return benchmark("run", str(config), "-p", __file__, *chosen, *trackers, *arguments)

    return call


def trial_file(model: str, name: str) -> Path:
    (file,) = Path("runs").glob(f"*/trials/{model}/*/seed-0/{name}")
    return file


def record_of(model: str) -> dict[str, Any]:
    return json.loads(trial_file(model, "trial.json").read_text())


def told(model: str, file: str = "witness.txt") -> list[str]:
    return trial_file(model, file).read_text().splitlines()


def status_of(model: str, table: str) -> str:
    (row,) = (line for line in table.splitlines() if line.split()[:1] == [model])
    return row.split()[-1]


ALL_WELL = ["start", "epoch 1", "epoch 2", "end completed"]


@pytest.mark.parametrize("model", FAULTS)
def test_a_faulty_model_is_a_row_with_its_reason_and_the_next_is_trained(
    train: Train, model: str
) -> None:
    fault = FAULTS[model]
    result = train(model, "steady")
    assert result.code == 1
    assert status_of(model, result.out) == fault.status
    assert status_of("steady", result.out) == "completed"
    assert f"benchmark: {model}, seed 0: {fault.status}: {fault.reason}\n" in result.err
    assert "Traceback" not in result.err
    record = record_of(model)
    assert (record["status"], record["reason"]) == (fault.status, fault.reason)
    assert len(record["epochs"]) == fault.epochs
    assert record["correct"] is None
    assert record_of("steady")["status"] == "completed"


@pytest.mark.parametrize("model", FAULTS)
def test_all_trackers_are_told_of_the_fault(train: Train, model: str) -> None:
    fault = FAULTS[model]
    train(model, "steady")
    log = trial_file(model, "log.txt").read_text()
    assert "Traceback (most recent call last):\n" in log
    assert fault.reason.rpartition(f"{fault.error}: ")[2] in log
    assert told(model)[-1] == f"error {fault.error}"
    assert told(model)[1 : fault.epochs + 1] == [f"epoch {n + 1}" for n in range(fault.epochs)]
    assert told("steady") == ALL_WELL


@pytest.mark.parametrize("format", ["json", "csv", "github"])
def test_a_faulty_model_is_in_every_format(train: Train, format: str) -> None:
    result = train("build_raises", "steady", arguments=("--format", format))
    assert result.code == 1
    assert "build_raises" in result.out
    assert "failed" in result.out


def test_a_failed_trial_is_not_trained_again_unasked(train: Train) -> None:
    train("build_raises", "steady")
    again = train("build_raises", "steady")
    assert again.code == 1
    assert status_of("build_raises", again.out) == "failed"
    assert told("build_raises") == ["error ModelError"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_that_fails_one_model_fails_that_trial_alone(train: Train, recipe: str) -> None:
    result = train("marked", "steady", arguments=("-r", recipe))
    assert result.code == 1
    assert status_of("marked", result.out) == "failed"
    assert status_of("steady", result.out) == "completed"
    record = record_of("marked")
    assert (record["status"], record["reason"]) == ("failed", RECIPES[recipe][1])
    assert "Traceback (most recent call last):\n" in trial_file("marked", "log.txt").read_text()
    assert told("marked")[-1].startswith("error ")
    assert told("steady") == ALL_WELL


@pytest.mark.parametrize("model", UNUSUAL)
def test_an_unusual_model_trains(train: Train, model: str) -> None:
    result = train(model)
    assert result.code == 0, result.err
    record = record_of(model)
    assert (record["status"], record["warnings"]) == ("completed", [])
    assert record["macs"] == 10 * 3 * 8 * 8


# Trackers that fail, each in a plugin of its own beside this one.

OBSERVER = """
from benchmark import Tracker, TrackerEntry, hookimpl

class Observer(Tracker):
    def __init__(self, is_faulty=True):
        self.is_faulty = is_faulty

    def note(self, event):
        file = self.trial.directory / ("faulty.txt" if self.is_faulty else "sound.txt")
        with file.open("a") as lines:
            lines.write(event + "\\n")
        if self.is_faulty and event == {event!r}:
            {fault}

    def on_trial_start(self, trial, model, epochs_done):
        self.note("on_trial_start")

    def on_epoch_end(self, epoch):
        self.note("on_epoch_end")

    def on_trial_end(self, record, model):
        self.note("on_trial_end")

    def on_trial_error(self, error):
        self.note("on_trial_error")

def create(options):
    {create}

@hookimpl
def benchmark_trackers():
    yield TrackerEntry("observer", create)
    yield TrackerEntry("sound", lambda options: Observer(is_faulty=False))
"""

EVENTS = ["on_trial_start", *["on_epoch_end"] * EPOCHS, "on_trial_end"]


@pytest.fixture
def observe(train: Train) -> Train:
    """Train with two more trackers, of which one is at fault."""

    def call(
        *models: str,
        event: str = "",
        fault: str = "raise RuntimeError('no')",
        create: str = "return Observer()",
    ) -> Result:
        Path("observer.py").write_text(OBSERVER.format(event=event, fault=fault, create=create))
        trackers = ("--tracker", "observer", "--tracker", "sound")
        return train(*models, arguments=("-p", "observer.py", *trackers))

    return call


def warnings_of(model: str) -> list[str]:
    return record_of(model)["warnings"]


@pytest.mark.parametrize(
    ("create", "cause"),
    [
        ("raise RuntimeError('no')", "RuntimeError: no"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("return 'a tracker'", "TypeError: gave a str where a Tracker is wanted"),
        ("return None", "TypeError: gave a NoneType where a Tracker is wanted"),
    ],
)
def test_a_tracker_that_cannot_be_created_is_dropped_with_a_warning(
    observe: Train, create: str, cause: str
) -> None:
    result = observe("steady", create=create)
    assert result.code == 0
    warning = f"tracker observer is dropped: create: {cause}"
    assert warnings_of("steady") == [warning]
    assert f"benchmark: steady, seed 0: {warning}\n" in result.err
    # In the run's own process, where it is created as well.
    assert f"benchmark: {warning}\n" in result.err
    assert told("steady") == ALL_WELL
    assert told("steady", "sound.txt") == EVENTS


@pytest.mark.parametrize(
    ("fault", "cause"),
    [("raise RuntimeError('no')", "RuntimeError: no"), ("raise SystemExit(3)", "SystemExit: 3")],
)
@pytest.mark.parametrize("event", ["on_trial_start", "on_epoch_end", "on_trial_end"])
def test_a_tracker_that_raises_is_dropped_and_the_trial_completes(
    observe: Train, event: str, fault: str, cause: str
) -> None:
    result = observe("steady", event=event, fault=fault)
    assert result.code == 0
    assert status_of("steady", result.out) == "completed"
    warning = f"tracker observer is dropped: {event}: {cause}"
    assert warnings_of("steady") == [warning]
    assert f"benchmark: steady, seed 0: {warning}\n" in result.err
    # What came before, and nothing after.
    assert told("steady", "faulty.txt") == EVENTS[: EVENTS.index(event) + 1]
    assert told("steady") == ALL_WELL
    assert told("steady", "sound.txt") == EVENTS


def test_a_tracker_that_raises_when_told_of_an_error_hides_no_reason(observe: Train) -> None:
    result = observe("build_raises", "steady", event="on_trial_error")
    assert result.code == 1
    record = record_of("build_raises")
    assert (record["status"], record["reason"]) == ("failed", FAULTS["build_raises"].reason)
    assert record["warnings"] == ["tracker observer is dropped: on_trial_error: RuntimeError: no"]
    assert told("build_raises") == ["error ModelError"]
    assert record_of("steady")["warnings"] == []
