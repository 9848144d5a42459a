"""Contenders as processes of their own, of which one at a time is at work."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from perf.turns import GO
from perf.workload import Workload

ROOT = Path(__file__).parents[1]
LINES_OF_A_COMPLAINT = 15


class WorkerError(Exception):
    """A worker that ended before it should have; its text has the end of what it wrote."""


class Worker:
    """A contender in a process of its own, set up and warmed up.

    ``facts`` is what it told of itself, ``warm_up_seconds`` what its first block took; all else
    that it writes goes to ``log``. Its ``environment`` is this process's unless another is given.
    Raises WorkerError where it does not get so far.
    """

    def __init__(
        self,
        name: str,
        workload: Workload,
        log: TextIO,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._log = log
        self._process = subprocess.Popen(
            [sys.executable, "-m", "perf.worker", name, workload.to_json()],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            self.facts = self._read()
            self.warm_up_seconds: float = self._read()["seconds"]
        except BaseException:
            self.close()
            raise

    def block(self) -> float:
        """Have it train a block; returns the seconds that took, by its own clock."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(GO + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise WorkerError(self._fault()) from error
        return float(self._read()["seconds"])

    def close(self) -> None:
        """End it: no more blocks are wanted."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(self._fault())
        message: dict[str, Any] = json.loads(line)
        return message

    def _fault(self) -> str:
        self._log.seek(0)
        last_lines = self._log.read().splitlines()[-LINES_OF_A_COMPLAINT:]
        return "\n".join([f"{self.name} ended before its time:", *last_lines])


@contextmanager
def workers(names: Sequence[str], workload: Workload) -> Iterator[dict[str, Worker]]:
    """Start the contenders, each when the one before has warmed up, and end them all after."""
    with ExitStack() as stack:
        started: dict[str, Worker] = {}
        for name in names:
            log = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))
            started[name] = Worker(name, workload, log)
            stack.callback(started[name].close)
        yield started
