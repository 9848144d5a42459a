"""A worker as its parent sees it: a process that is started, listened to, and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO

from pydantic import BaseModel

from benchmark import (
    BenchmarkError,
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
from .guardian import Guardian
from .limits import LimitOptions
from .memory_limit import MemoryLimit
from .openmp import with_short_spins
from .trial_state import TrialState
from .worker import SHOW_STACKS, Alive, Fault, WorkerTask

# Has Python look for modules where the parent does, before anything of ours is imported.
BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.buffer.readline()); "
    "from benchmark_plugins.executors.processes.worker import main; main()"
)
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

    ``report`` is called with what the trial says; its limits are counted by ``clock``.
    """

    def __init__(
        self,
        spec: TrialSpec,
        limits: LimitOptions,
        guardian: Guardian,
        clock: RunningClock,
        report: Callable[[TrialEvent], None],
    ) -> None:
        self.spec = spec
        self._limits = limits
        self._clock = clock
        self._report = report
        self._first_sign: float | None = None
        self._last_sign = clock.seconds
        self._state = TrialState(spec, began=time.monotonic())
        self._record: TrialRecord | None = None
        self._verdict: tuple[Status, str] | None = None
        self._interrupted = False
        self._kill_at: float | None = None
        self._unfinished_line = b""
        self._output = CapturedOutput(spec.log_file)
        self._process, self._messages = _start(spec, limits, guardian)
        self._memory = MemoryLimit(limits.memory_bytes, self.group)
        assert self._process.stdout is not None
        self.pipes: dict[IO[bytes], Callable[[bytes], None]] = {
            self._messages: self._take_messages,
            self._process.stdout: self._output.add,
        }
        for pipe in self.pipes:
            os.set_blocking(pipe.fileno(), False)

    @property
    def group(self) -> int:
        """The number of its group of processes."""
        return self._process.pid

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
        if self._first_sign is None:
            # To start a process may take long on a busy machine, and is no part of the trial.
            silence = max(silence, SECONDS_TO_FIRST_SIGN)
        if self._kill_at is not None:
            if now >= self._kill_at:
                self.kill()
        elif self._first_sign is not None and timeout and now - self._first_sign > timeout:
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
        self.kill()
        self._process.wait()
        assert self._process.stdout is not None
        with self._messages, self._process.stdout:
            for pipe in [*self.pipes]:
                self._drain(pipe)
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
        self._last_sign = self._clock.seconds
        if self._first_sign is None:
            self._first_sign = self._last_sign
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
                raise FAULTS[understood.kind](understood.text)

    def _take_event(self, event: TrialEvent) -> None:
        self._memory.look()
        if event.record is not None:
            self._record = event.record
            self._kill_at = self._clock.seconds + SECONDS_TO_END
            return
        self._state.note(event)
        self._report(event)

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
        if code >= 0:
            said = f": {self._output.last_line}" if self._output.last_line else ""
            return (
                "failed",
                f"its process ended with exit code {code}, {self._state.stage}{said}",
            )
        name = SIGNALS.get(-code, f"signal {-code}")
        hint = " (so does the system when memory runs out)" if name == "SIGKILL" else ""
        return "failed", f"its process was ended by {name}{hint}, {self._state.stage}"


def _start(
    spec: TrialSpec, limits: LimitOptions, guardian: Guardian
) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """Start a worker and send it its task; returns it, and the end of the pipe to read.

    Raises BenchmarkError where no process can be started.
    """
    read_end, write_end = os.pipe()
    messages = os.fdopen(read_end, "rb", buffering=0)
    try:
        process = subprocess.Popen(
            # -P: modules are searched for in the current folder only if the parent does so.
            [sys.executable, "-P", "-c", BOOTSTRAP, str(write_end)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[write_end],
            env=with_short_spins(os.environ),
            # Its own session: Ctrl-C in the terminal is for the parent to pass on.
            start_new_session=True,
        )
    except OSError as error:
        messages.close()
        raise BenchmarkError(
            f"no process can be started for {spec.model}, seed {spec.seed}: {error.strerror}; "
            "the same command resumes the run"
        ) from error
    finally:
        os.close(write_end)
    # It does nothing before it has its task, so nothing is ever left unguarded.
    guardian.guard(process.pid)
    task = WorkerTask(
        spec=spec,
        alive_every_seconds=limits.silence_seconds / SIGNS_OF_LIFE,
        memory_bytes=limits.memory_bytes,
    )
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as stdin:
        stdin.write(f"{json.dumps(sys.path)}\n{task.model_dump_json()}\n".encode())
    return process, messages
