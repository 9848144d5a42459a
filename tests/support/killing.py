"""A plugin that kills its own process, at the moment that the environment names.

``KILL="separable_cnn/forward/3"`` sends SIGKILL when that model's trial comes to its third forward
pass of the process. At a trial's end the plugin writes down a digest of the model's weights.
``CHECKPOINT_SECONDS="0.1"`` has checkpoints that seconds decide written after so many.
"""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from benchmark import Options, Tracker, TrackerEntry, hookimpl
from benchmark.specs import (
    TrialKey,
    TrialSpec,
)
from benchmark.trial import checkpointing

# What has a run load it and look on with it.
CHOSEN = ("-p", __file__, "--tracker", "log", "--tracker", "killer")

KILL = "KILL"
CHECKPOINT_SECONDS = "CHECKPOINT_SECONDS"
DIGEST = "digest.txt"

# Moments that every epoch has, and those that every process or every trial has once.
IN_EVERY_STEP = ("forward", "optimizer step")
IN_EVERY_EPOCH = (
    "evaluation",
    "between the checkpoints",
    "part of a checkpoint",
    "checkpoint before its name",
    "checkpoint with its name",
    "step beside a checkpoint",
    "part of a history line",
    "epoch end",
)
AT_THE_START = ("part of the history", "trial start")
AT_THE_END = ("part of the record", "trial end")
# Not a moment of this plugin's: it slows the training down, so that somebody else can kill it.
OUTSIDE = "outside"
MOMENTS = (*IN_EVERY_STEP, *IN_EVERY_EPOCH, *AT_THE_START, *AT_THE_END, OUTSIDE)


def digest(model: nn.Module) -> str:
    """A digest of all of a model's weights and buffers."""
    sha = hashlib.sha256()
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        sha.update(name.encode() + tensor.detach().numpy().tobytes())
    return sha.hexdigest()


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Killer(Tracker):
    """Kills when ``moment`` comes for the ``number``-th time."""

    def __init__(self, options: Options) -> None:
        self.wanted, self.moment, number = (os.environ.get(KILL) or "//0").split("/")
        self.left = int(number)
        self.is_beside_a_checkpoint = False

    def comes(self, moment: str) -> bool:
        # The thread that writes checkpoints asks, too: each moment comes in one thread alone.
        if moment != self.moment:
            return False
        self.left -= 1
        return self.left == 0

    def pass_by(self, moment: str) -> None:
        if self.comes(moment):
            kill()

    def on_trial_start(self, trial: TrialSpec, model: nn.Module, epochs_done: int) -> None:
        self.folder = trial.directory
        if seconds := os.environ.get(CHECKPOINT_SECONDS):
            checkpointing.CHECKPOINT_SECONDS = float(seconds)
        if trial.model != self.wanted:
            self.moment = ""
        if self.moment:
            kill_while_writing(self)
        self.pass_by("trial start")
        if self.moment in ("forward", "evaluation"):
            model.register_forward_hook(
                lambda *_: self.pass_by("forward" if model.training else "evaluation")
            )
        if self.moment in ("optimizer step", "step beside a checkpoint"):
            register_optimizer_step_post_hook(lambda *_: self.end_step())
        if self.moment == OUTSIDE:
            model.register_forward_hook(lambda *_: time.sleep(0.03))

    def end_step(self) -> None:
        self.pass_by("optimizer step")
        if self.is_beside_a_checkpoint:
            kill()

    def on_epoch_end(self, epoch: Any) -> None:
        self.pass_by("epoch end")

    def on_trial_end(self, record: Any, model: nn.Module) -> None:
        (self.folder / DIGEST).write_text(digest(model))
        self.pass_by("trial end")


Content = bytes | memoryview
Write = Callable[[Path, Content], None]


def kill_while_writing(killer: Killer) -> None:
    """Have whatever writes a trial's files pass by the killer."""
    from benchmark.store import directory as store
    from benchmark.training import checkpoint

    write: Write = checkpoint.write_atomically
    append = store.RunDirectory.append_epoch

    def write_checkpoint(path: Path, content: Content) -> None:
        killer.pass_by("between the checkpoints")
        if killer.comes("step beside a checkpoint"):
            os.fsync = lambda fd: wait_for_a_step()
        write_and_kill("part of a checkpoint", path, content[: len(content) // 3])
        write_and_kill("checkpoint before its name", path, content)
        write(path, content)
        killer.pass_by("checkpoint with its name")

    def wait_for_a_step() -> None:
        # All bytes are in the temporary file then, as below.
        killer.is_beside_a_checkpoint = True
        threading.Event().wait()

    def write_to_store(path: Path, content: Content) -> None:
        moments = {"history.jsonl": "part of the history", "trial.json": "part of the record"}
        if path.name in moments:
            write_and_kill(moments[path.name], path, content[: len(content) // 2])
        write(path, content)

    def write_and_kill(moment: str, path: Path, content: Content) -> None:
        # All bytes are in the temporary file then, and it has not yet taken the file's place.
        if killer.comes(moment):
            os.fsync = lambda fd: kill()
            write(path, content)

    def append_epoch(directory: Any, key: TrialKey, epoch: Any) -> None:
        if killer.comes("part of a history line"):
            history = directory.trial_directory(key) / store.HISTORY_FILE
            with history.open("a") as lines:
                lines.write(epoch.model_dump_json()[:40])
            kill()
        append(directory, key, epoch)

    checkpoint.write_atomically = write_checkpoint
    store.write_atomically = write_to_store
    store.RunDirectory.append_epoch = append_epoch  # type: ignore[assignment]


@hookimpl
def benchmark_trackers() -> Iterator[TrackerEntry]:
    yield TrackerEntry("killer", Killer)
