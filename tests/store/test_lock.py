"""Two processes on one run: the second is told who is at work, and spoils nothing."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark.errors import StoreError
from benchmark.store.lock import LOCK_FILE, DirectoryLock
from tests.conftest import CommandLine, only_error
from tests.support.tiny import write_tiny_run

FOLDER = Path("run")
# Takes the lock, says so, and holds it until it is killed.
HOLDER = """
import sys, time
from pathlib import Path
from benchmark.store import DirectoryLock
with DirectoryLock(Path(sys.argv[1])) as lock:
    lock.acquire()
    print("held", flush=True)
    time.sleep(10_000)
"""


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock of FOLDER."""
    yield from hold(FOLDER)


def hold(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def written(folder: Path = FOLDER) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / LOCK_FILE).read_text())
    return content


def test_the_lock_says_who_holds_it_and_goes_with_the_work() -> None:
    with DirectoryLock(FOLDER) as lock:
        assert not FOLDER.exists()
        lock.acquire()
        lock.acquire()
        assert (written()["host"], written()["process"]) == (socket.gethostname(), os.getpid())
    assert [*FOLDER.iterdir()] == []


def test_a_second_process_is_told_who_is_at_work(holder: subprocess.Popen[str]) -> None:
    held = f"by process {holder.pid} on {socket.gethostname()} since {written()['since']}"
    for take_over in (False, True):
        with (
            pytest.raises(StoreError, match=re.escape(held)),
            DirectoryLock(FOLDER, take_over=take_over) as lock,
        ):
            lock.acquire()
    assert written()["process"] == holder.pid


def test_the_lock_of_a_process_that_was_killed_is_taken_over(
    holder: subprocess.Popen[str],
) -> None:
    holder.kill()
    holder.wait()
    assert written()["process"] == holder.pid
    with DirectoryLock(FOLDER) as lock:
        lock.acquire()
        assert written()["process"] == os.getpid()
    assert not (FOLDER / LOCK_FILE).exists()


def test_the_lock_of_another_machine_is_taken_over_only_when_asked() -> None:
    FOLDER.mkdir()
    elsewhere = {"host": "elsewhere", "process": 7, "since": "2026-01-01T00:00:00+00:00"}
    (FOLDER / LOCK_FILE).write_text(json.dumps(elsewhere))
    refusal = "by process 7 on elsewhere since 2026.*--take-over"
    with pytest.raises(StoreError, match=refusal), DirectoryLock(FOLDER) as lock:
        lock.acquire()
    assert written() == elsewhere
    with DirectoryLock(FOLDER, take_over=True) as lock:
        lock.acquire()
        assert written()["process"] == os.getpid()


@pytest.mark.parametrize("content", ["", "{", '{"host"', "[1, 2]", '{"host": "elsewhere"}', "\x00"])
def test_a_lock_that_was_cut_short_is_nobodys(content: str) -> None:
    FOLDER.mkdir()
    (FOLDER / LOCK_FILE).write_text(content)
    with DirectoryLock(FOLDER) as lock:
        lock.acquire()
        assert written()["process"] == os.getpid()


def test_a_run_that_somebody_works_on_is_refused_and_left_as_it_is(
    benchmark: CommandLine, tmp_path: Path
) -> None:
    tiny = write_tiny_run(tmp_path)
    assert benchmark(*tiny).code == 0
    (run,) = Path("runs").iterdir()
    before = {file: file.read_bytes() for file in run.rglob("*.json")}
    for process in hold(run):
        refused = only_error(benchmark(*tiny, "--fresh"))
        assert f"{run} is in use by process {process.pid} on " in refused
        assert refused.endswith("wait for it to end, or give another --out")
        assert benchmark("table", str(run)).code == 0
        assert {file: file.read_bytes() for file in run.rglob("*.json")} == before
        process.kill()
        process.wait()
        assert benchmark(*tiny, "--seeds", "1").code == 0
    assert not (run / LOCK_FILE).exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with (
        pytest.raises(StoreError, match="lock: cannot be written: Not a directory"),
        DirectoryLock(blocked / "run") as lock,
    ):
        lock.acquire()
