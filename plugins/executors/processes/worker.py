"""What runs in a worker's process: one trial, read from standard input, reported on a pipe.

The input is two lines of JSON: a ``WorkerSetup``, with which it makes itself ready, and then a
``WorkerTask``, which may come much later. Each message is a line too: its type's name, and its
content as JSON. It is a ``TrialEvent``, the last of which has the record; a ``TrialProgress``, each
second; a ``Fault``, which is the run's and not the trial's; or ``Alive``, every few seconds.
Nothing is pickled, so nothing that a plugin makes has to be; what a plugin prints goes elsewhere.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel

from benchmark import (
    CaptureError,
    CheckpointError,
    StoreError,
    TrialEvent,
    TrialProgress,
    TrialRecord,
    TrialSpec,
)

# Has a worker print where each of its threads is, even if one never lets the others run.
SHOW_STACKS = signal.SIGUSR1
# Where memory runs out, Linux ends the process with the highest score first.
_OOM_SCORE = Path("/proc/self/oom_score_adj")
_HIGHEST_OOM_SCORE = "1000"


RunTrial = Callable[[TrialSpec, Callable[[TrialEvent], None]], TrialRecord]


class WorkerSetup(BaseModel):
    """How a worker is to be; ``memory_bytes`` is the most it may allocate, None for any."""

    memory_bytes: int | None


class WorkerTask(BaseModel):
    """What a worker is to do."""

    spec: TrialSpec
    alive_every_seconds: float


class Fault(BaseModel):
    """An error that is not the trial's: its kind's name, and its text."""

    kind: str
    text: str


class Alive(BaseModel):
    """A sign of life."""


class Channel:
    """The worker's end of the pipe."""

    def __init__(self, descriptor: int) -> None:
        # Programs that plugins start do not get it; processes that they fork do all the same.
        os.set_inheritable(descriptor, False)
        # Buffered: a signal may cut a write to the pipe itself short.
        self._pipe = os.fdopen(descriptor, "wb")
        self._lock = threading.Lock()

    def send(self, message: TrialEvent | TrialProgress | Fault | Alive) -> None:
        """Send a message, whole, whatever other threads send."""
        kind, content = type(message).__name__, message.model_dump_json(by_alias=True)
        with self._lock:
            self._pipe.write(f"{kind} {content}\n".encode())
            self._pipe.flush()

    def report(self, event: TrialEvent) -> None:
        """Send an event; of one that comes every second, only what is new in it."""
        self.send(event.progress or event)

    def keep_alive(self, every_seconds: float) -> None:
        """Send a sign of life every so often, from a thread of its own."""

        def live() -> None:
            # If the parent is gone, the guardian will end this process.
            with suppress(BrokenPipeError):
                while True:
                    self.send(Alive())
                    time.sleep(every_seconds)

        threading.Thread(target=live, name="signs of life", daemon=True).start()


def main() -> None:
    """Carry the task out; the pipe's number is the only argument."""
    channel = Channel(int(sys.argv[1]))
    # There is no line where the parent has no use for this process any more, or has died.
    setup = sys.stdin.buffer.readline()
    if not setup:
        return
    _set_up_process(WorkerSetup.model_validate_json(setup).memory_bytes)
    # Imported here: it imports torch, whose memory is limited, too.
    from benchmark.trial import get_ready, run_trial

    get_ready()
    if task := sys.stdin.buffer.readline():
        _carry_out(WorkerTask.model_validate_json(task), channel, run_trial)


def _carry_out(task: WorkerTask, channel: Channel, run_trial: RunTrial) -> None:
    # Modules may have been written and packages installed since this process started.
    importlib.invalidate_caches()
    channel.keep_alive(task.alive_every_seconds)
    try:
        record = run_trial(task.spec, channel.report)
    except CaptureError as error:
        # For the trial's log: it goes on in another process, and its record has the text alone.
        traceback.print_exc()
        channel.send(Fault(kind=type(error).__name__, text=str(error)))
    except (StoreError, CheckpointError) as error:
        channel.send(Fault(kind=type(error).__name__, text=str(error)))
    else:
        channel.send(TrialEvent(trial=record.key, record=record))


def _set_up_process(memory_bytes: int | None) -> None:
    faulthandler.enable()
    faulthandler.register(SHOW_STACKS)
    with suppress(OSError):
        _OOM_SCORE.write_text(_HIGHEST_OOM_SCORE)
    if memory_bytes is not None:
        # What a process allocates for itself; address space is also set aside and never used.
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
