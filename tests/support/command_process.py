"""The command line in a process of its own, for what a process can meet with."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.support import command_server

COMMAND = (sys.executable, "-m", "benchmark")
# What the interpreter, and the libraries that PyTorch loads, read when they start and never again.
READ_AT_THE_START = (
    "PYTHON",
    "OMP_",
    "GOMP_",
    "KMP_",
    "MKL_",
    "OPENBLAS_",
    "TORCH",
    "CUDA_",
    "LD_",
)


@dataclass(frozen=True)
class Request:
    """A call of the command line, as ``start`` was asked for it."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    new_session: bool
    stdout: int | None
    stderr: int | None


def start(
    *arguments: str,
    new_session: bool = False,
    folder: Path | None = None,
    stdout: int | None = subprocess.PIPE,
    stderr: int | None = subprocess.PIPE,
    from_nothing: bool = False,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[str]:
    """Start the command line, in a session of its own if wanted, and with more environment.

    It is forked from a process that has imported PyTorch (``command_server``), or begins
    ``from_nothing``: the same, but seconds later, and with hashes and addresses of its own.
    """
    whole = {**os.environ, **(environment or {})}
    place = str(folder or Path.cwd())
    request = Request(arguments, whole, place, new_session, stdout, stderr)
    if from_nothing or not server().can_start(whole):
        return _started_from_nothing(request)
    return _Forked(request)


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end; ``options`` are those of ``start``."""
    with start(*arguments, **options) as process:
        out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def _started_from_nothing(request: Request) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *request.arguments],
        env=request.environment,
        cwd=request.folder,
        stdout=request.stdout,
        stderr=request.stderr,
        text=True,
        start_new_session=request.new_session,
        # Where a shell started the tests in the background, they and their children ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@dataclass
class Server:
    """The process that forks, started when it is first needed."""

    environment: Mapping[str, str] = field(default_factory=lambda: _read_at_the_start(os.environ))
    _requests: socket.socket | None = None
    _process: subprocess.Popen[bytes] | None = None

    def can_start(self, environment: Mapping[str, str]) -> bool:
        """Whether a process with this environment would have begun as the server did."""
        # Only Linux has a descriptor that tells of a process's end.
        return sys.platform == "linux" and _read_at_the_start(environment) == self.environment

    def send(self, request: Request, descriptors: Sequence[int]) -> None:
        """Have a child forked that has these descriptors."""
        if self._requests is None:
            self._requests = self._started()
        content = {
            "arguments": request.arguments,
            "environment": request.environment,
            "folder": request.folder,
            "new_session": request.new_session,
        }
        socket.send_fds(self._requests, [json.dumps(content).encode()], descriptors)

    def _started(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, command_server.__file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                # It outlives the folder of the test that needs it first; children have their own.
                cwd="/",
                env={name: os.environ[name] for name in os.environ if name != "PYTHONPATH"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        return ours

    def end(self) -> None:
        """End the process and its children, if it was ever started."""
        if self._requests is not None and self._process is not None:
            self._requests.close()
            self._process.wait()


@cache
def server() -> Server:
    """The one that all tests of this process share; without an end of theirs it ends with them."""
    return Server()


def _read_at_the_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        # The server does this one itself.
        if name.startswith(READ_AT_THE_START) and name != "PYTHONPATH"
    }


class _Forked(subprocess.Popen[str]):
    """A child of the server's; in all that tests do with it, a process that they have started."""

    def __init__(self, request: Request) -> None:
        super().__init__([*COMMAND, *request.arguments], text=True)
        self._end, their_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ExitStack() as theirs:
            theirs.enter_context(their_end)
            stdout, self.stdout = _stream(request.stdout, 1, theirs)
            stderr, self.stderr = _stream(request.stderr, 2, theirs)
            server().send(request, [0, stdout, stderr, their_end.fileno()])
        self.pid = int(self._reported())

    def _execute_child(self, *_: Any) -> None:
        """Start nothing: Popen would start a child of this process."""

    def _reported(self) -> bytes:
        content = self._end.recv(100)
        assert content, "the server of command lines has died"
        return content

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._end], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._end.settimeout(timeout)
            try:
                self.returncode = int(self._reported())
            except TimeoutError as error:
                assert timeout is not None
                raise subprocess.TimeoutExpired(self.args, timeout) from error
            self._end.close()
        return self.returncode


def _stream(wanted: int | None, number: int, theirs: ExitStack) -> tuple[int, Any]:
    """The child's descriptor, closed here with ``theirs``, and the file that reads from it."""
    if wanted == subprocess.PIPE:
        ours, descriptor = os.pipe()
        theirs.callback(os.close, descriptor)
        return descriptor, os.fdopen(ours)
    if wanted == subprocess.DEVNULL:
        descriptor = os.open(os.devnull, os.O_RDWR)
        theirs.callback(os.close, descriptor)
        return descriptor, None
    return number if wanted is None else wanted, None
