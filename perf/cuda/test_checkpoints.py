"""Checkpoints that a thread writes from a copy, while the device goes on."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from benchmark.training import Checkpoints, CheckpointWriter, state_of
from perf.cuda.trainings import STEPS, begin, by_recipe, captured, small_model, train, training_by


@dataclass(frozen=True)
class Watched(Checkpoints):
    """Checkpoints that are written once they ``may_begin``, and what was written of each."""

    may_begin: threading.Event = field(default_factory=threading.Event)
    written: list[Mapping[str, Any]] = field(default_factory=list)

    def save(self, content: Mapping[str, Any]) -> None:
        """Write when it is time."""
        self.may_begin.wait()
        self.written.append(content)
        super().save(content)


def stored(content: Any) -> list[Any]:
    """All that lies in plain data, as numbers that nothing changes any more."""
    return [leaf.tolist() if isinstance(leaf, Tensor) else leaf for leaf in tree_leaves(content)]


def test_what_lies_on_a_gpu_is_copied_into_pinned_memory_which_the_next_copy_takes(
    device: torch.device, tmp_path: Path
) -> None:
    checkpoints = Watched(tmp_path, {})
    checkpoints.may_begin.set()
    addresses = set()
    with closing(CheckpointWriter(checkpoints)) as writer:
        for value in range(3):
            tensor = torch.full((1000, 1000), float(value), device=device)
            writer.write({"tensor": tensor})
            tensor.fill_(-1)
            writer.finish()
            written = checkpoints.written[-1]["tensor"]
            assert written.is_pinned() == (device.type == "cuda")
            assert written.eq(value).all()
            addresses.add(written.data_ptr())
    assert len(addresses) == 1


@pytest.mark.parametrize("recipe", ["adam", "sgd_onecycle"])
def test_a_checkpoint_written_while_replays_go_on_has_the_state_before_them(
    recipe: str, device: torch.device, tmp_path: Path
) -> None:
    training = training_by(by_recipe(recipe), small_model(), device)
    checkpoints = Watched(tmp_path, {})
    with captured(training) as engine, ExitStack() as closed:
        writer = closed.enter_context(closing(CheckpointWriter(checkpoints)))
        # Whatever fails here, the thread must not wait for ever.
        closed.callback(checkpoints.may_begin.set)
        train(training, engine.take, range(1, 2))
        expected = stored(state_of(training))
        writer.write({"training": state_of(training)})
        begin(training, 2)
        engine.take(STEPS // 2)
        checkpoints.may_begin.set()
        engine.take(STEPS // 2)
        train(training, engine.take, range(3, 6))
        writer.finish()
        assert stored(state_of(training)) != expected
    found = checkpoints.load(warn=pytest.fail)
    assert stored(found["training"]) == expected
