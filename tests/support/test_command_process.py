"""A command line that is forked from a process which has imported everything is as any other."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import command_process
from tests.support.command_process import Server, run, start
from tests.support.sampling import sampled
from tests.support.tiny import write_tiny_run

# Writes down what a process can know of how it was started.
LOOKS = """
import json, locale, os, signal, sys, tempfile, threading
from pathlib import Path

STREAMS = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
Path("seen.json").write_text(json.dumps({
    "arguments": sys.argv,
    "path": sys.path,
    "main": sys.modules["__main__"].__spec__.name,
    "folder": os.getcwd(),
    "environment": {**os.environ},
    "session": os.getsid(0) == os.getpid(),
    "descriptors": [int(name) for name in os.listdir("/proc/self/fd")][:-1],
    "streams": [
        (file.fileno(), file.encoding, file.errors, file.line_buffering, file.write_through,
         type(file.buffer).__name__)
        for file in STREAMS
    ],
    "handlers": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
    "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "threads": [thread.name for thread in threading.enumerate()],
    "umask": os.umask(0),
    "temporary": tempfile.gettempdir(),
    "locale": locale.setlocale(locale.LC_ALL),
    "flags": str(sys.flags),
    "plugins": [name for name in sys.modules if name.startswith("benchmark_plugins")],
}))
"""


def seen(*, from_nothing: bool, new_session: bool) -> dict[str, Any]:
    arguments = ("list", "models", "-p", "looks.py")
    done = run(
        *arguments,
        from_nothing=from_nothing,
        new_session=new_session,
        environment={"TMPDIR": "/var/tmp"},
    )
    content: dict[str, Any] = json.loads(Path("seen.json").read_text())
    return content | {"done": vars(done)}


@pytest.mark.parametrize(
    ("new_session", "unbuffered"), sampled("forked processes", [(False, ""), (True, "1")], 1)
)
def test_a_forked_process_sees_what_one_sees_that_begins_from_nothing(
    monkeypatch: pytest.MonkeyPatch, new_session: bool, unbuffered: str
) -> None:
    Path("looks.py").write_text(LOOKS)
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    own = Server()
    monkeypatch.setattr(command_process, "server", lambda: own)
    monkeypatch.setenv("PYTHONPATH", f"{Path('more').absolute()}:else")
    forked = seen(from_nothing=False, new_session=new_session)
    own.end()
    assert forked == seen(from_nothing=True, new_session=new_session)


def test_what_libraries_read_at_their_start_begins_from_nothing() -> None:
    with start("list", environment={"OMP_NUM_THREADS": "1"}) as process:
        process.communicate()
    assert type(process) is subprocess.Popen


def test_a_forked_process_is_waited_for_and_ended_as_any_other(tmp_path: Path) -> None:
    long_run = (*write_tiny_run(tmp_path), "--epochs", "100000")
    with start(*long_run) as process:
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        assert process.stderr is not None
        next(line for line in process.stderr if "epoch 2/" in line)
        process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGCONT)
        process.kill()
    assert process.poll() == process.wait() == -signal.SIGKILL
    assert run("nothing").returncode == 2
    assert run("show", "-p", "missing.py", "x").stderr.startswith("benchmark: error: ")


def test_the_server_takes_its_children_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = Server()
    monkeypatch.setattr(command_process, "server", lambda: own)
    process = start(*write_tiny_run(tmp_path), "--epochs", "100000", stderr=subprocess.DEVNULL)
    own.end()
    assert process.wait() == -signal.SIGKILL
    process.communicate()
