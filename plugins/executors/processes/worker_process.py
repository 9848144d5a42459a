"""A worker as its parent sees it: a process that is given a trial, listened to, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO

from pydantic import BaseModel

from benchmark import (
    CaptureError,
    CheckpointError,
    RunningClock,
    Status,
    StoreError,
    TrialEvent,
    TrialProgress,
    TrialRecord,
    TrialSpec,
)

from .captured_output import CapturedOutput
from .guard import kill_group
from .limits import LimitOptions
from .memory_limit import MemoryLimit
from .started_process import StartedProcess
from .trial_state import TrialState
from .worker import SHOW_STACKS, Alive, Fault, WorkerTask

READ_BYTES = 2**16
# How many signs of life a worker sends in the time after which silence is too long.
SIGNS_OF_LIFE = 4
# How long a process may take to its first sign of life, which it gives when PyTorch is loaded; and
# to end when its record is there, when it is interrupted, and when it has to show its stacks.
SECONDS_TO_FIRST_SIGN = 300.0
SECONDS_TO_END = 30.0
SECONDS_TO_INTERRUPT = 10.0
SECONDS_TO_SHOW_STACKS = 1.0

# Far more than a pipe holds, in parts of READ_BYTES.
MOST_READS_AT_THE_END = 100

MESSAGES: dict[bytes, type[BaseModel]] = {
    kind.__name__.encode(): kind for kind in (TrialEvent, TrialProgress, Fault, Alive)
}
FAULTS = {kind.__name__: kind for kind in (CheckpointError, StoreError)}
# Those for real-time use have no names.
SIGNALS = {number.value: number.name for number in signal.Signals}


class WorkerProcess:
    """A process of its own for one trial, in a group of its own with all that it starts.

    ``report`` is called with what the trial says; its limits are counted by ``clock``. By that
    clock the trial may have ``begun`` earlier, in another process.
    """

    def __init__(
        self,
        spec: TrialSpec,
        process: StartedProcess,
        limits: LimitOptions,
        clock: RunningClock,
        report: Callable[[TrialEvent], None],
        begun: float | None = None,
    ) -> None:
        self.spec = spec
        self.begun = begun
        self._limits = limits
        self._clock = clock
        self._report = report
        self._is_alive = False
        self._last_sign = clock.seconds
        self._state = TrialState(spec, began=time.monotonic())
        self._record: TrialRecord | None = None
        self._verdict: tuple[Status, str] | None = None
        self._capture_failed: str | None = None
        self._interrupted = False
        self._kill_at: float | None = None
        self._unfinished_line = b""
        self._output = CapturedOutput(spec.log_file)
        self._started = process
        self._process = process.process
        self._memory = MemoryLimit(limits.memory_bytes, self.group)
        self.pipes: dict[IO[bytes], Callable[[bytes], None]] = {
            process.messages: self._take_messages,
            process.output: self._output.add,
        }
        for pipe in self.pipes:
            os.set_blocking(pipe.fileno(), False)
        process.give(
            WorkerTask(spec=spec, alive_every_seconds=limits.silence_seconds / SIGNS_OF_LIFE)
        )

    @property
    def group(self) -> int:
        """The number of its group of processes."""
        return self._process.pid

    @property
    def is_set_up(self) -> bool:
        """Whether its trial has been set up and is being trained."""
        return self._state.is_set_up

    @property
    def again(self) -> TrialSpec | None:
        """How its trial is to be carried out once more, in a fresh process; None where it is not.

        That is so where a capture failed half way: only another process can train it.
        """
        is_over = self._interrupted or self._verdict or self.spec.no_graph_because is not None
        if self._capture_failed is None or is_over:
            return None
        return self.spec.without_graph(self._capture_failed)

    def read(self, pipe: IO[bytes]) -> bool:
        """Take what there is to read from one of its pipes; False where that has ended.

        Raises the trial's StoreError or CheckpointError.
        """
        content = os.read(pipe.fileno(), READ_BYTES)
        if not content:
            self.pipes.pop(pipe)
            return False
        self.pipes[pipe](content)
        return True

    def interrupt(self) -> None:
        """Ask it to end as Ctrl-C would, and soon."""
        self._interrupted = True
        self._kill_at = self._clock.seconds + SECONDS_TO_INTERRUPT
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)

    def enforce_limits(self) -> None:
        """End it if it has used up its time, or has been silent for too long."""
        self._memory.look()
        now = self._clock.seconds
        timeout, silence = self._limits.timeout_seconds, self._limits.silence_seconds
        if not self._is_alive:
            # To start a process may take long on a busy machine, and is no part of the trial.
            silence = max(silence, SECONDS_TO_FIRST_SIGN)
        if self._kill_at is not None:
            if now >= self._kill_at:
                self.kill()
        elif self.begun is not None and timeout and now - self.begun > timeout:
            self._end("timed_out", f"after {timeout:g} s, {self._state.stage}")
        elif now - self._last_sign > silence:
            self._end("failed", f"no sign of life for {silence:g} s, {self._state.stage}")

    def kill(self) -> None:
        """End it and all of its group, now."""
        kill_group(self.group)

    def has_ended(self, patience_seconds: float) -> bool:
        """Whether the process is gone; waits a little for one whose pipes have ended."""
        if not self.pipes:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(patience_seconds)
        return self._process.poll() is not None

    def close(self) -> TrialRecord:
        """Kill what is left of its group; returns the trial's record.

        Raises the trial's StoreError or CheckpointError.
        """
        self._started.end()
        try:
            for pipe in [*self.pipes]:
                self._drain(pipe)
        finally:
            self._started.close()
        self._output.close()
        return self._final_record()

    def _drain(self, pipe: IO[bytes]) -> None:
        """Take what is left in a pipe; no more, as a process that left the group may hold it."""
        with suppress(BlockingIOError):
            for _ in range(MOST_READS_AT_THE_END):
                if not self.read(pipe):
                    return

    def _end(self, status: Status, reason: str) -> None:
        self._verdict = (status, reason)
        self._kill_at = self._clock.seconds + SECONDS_TO_SHOW_STACKS
        with suppress(ProcessLookupError):
            self._process.send_signal(SHOW_STACKS)

    def _take_messages(self, content: bytes) -> None:
        self._is_alive = True
        self._last_sign = self._clock.seconds
        if self.begun is None:
            self.begun = self._last_sign
        *lines, self._unfinished_line = (self._unfinished_line + content).split(b"\n")
        for line in lines:
            kind, _, message = line.partition(b" ")
            try:
                understood = MESSAGES[kind].model_validate_json(message)
            except (KeyError, ValueError):
                self._end("failed", f"its messages make no sense, {self._state.stage}")
                return
            if isinstance(understood, TrialEvent):
                self._take_event(understood)
            if isinstance(understood, TrialProgress):
                self._report(TrialEvent(trial=self.spec.key, progress=understood))
            if isinstance(understood, Fault):
                self._take_fault(understood)

    def _take_event(self, event: TrialEvent) -> None:
        self._memory.look()
        if event.record is not None:
            self._record = event.record
            self._kill_at = self._clock.seconds + SECONDS_TO_END
            return
        self._state.note(event)
        self._report(event)

    def _take_fault(self, fault: Fault) -> None:
        if fault.kind != CaptureError.__name__:
            raise FAULTS[fault.kind](fault.text)
        self._capture_failed = fault.text
        self._kill_at = self._clock.seconds + SECONDS_TO_END

    def _final_record(self) -> TrialRecord:
        record = self._record
        if record is None:
            status, reason = self._verdict or self._cause_of_death()
            if status == "failed" and self._verdict is None:
                reason = self._memory.named_where_likely(reason, self._output.end)
            return self._state.lost_record(status, reason)
        if record.status == "interrupted" and not self._interrupted:
            # It was not Ctrl-C: the model raised it, or something else did in its process.
            reason = f"KeyboardInterrupt, {record.reason}"
            return record.model_copy(update={"status": "failed", "reason": reason})
        if record.status == "failed" and self._interrupted:
            # The plugin may have turned the interrupt into another exception.
            return record.model_copy(update={"status": "interrupted"})
        if record.status == "failed":
            reason = self._memory.named_where_refused(record.reason or "")
            return record.model_copy(update={"reason": reason})
        return record

    def _cause_of_death(self) -> tuple[Status, str]:
        code = self._process.returncode
        if self._interrupted:
            return "interrupted", self._state.stage
        if self._capture_failed is not None:
            return "failed", f"CaptureError: {self._capture_failed}"
        if code >= 0:
            said = f": {self._output.last_line}" if self._output.last_line else ""
            return (
                "failed",
                f"its process ended with exit code {code}, {self._state.stage}{said}",
            )
        name = SIGNALS.get(-code, f"signal {-code}")
        hint = " (so does the system when memory runs out)" if name == "SIGKILL" else ""
        return "failed", f"its process was ended by {name}{hint}, {self._state.stage}"
