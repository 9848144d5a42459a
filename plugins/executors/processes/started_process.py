"""A worker's process as it starts: it imports what every trial needs, and waits for its task."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from typing import IO

from .guard import kill_group
from .guardian import Guardian
from .openmp import with_short_spins
from .worker import WorkerSetup, WorkerTask

# Has Python look for modules where the parent does, before anything of ours is imported.
BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.buffer.readline()); "
    "from benchmark_plugins.executors.processes.worker import main; main()"
)


class StartedProcess:
    """A process in a group of its own, guarded from its start, that can be given one task.

    Raises OSError where no process can be started, and BenchmarkError if the guardian has died.
    """

    def __init__(self, memory_bytes: int | None, guardian: Guardian) -> None:
        self._guardian = guardian
        read_end, write_end = os.pipe()
        self.messages: IO[bytes] = os.fdopen(read_end, "rb", buffering=0)
        try:
            self.process = subprocess.Popen(
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
        except OSError:
            self.messages.close()
            raise
        finally:
            os.close(write_end)
        # It does nothing before it is told what to, so nothing is ever left unguarded.
        guardian.guard(self.group)
        setup = WorkerSetup(memory_bytes=memory_bytes)
        self._write(f"{json.dumps(sys.path)}\n{setup.model_dump_json()}\n")

    @property
    def group(self) -> int:
        """The number of its group of processes."""
        return self.process.pid

    @property
    def output(self) -> IO[bytes]:
        """What it and its plugins print."""
        assert self.process.stdout is not None
        return self.process.stdout

    def give(self, task: WorkerTask) -> None:
        """Send it its task."""
        self._write(f"{task.model_dump_json()}\n")
        self._end_input()

    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self.process.poll() is not None

    def end(self) -> None:
        """Kill it and all of its group."""
        kill_group(self.group)
        self.process.wait()

    def close(self) -> None:
        """Let go of it, which has been ended, and of what it has written."""
        self._end_input()
        self.messages.close()
        self.output.close()
        # Not before the process has ended: until then it has to be guarded.
        self._guardian.dismiss(self.group)

    def _end_input(self) -> None:
        assert self.process.stdin is not None
        # What could not be written is tried once more.
        with suppress(BrokenPipeError):
            self.process.stdin.close()

    def _write(self, lines: str) -> None:
        assert self.process.stdin is not None
        # Whoever waits for the process finds that it has ended.
        with suppress(BrokenPipeError):
            self.process.stdin.write(lines.encode())
            self.process.stdin.flush()
