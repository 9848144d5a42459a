"""A thread that writes checkpoints: one at a time, while others go on, and never for nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.errors import StoreError
from benchmark.training.checkpoint import Checkpoints
from benchmark.training.checkpoint_writer import CheckpointWriter


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path, {"seed": "0"})


@pytest.fixture
def writer(checkpoints: Checkpoints) -> Iterator[CheckpointWriter]:
    made = CheckpointWriter(checkpoints)
    yield made
    made.close()
    assert not [thread for thread in threading.enumerate() if "checkpoint" in thread.name]


class HeldBack:
    """Has each write wait until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        save = Checkpoints.save

        def save_later(checkpoints: Checkpoints, content: Any) -> None:
            self.begun.set()
            self.may_end.wait()
            save(checkpoints, content)

        monkeypatch.setattr(Checkpoints, "save", save_later)


@pytest.fixture
def held_back(monkeypatch: pytest.MonkeyPatch) -> HeldBack:
    return HeldBack(monkeypatch)


def loaded(checkpoints: Checkpoints) -> Any:
    return checkpoints.load(pytest.fail)


def test_what_changes_while_a_checkpoint_is_written_is_not_in_it(
    checkpoints: Checkpoints, writer: CheckpointWriter, held_back: HeldBack
) -> None:
    weights, warnings = torch.zeros(3), ["first"]
    writer.write({"weights": weights, "warnings": warnings})
    held_back.begun.wait()
    weights.add_(1)
    warnings.append("second")
    assert loaded(checkpoints) is None
    held_back.may_end.set()
    writer.finish()
    found = loaded(checkpoints)
    assert torch.equal(found["weights"], torch.zeros(3))
    assert found["warnings"] == ["first"]


def test_a_write_waits_for_the_one_before(
    checkpoints: Checkpoints, writer: CheckpointWriter, held_back: HeldBack
) -> None:
    weights = torch.zeros(3)
    writer.write({"weights": weights})
    held_back.begun.wait()
    threading.Timer(0.1, held_back.may_end.set).start()
    weights.add_(1)
    # Its copy would be taken into the memory that is being written.
    writer.write({"weights": weights})
    assert held_back.may_end.is_set()
    writer.finish()
    assert torch.equal(loaded(checkpoints)["weights"], torch.ones(3))
    (checkpoints.folder / "checkpoint.pt").unlink()
    assert torch.equal(loaded(checkpoints)["weights"], torch.zeros(3))


@pytest.mark.parametrize("wait", ["write", "finish", "close"])
def test_what_a_write_raises_is_raised_where_it_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, checkpoints: Checkpoints, wait: str
) -> None:
    def refuse(checkpoints: Checkpoints, content: Any) -> None:
        raise StoreError("the disk refuses")

    monkeypatch.setattr(Checkpoints, "save", refuse)
    writer = CheckpointWriter(checkpoints)
    writer.write({})
    with pytest.raises(StoreError, match="the disk refuses"):
        getattr(writer, wait)(*[{}] * (wait == "write"))
    # Once: it has been said.
    writer.close()


def test_an_interrupted_wait_can_be_waited_for_again(
    monkeypatch: pytest.MonkeyPatch,
    checkpoints: Checkpoints,
    writer: CheckpointWriter,
    held_back: HeldBack,
) -> None:
    def interrupt(writes: Any) -> None:
        raise KeyboardInterrupt

    writer.write({"epoch": 1})
    with monkeypatch.context() as patch:
        patch.setattr("benchmark.training.checkpoint_writer.wait", interrupt)
        with pytest.raises(KeyboardInterrupt):
            writer.finish()
    held_back.may_end.set()
    writer.close()
    assert loaded(checkpoints) == {"epoch": 1}
