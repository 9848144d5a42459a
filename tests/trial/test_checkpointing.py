"""When checkpoints are written, and that no trial ends before the last one is."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy
import pytest
from hypothesis import given, strategies as st

from benchmark.training import checkpoint
from benchmark.training.checkpoint import NEWEST, Checkpoints
from benchmark.training.clock import TimeAccount
from benchmark.training.epoch_progress import EpochProgress
from benchmark.training.evaluation import Evaluation
from benchmark.training.loop import DivergedError
from benchmark.training.memory import PeakMemory
from benchmark.trial.checkpointing import CHECKPOINT_SECONDS, Checkpointing
from benchmark.trial.findings import Findings
from benchmark_plugins.trackers.log import TrialLog
from tests.conftest import CommandLine, Result
from tests.support.made_records import PROTOCOL, make_spec
from tests.support.made_training import CPU, make_training, random_images
from tests.support.tiny import write_tiny_run
from tests.support.trial_files import trial_folder

TRAINING = make_training(images=random_images(8), batch_size=4)
NOTHING = numpy.zeros(0, numpy.uint8)


def checkpointing_of(
    folder: Path, *, epochs: int, every: int | None, earlier: int = 0
) -> tuple[Checkpointing, TimeAccount]:
    """A trial's checkpoints, which an ``earlier`` process has trained for so many seconds."""
    findings = Findings(TimeAccount(CPU), PeakMemory(CPU), EpochProgress(CPU))
    findings.account.add({"training": earlier})
    findings.evaluation = Evaluation(1.0, NOTHING, NOTHING == 0, {})
    protocol = PROTOCOL.model_copy(update={"epochs": epochs})
    spec = make_spec().model_copy(update={"protocol": protocol, "checkpoint_every": every})
    return Checkpointing(spec, TRAINING, Checkpoints(folder, {}), findings), findings.account


def written(
    epochs: Sequence[tuple[int, int]], *, every: int | None = None, earlier: int = 0
) -> list[int]:
    """After which epochs a checkpoint is written, where they train and evaluate so many seconds."""
    steps = []

    def note(checkpoints: Checkpoints, content: Any) -> None:
        steps.append(content["training"]["steps_taken"])

    made, account = checkpointing_of(Path(), epochs=len(epochs), every=every, earlier=earlier)
    with pytest.MonkeyPatch.context() as patch, made as checkpointing:
        patch.setattr(Checkpoints, "save", note)
        for number, (training, evaluation) in enumerate(epochs, 1):
            account.add({"training": training, "evaluation": evaluation, "setup": 100})
            TRAINING.steps_taken = number
            checkpointing.end_epoch(number)
    return steps


seconds = st.integers(0, int(1.5 * CHECKPOINT_SECONDS))


@given(st.lists(st.tuples(seconds, seconds), min_size=1, max_size=20), st.integers(0, 1000))
def test_by_default_seconds_lie_between_two_checkpoints(
    epochs: list[tuple[int, int]], earlier: int
) -> None:
    places = written(epochs, earlier=earlier)
    assert places[-1] == len(epochs)
    for before, after in zip([0, *places], places, strict=False):
        spent = [*map(sum, epochs[before:after])]
        assert sum(spent[:-1]) < CHECKPOINT_SECONDS
        assert sum(spent) >= CHECKPOINT_SECONDS or after == len(epochs)


@pytest.mark.parametrize(
    ("every", "places"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (5, [5]), (9, [5])]
)
def test_a_number_of_epochs_lies_between_two_checkpoints(every: int, places: list[int]) -> None:
    assert written([(100, 0)] * 5, every=every) == places


# What becomes of a write.


def threads_that_write() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "checkpoint" in thread.name]


@contextmanager
def writing_after(event: threading.Event) -> Iterator[None]:
    """No checkpoint is written before that."""
    save = Checkpoints.save

    def save_after(checkpoints: Checkpoints, content: Any) -> None:
        event.wait()
        save(checkpoints, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_after)
        yield


@pytest.mark.parametrize("error", [DivergedError, RuntimeError, KeyboardInterrupt])
def test_a_trial_that_ends_with_an_error_has_its_checkpoint_written_first(
    tmp_path: Path, error: type[BaseException]
) -> None:
    made, _ = checkpointing_of(tmp_path, epochs=2, every=1)
    raised = threading.Event()

    def carry_out() -> None:
        with made as checkpointing:
            checkpointing.end_epoch(1)
            raised.set()
            raise error

    with writing_after(raised), pytest.raises(error):
        carry_out()
    assert not threads_that_write()
    assert Checkpoints(tmp_path, {}).load(pytest.fail) is not None


Train = Callable[..., Result]


@pytest.fixture
def train(benchmark: CommandLine, tmp_path: Path) -> Train:
    """Train a tiny model for two epochs, with a checkpoint after each."""
    arguments = [*write_tiny_run(tmp_path), "-m", "tiny", "--seeds", "1"]
    return lambda *more: benchmark(*arguments, "--set", "checkpoint_every=1", *more)


@contextmanager
def interrupted_after_an_epoch() -> Iterator[threading.Event]:
    """Interrupt a trial after its first epoch; gives what is set by then."""
    raised = threading.Event()

    def interrupt(log: TrialLog, epoch: Any) -> None:
        raised.set()
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrialLog, "on_epoch_end", interrupt)
        yield raised


def full(path: Path, content: bytes | memoryview) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_ctrl_c_right_after_an_epoch_leaves_its_checkpoint(train: Train) -> None:
    with interrupted_after_an_epoch() as raised, writing_after(raised):
        assert train().code == 130
    assert not threads_that_write()
    assert [file.name for file in trial_folder("tiny").glob("*checkpoint*")] == [NEWEST]
    result = train()
    assert (result.code, "goes on after epoch 1 of 2" in result.err) == (0, True)


@pytest.mark.parametrize("setting", ["checkpoint_every=1", "checkpoint_every=null"])
def test_a_disk_that_refuses_a_checkpoint_ends_the_run(
    train: Train, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setattr(checkpoint, "write_atomically", full)
    result = train("--set", setting)
    (refusal,) = (line for line in result.err.splitlines() if "error" in line)
    assert (result.code, result.out) == (2, "")
    assert refusal.startswith(f"benchmark: error: {trial_folder('tiny').absolute() / NEWEST}: ")
    assert "cannot be written: No space left on device" in refusal
    assert not threads_that_write()


def test_ctrl_c_hides_no_disk_that_refuses(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "write_atomically", full)
    with interrupted_after_an_epoch():
        result = train()
    assert result.code == 2
    assert "cannot be written: No space left on device" in result.err
    assert not threads_that_write()
