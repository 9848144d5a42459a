"""The next worker's process is started while a trial leaves the processors to it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

import benchmark as core
from benchmark_plugins.executors.processes import started_process, worker_pool
from benchmark_plugins.executors.processes.guardian import Guardian
from benchmark_plugins.executors.processes.limits import LimitOptions
from benchmark_plugins.executors.processes.started_process import StartedProcess
from benchmark_plugins.executors.processes.worker_pool import Slot, WorkerPool
from benchmark_plugins.executors.processes.worker_process import WorkerProcess
from tests.conftest import CommandLine
from tests.plugins.executors.test_local import (
    INLINE,
    OTHER_CODE,
    PLUGIN,
    arguments,
    assert_are_gone,
    is_alive,
    start_alone,
    wait_for_processes,
)
from tests.support import misbehaving
from tests.support.made_records import make_spec
from tests.support.sampling import is_drawn
from tests.support.trial_files import figures, trial_folder, trial_record

WAITS_TWICE = ("--seeds", "2")


class Started:
    """The processes that a run starts; ``spare_started`` is called with each that is ahead."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.processes: list[StartedProcess] = []
        self.ahead: list[StartedProcess] = []
        self.spare_started: Callable[[StartedProcess], object] = lambda process: None
        monkeypatch.setattr(worker_pool, "StartedProcess", self._start)

    def _start(self, memory_bytes: int | None, guardian: Guardian) -> StartedProcess:
        is_ahead = any(not process.has_ended() for process in self.processes)
        process = StartedProcess(memory_bytes, guardian)
        self.processes.append(process)
        if is_ahead:
            self.ahead.append(process)
            self.spare_started(process)
        return process


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    return Started(monkeypatch)


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials leave the processors to others, as they do on a GPU, and there are several."""
    monkeypatch.setattr(worker_pool, "leaves_processors", lambda device: True)
    monkeypatch.setattr(worker_pool, "_processors", lambda: 2)


@pytest.mark.usefixtures("roomy")
def test_a_trial_is_the_same_in_a_process_that_was_started_ahead(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch, started: Started
) -> None:
    said = "import os; print('started', os.getpid(), flush=True); "
    monkeypatch.setattr(started_process, "BOOTSTRAP", said + started_process.BOOTSTRAP)
    # No trial ends before the next one's process is there.
    started.spare_started = lambda process: misbehaving.CONTINUE.touch()
    assert benchmark(*arguments(["waits"], *WAITS_TWICE)).code == 0
    assert len(started.processes) == 2
    assert len(started.ahead) == 1
    assert benchmark(*arguments(["steady"], *WAITS_TWICE, *INLINE)).code == 0
    for seed, process in enumerate(started.processes):
        here = trial_record("steady", seed, "inline")
        assert figures(trial_record("waits", seed)) == figures(here)
        text = (trial_folder("waits", seed) / "log.txt").read_text()
        assert re.findall(r"^started (\d+)$", text, re.M) == [str(process.group)]


@pytest.mark.parametrize(
    ("device", "is_set_up", "processors", "spares"),
    [
        ("cuda:0", True, 2, 1),
        ("cuda:0", True, 1, 0),
        ("cuda:0", False, 2, 0),
        ("cpu", True, 16, 0),
    ],
    ids=["a GPU", "one processor", "being set up", "a CPU"],
)
def test_it_is_started_only_where_it_disturbs_no_trial(
    monkeypatch: pytest.MonkeyPatch,
    started: Started,
    device: str,
    is_set_up: bool,
    processors: int,
    spares: int,
) -> None:
    monkeypatch.setattr(worker_pool, "_processors", lambda: processors)
    worker = cast(WorkerProcess, At(is_set_up))
    with a_pool() as pool:
        pool.workers[worker] = Slot(device, shared=False)
        for _ in range(3):
            pool.start_ahead()
        del pool.workers[worker]
        assert len(started.processes) == spares
    assert all(process.has_ended() for process in started.processes)


@dataclass(frozen=True)
class At:
    """A worker as far as a pool asks it whether its trial is under way."""

    is_set_up: bool


@contextmanager
def a_pool() -> Iterator[WorkerPool]:
    with Guardian() as guardian, WorkerPool(LimitOptions(), guardian, lambda event: None) as pool:
        yield pool


@pytest.mark.skipif(
    not is_drawn("test_one_that_dies_before_it_has_a_trial_is_replaced", one_in=2),
    reason="is not in this commit's sample",
)
def test_one_that_dies_before_it_has_a_trial_is_replaced(started: Started) -> None:
    with a_pool() as pool:
        pool.start_ahead()
        (spare,) = started.processes
        os.kill(spare.group, signal.SIGKILL)
        spare.process.wait()
        pool.start(make_spec(), Slot("cpu", shared=False))
        (worker,) = pool.workers
        assert [worker.group] == [process.group for process in started.processes[1:]]


@pytest.mark.usefixtures("roomy")
def test_what_is_edited_before_it_has_a_trial_is_found(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch, started: Started
) -> None:
    """Of a plugin, which it has yet to load, and of the core, which it has imported by then."""
    shutil.copytree(Path(core.__file__).parent, "core")
    core_is_the_copy = (
        "import pathlib, benchmark.catalog.identity as identity; "
        f"identity.CORE = pathlib.Path({str(Path('core').absolute())!r}); "
    )
    search_path, imports = started_process.BOOTSTRAP.split("from ")
    monkeypatch.setattr(
        started_process, "BOOTSTRAP", f"{search_path}{core_is_the_copy}from {imports}"
    )
    Path("theirs.py").write_text(PLUGIN)

    def edit(process: StartedProcess) -> None:
        Path("theirs.py").write_text(f"{PLUGIN}EDITED = 1")
        Path("core/errors.py").write_text("EDITED = 1")
        misbehaving.CONTINUE.touch()

    started.spare_started = edit
    assert benchmark(*arguments(["waits", "theirs"], "-p", "theirs.py")).code == 1
    assert trial_record("waits")["status"] == "completed"
    other = r"is (\w+), not (?!\{})\w+"
    differences = f"benchmark {other.format(1)}; model 'theirs' {other.format(2)}"
    reason = trial_record("theirs")["reason"]
    assert re.fullmatch(OTHER_CODE.format(differences), reason), reason


@pytest.mark.skipif(
    not is_drawn("test_it_has_the_memory_limit_before_it_imports_anything_large", one_in=2),
    reason="is not in this commit's sample",
)
def test_it_has_the_memory_limit_before_it_imports_anything_large() -> None:
    with Guardian() as guardian:
        process = StartedProcess(2**26, guardian)
        # It is refused the memory that PyTorch takes, and never gets to ask for a task.
        assert process.process.wait() != 0
        process.end()
        process.close()


# A plugin that has the run's own process note what it starts, and start it ahead.
SPARES = """
from pathlib import Path
from benchmark_plugins.executors.processes import started_process, worker_pool

class Noted(started_process.StartedProcess):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        with Path("started.txt").open("a") as file:
            file.write(f"{self.group}\\n")

worker_pool.StartedProcess = Noted
worker_pool.leaves_processors = lambda device: True
worker_pool._processors = lambda: 2
"""


@pytest.mark.skipif(
    not is_drawn("test_it_dies_with_the_run", one_in=2), reason="is not in this commit's sample"
)
def test_it_dies_with_the_run() -> None:
    Path("spares.py").write_text(SPARES)
    run = start_alone("waits", *WAITS_TWICE, "-p", "spares.py")
    wait_for_processes(run)
    processes = started_by(run, 2)
    wait_until_it_has_imported(processes[1])
    assert all(map(is_alive, processes))
    run.kill()
    run.communicate()
    assert_are_gone(" ".join(processes))


def wait_until_it_has_imported(process: str) -> None:
    """Wait until a process has PyTorch, without a trial."""
    while "libtorch" not in Path(f"/proc/{process}/maps").read_text():
        time.sleep(0.05)


def started_by(run: subprocess.Popen[str], count: int) -> list[str]:
    """Wait until the run has started so many processes; returns their numbers."""
    started = Path("started.txt")
    while not (started.exists() and len(started.read_text().splitlines()) == count):
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)
    return started.read_text().split()
