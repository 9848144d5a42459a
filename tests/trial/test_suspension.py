"""Time that a process did not have is counted against nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given, strategies as st

from benchmark.errors import BenchmarkError
from benchmark.running_clock import LONGEST_TICK_SECONDS, RunningClock
from benchmark.training.clock import TimeAccount
from benchmark.trial.running import SUSPENDED
from benchmark_plugins.datasets import cifar10
from tests.support.command_process import start
from tests.support.trial_files import trial_record

# A busy machine takes some seconds to start a process.
SILENCE_SECONDS = 6
EPOCHS = 4
PLUGIN = """
import os, time
from pathlib import Path
from torch import nn
from benchmark import ModelEntry, Tracker, TrackerEntry, hookimpl

EPOCHS = [1]

class Waits(nn.Sequential):
    def forward(self, pixels):
        epoch = EPOCHS[-1]
        if epoch in (2, 3) and not Path(f"go {epoch}").exists():
            Path("part").write_text(str(os.getpid()))
            Path("part").rename(f"waits {epoch}")
            while not Path(f"go {epoch}").exists():
                time.sleep(0.01)
        return super().forward(pixels)

class Notes(Tracker):
    def on_epoch_end(self, epoch):
        EPOCHS.append(epoch.number + 1)

@hookimpl
def benchmark_models():
    yield ModelEntry("waits", lambda shape, classes: Waits(nn.Flatten(), nn.LazyLinear(classes)))

@hookimpl
def benchmark_trackers():
    yield TrackerEntry("notes", lambda options: Notes())
"""
CONFIG = f"""
name: suspended
dataset: {{name: synthetic, train_images: 64, test_images: 20, size: 8}}
models: [waits]
epochs: {EPOCHS}
batch_size: 16
precision: fp32
device: cpu
trackers: [notes]
executor: {{name: local, silence_seconds: {SILENCE_SECONDS}}}
"""


def start_run() -> subprocess.Popen[str]:
    """Start a run whose trial waits in its second and in its third epoch."""
    Path("waits.py").write_text(PLUGIN)
    Path("waits.yaml").write_text(CONFIG)
    return start("run", "waits.yaml", "-p", "waits.py")


def process_that_waits(run: subprocess.Popen[str], epoch: int) -> int:
    """The trial's process, once it waits in that epoch."""
    file = Path(f"waits {epoch}")
    while not file.exists():
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)
    return int(file.read_text())


def suspend(*processes: int) -> None:
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    time.sleep(SILENCE_SECONDS + 1.5)
    for process in processes:
        os.kill(process, signal.SIGCONT)


def test_a_run_that_is_suspended_resumes() -> None:
    """First its own process alone, in which its worker goes on; then both."""
    run = start_run()
    process_that_waits(run, 2)
    suspend(run.pid)
    Path("go 2").touch()
    suspend(run.pid, process_that_waits(run, 3))
    Path("go 3").touch()
    _, said = run.communicate()
    assert run.returncode == 0, said
    record = trial_record("waits")
    assert record["status"] == "completed"
    assert [epoch["timed"] for epoch in record["epochs"]] == [True, True, False, True]
    assert record["warnings"] == [SUSPENDED]
    assert record["epochs"][2]["train_seconds"] > SILENCE_SECONDS


def test_a_worker_that_alone_is_stopped_is_silent() -> None:
    run = start_run()
    os.kill(process_that_waits(run, 2), signal.SIGSTOP)
    _, said = run.communicate()
    assert run.returncode == 1, said
    reason = f"no sign of life for {SILENCE_SECONDS} s, in epoch 2 of {EPOCHS}"
    assert (trial_record("waits")["status"], trial_record("waits")["reason"]) == ("failed", reason)


class FakeTime:
    """A wall clock, and the processor's time of a process."""

    def __init__(self) -> None:
        self.wall = 100.0
        self.processor = 7.0
        self.clock = RunningClock(lambda: self.wall, lambda: self.processor)

    def pass_by(self, seconds: float, worked: float = 0.0) -> None:
        self.wall += seconds
        self.processor += worked
        self.clock.look()


looks = st.lists(st.floats(0.0, LONGEST_TICK_SECONDS), max_size=50)


@given(before=looks, gap=st.floats(1.0, 1e6), after=looks)
def test_a_gap_is_time_that_the_process_did_not_have(
    before: list[float], gap: float, after: list[float]
) -> None:
    time_of = FakeTime()
    for seconds in before:
        time_of.pass_by(seconds)
    assert time_of.clock.seconds == pytest.approx(sum(before))
    time_of.pass_by(gap)
    for seconds in after:
        time_of.pass_by(seconds)
    assert time_of.clock.seconds == pytest.approx(sum(before) + LONGEST_TICK_SECONDS + sum(after))
    assert time_of.clock.suspended_seconds == pytest.approx(gap)


def test_a_process_that_works_is_not_suspended() -> None:
    """Native code may keep the thread that looks from running."""
    time_of = FakeTime()
    time_of.pass_by(60, worked=55)
    assert time_of.clock.suspended_seconds == 0


def test_a_stretch_knows_whether_the_process_was_suspended_in_it() -> None:
    time_of = FakeTime()
    account = TimeAccount(torch.device("cpu"), time_of.clock)
    with account.charge("training") as disturbed:
        time_of.wall += 30
    with account.charge("training") as undisturbed:
        pass
    assert (disturbed.was_suspended, undisturbed.was_suspended) == (True, False)


def test_a_cluster_is_not_lost_while_the_driver_is_suspended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("ray")
    from benchmark_plugins.executors.cluster import connection
    from benchmark_plugins.executors.cluster.request import Request

    monkeypatch.setattr(connection.ray, "nodes", list)
    time_of = FakeTime()
    watch = connection.ClusterWatch(Request(1, 0, 0), time_of.clock)
    time_of.pass_by(connection.PATIENCE_SECONDS * 2)
    watch.look(is_silent=True)
    for _ in range(round(connection.PATIENCE_SECONDS / LONGEST_TICK_SECONDS)):
        time_of.pass_by(LONGEST_TICK_SECONDS)
    with pytest.raises(BenchmarkError, match="no node has room"):
        watch.look(is_silent=True)


def test_an_answer_that_came_while_the_process_was_suspended_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    time_of = FakeTime()
    monkeypatch.setattr(cifar10, "RunningClock", lambda: time_of.clock)
    monkeypatch.setattr(cifar10, "NETWORK_SECONDS", LONGEST_TICK_SECONDS * 2)

    def answer_late(url: str, outcome: list[object]) -> None:
        time_of.wall += 3600
        time.sleep(cifar10.TICK_SECONDS * 3)
        outcome.append(url)

    monkeypatch.setattr(cifar10, "_ask", answer_late)
    answer: object = cifar10._open("an answer")
    assert answer == "an answer"
