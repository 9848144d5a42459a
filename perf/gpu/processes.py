"""Jobs in processes of their own: what becomes of one costs no row but that which it was at.

They are forked from this process, which has imported PyTorch and never starts CUDA: an import of
five seconds for each would take half the time there is.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from benchmark.errors import one_line
from perf.gpu.jobs import Job, Measurement, SkippedError
from perf.gpu.rows import Results, make_row

LOG = "log.txt"
# Less is not worth a start of CUDA.
LEAST_SECONDS = 5.0
TIME_IS_UP = "the time is up"

Answer = TypeVar("Answer")

BEGINS, ENDS, FOUND = "begins", "ends", "found"


class Conductor:
    """Carries jobs out one after another until ``deadline``, by ``time.monotonic``."""

    def __init__(self, results: Results, log: Path, deadline: float) -> None:
        self._results = results
        self._log = log
        self._deadline = deadline

    def carry_out(self, part: str, job: Job) -> None:
        """Make a job's measurements, those after a failed one in a fresh process."""
        done: int | None = 0
        while done is not None:
            if self._seconds_left() < LEAST_SECONDS:
                self._results.add(make_row(part, job.name, "skipped", reason=TIME_IS_UP))
                return
            done = self._carry_on(part, job, done)

    def _carry_on(self, part: str, job: Job, done: int) -> int | None:
        """Make those after the first ``done``; returns how many are done if there may be more."""
        at = job.name
        with _Child(job, done, self._log) as child:
            while True:
                message = child.receive(min(job.seconds, self._seconds_left()))
                if message is None:
                    status, reason = self._why_it_ended(job, child)
                    self._results.add(make_row(part, at, status, reason=reason))
                    may_go_on = child.has_begun and status == "failed"
                    return done + 1 if may_go_on else None
                kind, *content = message
                if kind == ENDS:
                    return None
                if kind == BEGINS:
                    (at,) = content
                    continue
                what, status, figures, reason, trace = content
                self._results.add(make_row(part, what, status, figures, reason), trace)
                done += 1
                if status == "failed":
                    return done if child.has_begun else None

    def _why_it_ended(self, job: Job, child: _Child) -> tuple[str, str]:
        """The status and the reason of what a process was at."""
        if child.is_alive:
            if self._seconds_left() <= 0:
                return "skipped", f"cut off: {TIME_IS_UP}"
            return "failed", f"it took longer than {job.seconds:g} s"
        code = child.exit_code
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return "failed", f"its process ended {how}; see {LOG}"

    def _seconds_left(self) -> float:
        return self._deadline - time.monotonic()


def asked_elsewhere(ask: Callable[[], Answer]) -> Answer:
    """What ``ask`` returns in another process, for to ask for a GPU starts CUDA.

    Raises what it raises there.
    """
    context = multiprocessing.get_context("fork")
    with _forking(), ProcessPoolExecutor(1, context) as other:
        return other.submit(ask).result()


@contextmanager
def _forking() -> Iterator[None]:
    sys.stdout.flush()
    with warnings.catch_warnings():
        # OpenBLAS has threads once it is imported, and makes them anew in a child.
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


class _Child:
    """A process that makes a job's measurements after the first ``done``."""

    def __init__(self, job: Job, done: int, log: Path) -> None:
        self.has_begun = False
        self._messages, sender = multiprocessing.Pipe(duplex=False)
        context = multiprocessing.get_context("fork")
        # A daemon is ended with this process, if an interrupt comes before it has been entered.
        self._process = context.Process(target=_work, args=(job, done, sender, log), daemon=True)
        with _forking():
            self._process.start()
        sender.close()

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *raised: object) -> None:
        """End it, and whatever it has started."""
        assert self._process.pid is not None
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            # It has no group of its own yet, or is gone with all of it.
            self._process.kill()
        self._process.join()
        self._messages.close()

    def receive(self, seconds: float) -> tuple[Any, ...] | None:
        """Its next message; None where none came in time, or none comes any more."""
        try:
            if not self._messages.poll(max(seconds, 0)):
                return None
            message: tuple[Any, ...] = self._messages.recv()
        except EOFError:
            self._process.join()
            return None
        self.has_begun |= message[0] == BEGINS
        return message

    @property
    def is_alive(self) -> bool:
        """Whether it is still at work."""
        return self._process.is_alive()

    @property
    def exit_code(self) -> int:
        """How it ended: negative for a signal."""
        assert self._process.exitcode is not None
        return self._process.exitcode


def _work(job: Job, done: int, sender: Connection, log: Path) -> None:
    _stand_alone(log)
    try:
        for number, measurement in enumerate(job.measurements()):
            if number < done:
                continue
            sender.send((BEGINS, measurement.what))
            found = _find(measurement)
            sender.send((FOUND, *found))
            if found[1] == "failed":
                return
    except Exception as error:
        sender.send((FOUND, job.name, "failed", None, one_line(error), traceback.format_exc()))
        return
    sender.send((ENDS,))


def _find(measurement: Measurement) -> tuple[str, str, dict[str, Any] | None, str | None, Any]:
    """What, status, figures, reason and traceback."""
    try:
        figures = measurement.measure()
    except SkippedError as error:
        return measurement.what, "skipped", None, str(error), None
    # Also what a test or a plugin raises on purpose, and an exit.
    except (Exception, SystemExit) as error:
        return measurement.what, "failed", None, one_line(error), traceback.format_exc()
    return measurement.what, "measured", figures, figures.pop("reason", None), None


def _stand_alone(log: Path) -> None:
    """Be a process group of its own, with default signals, and write to the log."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
