"""Where a trial's time went: measured against sleeps of known length, and added up.

On a clock that only sleeps move, every figure is known exactly; the rest here is on the real one.
The models stand in this file, which is the plugin that every run here loads.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, strategies as st
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
from benchmark.training import checkpoint_writer, clock
from benchmark.training.clock import Clock, TimeAccount
from benchmark.training.host_copies import HostCopies
from benchmark_plugins.trackers.log import TrialLog
from tests.conftest import CommandLine
from tests.support.tiny import CONFIG

CPU = torch.device("cpu")
EPOCHS = 4
STEPS = 4
PARTS = ("setup", "compile", "capture", "training", "evaluation", "checkpoint", "reporting")

Shape = tuple[int, int, int]


def pause(name: str) -> None:
    """Sleep as long as the environment says for ``name``, by the clock that measures it."""
    if seconds := os.environ.get(f"SLEEP_{name}"):
        clock.time.sleep(float(seconds))


class Sleeper(nn.Module):
    """Sleeps in every training step and in every evaluation."""

    def __init__(self, input_shape: Shape, num_classes: int) -> None:
        super().__init__()
        pause("BUILD")
        self.dense = nn.Linear(math.prod(input_shape), num_classes)

    def forward(self, pixels: Tensor) -> Tensor:
        # Set-up tries a model out with an image or two.
        if len(pixels) > 2:
            pause("STEP" if self.training else "EVALUATION")
        return self.dense(pixels.flatten(1))


class Dawdler(Tracker):
    """Sleeps whenever it is told something."""

    def __init__(self, options: Options) -> None:
        pause("CREATE")

    def on_trial_start(self, trial: Any, model: nn.Module, epochs_done: int) -> None:
        pause("START")

    def on_epoch_end(self, epoch: Any) -> None:
        pause("REPORT")


@hookimpl
def benchmark_models() -> Iterator[ModelEntry]:
    yield ModelEntry("sleeper", Sleeper)


@hookimpl
def benchmark_recipes() -> Iterator[RecipeEntry]:
    yield RecipeEntry("changes", configure)


def configure(model: nn.Module, plan: TrainingPlan) -> Optimization:
    return Optimization(
        optim.SGD(model.parameters(), lr=0.01),
        [1.0] * plan.total_steps,
        functional.cross_entropy,
        on_epoch_start=lambda model, epoch: pause("CHANGE"),
    )


@hookimpl
def benchmark_trackers() -> Iterator[TrackerEntry]:
    yield TrackerEntry("dawdler", Dawdler)


# What the tests call.

Train = Callable[..., dict[str, Any]]


@pytest.fixture
def train(benchmark: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Train the sleeper for four epochs of four steps, and return its record."""
    config = tmp_path / "tiny.yaml"
    text = CONFIG.replace("seeds: 2", "seeds: 1").replace("epochs: 2", "epochs: 4")
    config.write_text(f"{text}checkpoint_every: 1\n")

    def call(code: int = 0, **sleeps: float) -> dict[str, Any]:
        for name, seconds in sleeps.items():
            monkeypatch.setenv(f"SLEEP_{name.upper()}", str(seconds))
        trackers = ("--tracker", "log", "--tracker", "dawdler")
        chosen = ("-m", "sleeper", "-r", "changes", *trackers)
        result = benchmark("run", str(config), "-p", __file__, *chosen)
        assert result.code == code, result.err
        (record,) = records()
        return record

    return call


def records() -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in Path("runs").rglob("trial.json")]


class SleepingClock:
    """A clock on which nothing takes time but sleeping."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def sleeping_clock(monkeypatch: pytest.MonkeyPatch) -> SleepingClock:
    made = SleepingClock()
    # Of nobody else, who may have other reasons to sleep.
    monkeypatch.setattr(clock, "time", made)
    return made


def parts(record: dict[str, Any]) -> dict[str, float]:
    """The parts that are not zero, and the total."""
    timing = {part: record["timing"][f"{part}_seconds"] for part in (*PARTS, "total")}
    return {part: seconds for part, seconds in timing.items() if seconds}


def about(**seconds: float) -> Any:
    return pytest.approx({**seconds, "total": sum(seconds.values())})


# On a clock that only sleeps move.


@pytest.mark.parametrize("seconds", [0.02, 0.03])
@pytest.mark.usefixtures("sleeping_clock")
def test_a_steps_time_is_training_time_and_no_other(train: Train, seconds: float) -> None:
    record = train(step=seconds)
    assert parts(record) == about(training=EPOCHS * STEPS * seconds)
    epoch = pytest.approx(STEPS * seconds)
    assert [e["train_seconds"] for e in record["epochs"]] == [epoch] * EPOCHS
    assert record["timing"]["first_epoch_seconds"] == epoch
    assert record["timing"]["epoch_seconds"] == epoch
    assert record["timing"]["epoch_interquartile_seconds"] == pytest.approx(0)
    assert [e["evaluation_seconds"] for e in record["epochs"]] == [0] * EPOCHS


@pytest.mark.usefixtures("sleeping_clock")
def test_an_evaluations_time_is_in_evaluation_seconds_and_no_other(train: Train) -> None:
    record = train(evaluation=0.5)
    assert parts(record) == about(evaluation=EPOCHS * 0.5)
    assert [e["evaluation_seconds"] for e in record["epochs"]] == [0.5] * EPOCHS
    assert [e["train_seconds"] for e in record["epochs"]] == [0] * EPOCHS


@pytest.mark.usefixtures("sleeping_clock")
def test_a_trackers_time_is_reporting_time_and_no_other(train: Train) -> None:
    record = train(create=3, report=2, start=7)
    assert parts(record) == about(reporting=3 + 7 + EPOCHS * 2)
    assert {e["train_seconds"] + e["evaluation_seconds"] for e in record["epochs"]} == {0}


@pytest.mark.usefixtures("sleeping_clock")
def test_what_the_recipe_changes_before_an_epoch_is_training_time(train: Train) -> None:
    record = train(change=2)
    assert parts(record) == about(training=EPOCHS * 2)
    assert [e["train_seconds"] for e in record["epochs"]] == [2] * EPOCHS


@pytest.mark.usefixtures("sleeping_clock")
def test_building_a_model_is_setup_time_and_no_other(train: Train) -> None:
    assert parts(train(build=3)) == about(setup=3)


@pytest.mark.usefixtures("sleeping_clock")
def test_copying_a_state_and_waiting_for_a_write_are_checkpoint_time_and_no_other(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, wait = HostCopies.take, checkpoint_writer.wait

    def take_slowly(copies: HostCopies, content: Any) -> Any:
        clock.time.sleep(5)
        return take(copies, content)

    def wait_long(writes: Any) -> Any:
        clock.time.sleep(3)
        return wait(writes)

    monkeypatch.setattr(HostCopies, "take", take_slowly)
    monkeypatch.setattr(checkpoint_writer, "wait", wait_long)
    # Each write is waited for once: before the next copy, or at the end.
    assert parts(train()) == about(checkpoint=EPOCHS * (5 + 3))


@pytest.mark.usefixtures("sleeping_clock")
def test_a_training_that_goes_on_adds_up_what_its_processes_spent(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeps = {"build": 3.0, "start": 7.0, "step": 0.25, "evaluation": 0.5}
    note = TrialLog.on_epoch_end

    def interrupt(log: TrialLog, epoch: Any) -> None:
        note(log, epoch)
        if epoch.number == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(TrialLog, "on_epoch_end", interrupt)
    train(130, **sleeps)
    record = train(**sleeps)
    assert record["resumed"] == 1
    assert parts(record) == about(
        setup=2 * 3, reporting=2 * 7, training=EPOCHS * STEPS * 0.25, evaluation=EPOCHS * 0.5
    )


# On the real clock.


@pytest.mark.parametrize("seconds", [0.02, 0.04])
def test_an_epoch_lasts_at_least_as_long_as_its_sleeps(train: Train, seconds: float) -> None:
    record = train(step=seconds, evaluation=seconds)
    for epoch in record["epochs"]:
        assert epoch["train_seconds"] >= STEPS * seconds
        assert epoch["evaluation_seconds"] >= seconds
    assert record["timing"]["training_seconds"] >= EPOCHS * STEPS * seconds


REAL = """
name: real
dataset: {name: synthetic, train_images: 512, test_images: 500, size: 32}
models: [baseline_cnn, separable_cnn]
epochs: 3
batch_size: 64
seeds: 1
precision: fp32
device: cpu
"""


def test_the_parts_account_for_the_whole(benchmark: CommandLine) -> None:
    Path("real.yaml").write_text(REAL)
    assert benchmark("run", "real.yaml").code == 0
    assert len(records()) == 2
    for record in records():
        found, epochs = parts(record), record["epochs"]
        total = found.pop("total")
        assert set(found) == {"setup", "training", "evaluation", "checkpoint", "reporting"}
        assert sum(found.values()) == pytest.approx(total, rel=0.02)
        assert sum(e["train_seconds"] for e in epochs) == pytest.approx(found["training"])
        assert sum(e["evaluation_seconds"] for e in epochs) == pytest.approx(found["evaluation"])


# The account.

amounts = st.integers(0, 10**6).map(float)
balances = st.fixed_dictionaries(
    {"total": amounts}, optional=dict.fromkeys((*PARTS, "of_a_later_version"), amounts)
)


@given(st.lists(balances))
def test_an_account_is_the_sum_of_what_was_added(earlier: list[dict[str, float]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "time", SleepingClock())
        account = TimeAccount(CPU)
        for balance in earlier:
            account.add(balance)
        names = {name for balance in earlier for name in balance} | {"total"}
        sums = {name: sum(balance.get(name, 0) for balance in earlier) for name in names}
        assert account.balance() == sums
        assert account.total_seconds() == sums["total"]
        assert {part: account.seconds(part) for part in PARTS} == {
            part: sums.get(part, 0) for part in PARTS
        }


@given(st.lists(st.tuples(st.sampled_from([*PARTS, None]), amounts)), balances)
def test_an_account_goes_on_from_another_ones_balance(
    charges: list[tuple[str | None, float]], earlier: dict[str, float]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        sleeping = SleepingClock()
        patch.setattr(clock, "time", sleeping)
        account = TimeAccount(CPU)
        account.add(earlier)
        expected = dict(earlier)
        for part, seconds in charges:
            expected["total"] += seconds
            if part is None:
                sleeping.sleep(seconds)
                continue
            with account.charge(part) as stretch:
                sleeping.sleep(seconds)
            assert stretch.seconds == seconds
            expected[part] = expected.get(part, 0) + seconds
        assert account.balance() == expected


def test_a_stretch_that_raises_is_measured_all_the_same(sleeping_clock: SleepingClock) -> None:
    with contextlib.suppress(RuntimeError), Clock(CPU).measure() as stretch:
        sleeping_clock.sleep(3)
        raise RuntimeError
    assert stretch.seconds == 3
