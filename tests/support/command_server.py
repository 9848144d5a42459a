"""Starts the command line in milliseconds: ``python command_server.py 5``, for tests alone.

A start of the command line is mostly imports, PyTorch's above all. This process makes them once,
and forks for each request that comes on the socket with that number. A child behaves as ``python -m
benchmark`` would: it has the arguments, the environment, the folder and the standard streams of its
request, and loads plugins itself. When the socket ends, so do this process and its children.

Nothing is computed here before a fork: OpenMP's threads would be missing in the child.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any, TextIO

MOST_BYTES = 2**20
# Standard input, output and error of the child, and where its number and its end are reported.
DESCRIPTORS = 4


def import_all() -> None:
    """Import the core, and of PyTorch also what the first training imports."""
    import torch._dynamo  # noqa: F401

    import benchmark

    for module in pkgutil.walk_packages(benchmark.__path__, "benchmark."):
        if module.name != "benchmark.__main__":
            importlib.import_module(module.name)
    # What is there now stays, and need not be looked through, which would copy its pages.
    gc.collect()
    gc.freeze()


class Children:
    """The children that have not ended, by the descriptor that tells of their end."""

    def __init__(self) -> None:
        self._reports: dict[int, tuple[int, socket.socket]] = {}

    @property
    def descriptors(self) -> list[int]:
        return [*self._reports]

    def add(self, process: int, report: socket.socket) -> None:
        report.send(str(process).encode())
        self._reports[os.pidfd_open(process)] = process, report

    def bury(self, descriptor: int) -> None:
        """Report the exit code of a child that has ended."""
        process, report = self._reports.pop(descriptor)
        os.close(descriptor)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        # Perhaps nobody waits for it any more.
        with report, contextlib.suppress(BrokenPipeError):
            report.send(str(code).encode())

    def forget(self) -> None:
        """Close what a child has no use for."""
        for descriptor, (_, report) in self._reports.items():
            os.close(descriptor)
            report.close()

    def kill(self) -> None:
        for process, _ in self._reports.values():
            os.kill(process, signal.SIGKILL)
        for descriptor in self.descriptors:
            self.bury(descriptor)


def serve(requests: socket.socket) -> dict[str, Any] | None:
    """Fork for each request; returns the request in each child, and None in the end."""
    children = Children()
    while True:
        ready, _, _ = select.select([requests.fileno(), *children.descriptors], [], [])
        for ended in {*ready} - {requests.fileno()}:
            children.bury(ended)
        if requests.fileno() not in ready:
            continue
        content, received, *_ = socket.recv_fds(requests, MOST_BYTES, DESCRIPTORS)
        if not content:
            children.kill()
            return None
        *streams, report = received
        process = os.fork()
        if process == 0:
            children.forget()
            os.close(report)
            requests.close()
            take_over(streams)
            request: dict[str, Any] = json.loads(content)
            return request
        children.add(process, socket.socket(fileno=report))
        for descriptor in streams:
            os.close(descriptor)


def take_over(descriptors: list[int]) -> None:
    """Make these descriptors the standard streams, as the interpreter does when it starts."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    for name, mode in (("stdin", "rb"), ("stdout", "wb"), ("stderr", "wb")):
        stream = reopened(getattr(sys, name), mode)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def reopened(stream: TextIO, mode: str) -> TextIO:
    """A new stream of the same descriptor, encoded as this one is and buffered as it would be."""
    at_once = bool(os.environ.get("PYTHONUNBUFFERED"))
    descriptor = stream.fileno()
    buffering = 0 if at_once and mode == "wb" else -1
    binary = open(descriptor, mode, buffering, closefd=False)  # noqa: SIM115
    by_line = os.isatty(descriptor) or (mode == "wb" and descriptor == 2)
    return io.TextIOWrapper(
        binary,
        stream.encoding,
        stream.errors,
        line_buffering=by_line and not at_once,
        write_through=at_once,
    )


def begin(request: dict[str, Any]) -> None:
    """Have this process be as one that has just been started for the request."""
    import numpy.random

    if request["new_session"]:
        os.setsid()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    if not sys.flags.safe_path:
        sys.path[0] = request["folder"]
    # This process was started without any.
    more = os.environ.get("PYTHONPATH", "")
    sys.path[1:1] = [str(Path(entry).absolute()) for entry in more.split(os.pathsep) if entry]
    sys.argv[1:] = request["arguments"]
    tempfile.tempdir = None
    importlib.invalidate_caches()
    # Python's own generator is seeded anew in every child.
    numpy.random.seed()
    signal.signal(signal.SIGINT, signal.default_int_handler)


def main() -> None:
    # Ctrl-C is for the tests, which end this process by closing the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests = socket.socket(fileno=int(sys.argv[1]))
    import_all()
    request = serve(requests)
    if request is not None:
        begin(request)
        runpy.run_module("benchmark", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
