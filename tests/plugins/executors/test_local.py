"""A process for every trial: whatever a plugin does in it costs its own row, and nothing else."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.display.training_display import LOG_LINES
from benchmark.records import TrialRecord
from benchmark.running_clock import RunningClock
from benchmark.specs import TrialSpec
from benchmark_plugins.executors.local import LocalOptions, Slot, WorkerPool, _slots
from benchmark_plugins.executors.processes import started_process, worker_pool, worker_process
from benchmark_plugins.executors.processes.captured_output import CapturedOutput
from benchmark_plugins.executors.processes.guardian import RUN_DIED
from benchmark_plugins.executors.processes.openmp import (
    SPIN_COUNT,
    WAIT_POLICY,
    with_short_spins,
)
from tests.conftest import CommandLine, Result, only_error
from tests.support import misbehaving
from tests.support.command_process import start
from tests.support.sampling import sampled
from tests.support.trial_files import figures, trial_folder, trial_record

EPOCHS = 3
PARAMETERS = (3 * 8 * 8 + 1) * 10
CONFIG = f"""
name: local
dataset: {{name: synthetic, train_images: 64, test_images: 20, size: 8}}
models: [steady]
epochs: {EPOCHS}
batch_size: 16
precision: fp32
device: cpu
checkpoint_every: 1
executor: local
"""
Train = Callable[..., Result]


def arguments(models: Sequence[str], *more: str) -> list[str]:
    Path("local.yaml").write_text(CONFIG)
    chosen = [part for model in models for part in ("-m", model)]
    return ["run", "local.yaml", *misbehaving.CHOSEN, *chosen, *more]


@pytest.fixture
def train(benchmark: CommandLine) -> Train:
    """Train models that misbehave, each in a process of its own."""

    def run(*models: str, more: Sequence[str] = ()) -> Result:
        return benchmark(*arguments(models, *more))

    return run


INLINE = ("--executor", "inline", "--out", "inline")


def log(model: str) -> str:
    return (trial_folder(model) / "log.txt").read_text()


OF_THE_LIMIT = r"; its process may allocate no more than 6 GiB \(executor\.memory_gib\)"
FAILED = {
    "raises": ("failed", r"RuntimeError: no such layer"),
    "diverges": ("diverged", r"the loss is not finite in epoch 2, step 1 of 4"),
    "runs_out_of_memory": (
        "failed",
        rf"RuntimeError: .*can't allocate memory.*{OF_THE_LIMIT}",
    ),
    "refused_in_c": (
        "failed",
        rf"its process was ended by SIGABRT, in epoch 2 of 3{OF_THE_LIMIT}",
    ),
    "out_of_gpu_memory": (
        "failed",
        r"OutOfMemoryError: CUDA out of memory\. Tried to allocate 90\.00 GiB\.",
    ),
    "starts_threads": ("failed", rf"RuntimeError: can't start new thread{OF_THE_LIMIT}"),
    "is_killed": (
        "failed",
        r"its process was ended by SIGKILL \(so does the system when memory runs out\), "
        r"in epoch 2 of 3",
    ),
    "crashes": ("failed", r"its process was ended by SIGSEGV, in epoch 2 of 3"),
    "exits": (
        "failed",
        r"its process ended with exit code 0, in epoch 2 of 3: the end is near",
    ),
    "interrupts": ("failed", r"KeyboardInterrupt, in epoch 2 of 3"),
}
UNHARMED = ("leaves_its_mark", "leaves_a_process", "keeps_a_thread", "prints", "cannot_be_pickled")
LIMITED = ("--set", "executor.memory_gib=6")


@pytest.mark.parametrize("model", sampled("models that fail", [*FAILED], 3))
def test_a_model_that_fails_has_a_row_that_says_how(train: Train, model: str) -> None:
    status, reason = FAILED[model]
    result = train(model, more=LIMITED)
    assert result.code == 1
    found = trial_record(model)
    assert found["status"] == status
    assert re.fullmatch(reason, found["reason"]), found["reason"]
    assert f"{model}, seed 0: {status}: {found['reason']}" in result.err
    assert re.search(rf"^{model} .* {status}$", result.out, re.M)
    assert [epoch["number"] for epoch in found["epochs"]] == [1]
    assert found["params"]["total"] == PARAMETERS


@pytest.mark.parametrize("model", sampled("models that change their process", UNHARMED, 2))
def test_a_model_may_change_its_process(
    train: Train, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setattr(worker_process, "SECONDS_TO_END", 1.0)
    assert train(model).code == 0
    assert trial_record(model)["status"] == "completed"
    warnings = trial_record(model)["warnings"]
    assert bool(warnings) == (model == "leaves_its_mark")
    assert all(warning.startswith("the training changed the ") for warning in warnings[:2])
    if model in ("prints", "cannot_be_pickled"):
        train("steady", more=INLINE)
        assert figures(trial_record(model)) == figures(trial_record("steady", out="inline"))
    if model == "prints":
        assert_the_middle_is_left_out(log(model))
    if model == "leaves_a_process":
        assert_are_gone(misbehaving.PROCESSES.read_text())


def test_a_crash_costs_its_own_row(train: Train) -> None:
    result = train("crashes_when_built", "steady")
    assert result.code == 1
    at_once = trial_record("crashes_when_built")
    assert at_once["reason"] == "its process was ended by SIGSEGV, while it was set up"
    assert (at_once["status"], at_once["epochs"], at_once["params"]) == ("failed", [], None)
    assert re.search(r"^crashes_when_built .* failed$", result.out, re.M)
    assert "Fatal Python error: Segmentation fault" in log("crashes_when_built")
    assert re.search(r'File ".*misbehaving.py", line \d+ in __init__', log("crashes_when_built"))
    assert re.search(r"^steady .* completed$", result.out, re.M)
    assert trial_record("steady")["status"] == "completed"


def assert_the_middle_is_left_out(text: str) -> None:
    lines = text.splitlines()
    assert lines.count("000000000") == 100_000
    assert f"{misbehaving.OUTPUT_MEGABYTES - 1:09d}" in lines
    assert f"{misbehaving.OUTPUT_MEGABYTES - 3:09d}" not in lines
    (missing,) = re.findall(r"^\[([\d,]+) bytes are left out here\]$", text, re.M)
    printed = misbehaving.OUTPUT_MEGABYTES * 100_000 * len("000000000\n")
    kept = sum(len(line) + 1 for line in lines if re.fullmatch(r"\d+", line))
    assert abs(int(missing.replace(",", "")) + kept - printed) < 30
    assert len(text) < printed / 2


def test_verbose_shows_the_end_of_a_failed_trials_log(train: Train, benchmark: CommandLine) -> None:
    result = train("raises", more=("-v",))
    shown = [line for line in result.err.splitlines() if line.startswith("    ")]
    assert shown[-1] == "    and a second line"
    assert shown[-2] == "    RuntimeError: no such layer"
    assert [line.strip() for line in shown] == [
        line.strip() for line in log("raises").splitlines()[-LOG_LINES:]
    ]
    later = benchmark("table", str(trial_folder("raises").parents[3]), "-v")
    assert later.err == "benchmark: raises, seed 0: failed: RuntimeError: no such layer\n"


def test_a_full_disk_ends_the_run_in_a_line(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(output: CapturedOutput, part: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(CapturedOutput, "_write", refuse)
    result = train("prints")
    assert (result.code, result.out) == (2, "")
    refusal = result.err.splitlines()[-1]
    assert refusal.startswith("benchmark: error: ")
    assert re.search(r"prints/\w{12}/seed-0/log.txt: cannot be written: No space left", refusal)
    assert "(the disk is full)" in refusal
    end = r"prints/\w{12}/seed-0, and the same command resumes from the checkpoint"
    assert re.search(f"{end}$", refusal)


def test_a_trial_has_the_figures_that_it_has_in_this_process(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(WAIT_POLICY, raising=False)
    monkeypatch.delenv(SPIN_COUNT, raising=False)
    result = train("steady")
    train("steady", more=INLINE)
    local, inline = trial_record("steady"), trial_record("steady", out="inline")
    assert figures(local) == figures(inline)
    assert local["correct"] == inline["correct"]
    assert "device of its own" not in one_paragraph(result.out)
    notes, notes_inline = process_notes(), process_notes("inline")
    assert notes["process"] != os.getpid()
    assert notes["parent"] == os.getpid()
    assert notes["path"] == sys.path
    assert notes["environment"] == {**os.environ, SPIN_COUNT: "10000"}
    assert notes_inline["process"] == os.getpid()


def process_notes(out: str = "runs") -> dict[str, Any]:
    content = (trial_folder("steady", out=out) / misbehaving.NOTES).read_text()
    notes: dict[str, Any] = json.loads(content)
    return notes


@pytest.mark.parametrize("setting", [{WAIT_POLICY: "active"}, {SPIN_COUNT: "7"}])
def test_what_the_user_has_set_of_spinning_is_left_alone(setting: dict[str, str]) -> None:
    environment = {"HOME": "/root", **setting}
    assert with_short_spins(environment) == environment


PLUGIN = """
from torch import nn
from benchmark import ModelEntry, hookimpl

def build(input_shape, num_classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))

@hookimpl
def benchmark_models():
    yield ModelEntry("theirs", build)
"""
OTHER_CODE = (
    r"\S+ has other code than the run began with \({}\); "
    r"make it the same, or give the command again"
)


@pytest.mark.parametrize(
    ("edited", "reason"),
    [
        (f"{PLUGIN}EDITED = 1", OTHER_CODE.format(r"model 'theirs' is (\w+), not (?!\1)\w+")),
        ("broken(", OTHER_CODE.format("model 'theirs' is missing")),
    ],
    ids=["edited", "broken"],
)
def test_a_plugin_that_is_edited_during_a_run_is_found(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch, edited: str, reason: str
) -> None:
    """Here after the command has loaded it, and before a worker does."""
    Path("theirs.py").write_text(PLUGIN)
    Path("local.yaml").write_text(CONFIG.replace("[steady]", "[theirs]"))
    start_worker = WorkerPool.start

    def edit_and_start(pool: WorkerPool, spec: TrialSpec, slot: Slot) -> None:
        Path("theirs.py").write_text(edited)
        start_worker(pool, spec, slot)

    monkeypatch.setattr(WorkerPool, "start", edit_and_start)
    result = benchmark("run", "local.yaml", "-p", "theirs.py")
    assert result.code == 1
    refused = trial_record("theirs")
    assert (refused["status"], refused["epochs"]) == ("refused", [])
    assert re.fullmatch(reason, refused["reason"])
    assert "1 of 1 trials are not finished yet: the same command continues" in result.err


# So many seconds pass in one, for a run that is in a hurry.
HURRY = 400


def hurry_while(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the clock that limits are counted by run fast as long as a file exists."""

    class HurriedClock(RunningClock):
        def look(self) -> None:
            before = self.seconds
            super().look()
            if file.exists():
                self.seconds += (HURRY - 1) * (self.seconds - before)

    monkeypatch.setattr(worker_pool, "RunningClock", HurriedClock)
    seconds_to_show_stacks = HURRY * worker_process.SECONDS_TO_SHOW_STACKS
    monkeypatch.setattr(worker_process, "SECONDS_TO_SHOW_STACKS", seconds_to_show_stacks)


@pytest.mark.parametrize(
    ("model", "limits", "status", "reason"),
    [
        ("spins", ("timeout_seconds=60", "silence_seconds=1e6"), "timed_out", "after 60 s"),
        ("holds_the_lock", ("silence_seconds=60",), "failed", "no sign of life for 60 s"),
    ],
    ids=["spins", "holds_the_lock"],
)
def test_a_trial_that_never_ends_is_ended(
    train: Train,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    limits: tuple[str, ...],
    status: str,
    reason: str,
) -> None:
    hurry_while(misbehaving.PROCESSES, monkeypatch)
    settings = [part for limit in limits for part in ("--set", f"executor.{limit}")]
    assert train(model, more=settings).code == 1
    found = trial_record(model)
    assert (found["status"], found["reason"]) == (status, f"{reason}, in epoch 2 of 3")
    assert re.search(r'File ".*misbehaving.py", line \d+ in act', log(model))
    assert_are_gone(misbehaving.PROCESSES.read_text())


def test_limits_count_from_the_first_sign_of_life(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine takes long to start a process, here minutes by the clock of the limits."""
    starting = Path("starting")
    hurry_while(starting, monkeypatch)
    slow_start = (
        f"import pathlib, time; starting = pathlib.Path({str(starting)!r}); starting.touch(); "
        "time.sleep(0.6); starting.unlink(); "
    )
    monkeypatch.setattr(started_process, "BOOTSTRAP", slow_start + started_process.BOOTSTRAP)
    limits = ("--timeout", "60", "--set", "executor.silence_seconds=60")
    assert train("steady", more=limits).code == 0


def test_a_process_that_does_not_start_is_ended(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry_while(Path(), monkeypatch)
    monkeypatch.setattr(started_process, "BOOTSTRAP", "import time; time.sleep(10_000)")
    assert train("steady", more=("--timeout", "60")).code == 1
    found = trial_record("steady")
    assert (found["status"], found["reason"]) == (
        "failed",
        "no sign of life for 300 s, while it was set up",
    )


def assert_are_gone(processes: str) -> None:
    """Processes end soon; a guardian needs a moment, and a busy machine a long one."""
    patience = time.monotonic() + 60
    while left := [process for process in processes.split() if is_alive(process)]:
        assert time.monotonic() < patience, left
        time.sleep(0.05)


def is_alive(process: str) -> bool:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return "State:\tZ" not in status


@pytest.mark.parametrize("whom", ["the parent", "its group"])
def test_no_worker_outlives_its_parent(whom: str) -> None:
    run = start_alone("spins")
    wait_for_processes(run)
    if whom == "the parent":
        run.kill()
    else:
        os.killpg(run.pid, signal.SIGKILL)
    _, said = run.communicate()
    assert said.splitlines()[-1] == RUN_DIED
    assert_are_gone(misbehaving.PROCESSES.read_text())


def start_alone(*command: str) -> subprocess.Popen[str]:
    """Start the command line as a terminal does: with a group for all that it starts."""
    return start(*arguments(command[:1], *command[1:]), new_session=True)


def wait_for_processes(run: subprocess.Popen[str], count: int = 1) -> None:
    """Wait until so many processes are stuck."""
    processes = misbehaving.PROCESSES
    while not (processes.exists() and len(processes.read_text().split()) >= count):
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)


def test_ctrl_c_ends_the_trials_and_the_same_command_resumes_them(train: Train) -> None:
    run = start_alone("waits", "--seeds", "3", "--jobs", "2", "--share-device")
    wait_for_processes(run, 2)
    # As a terminal does: to all of the group that is in its foreground.
    os.killpg(run.pid, signal.SIGINT)
    out, said = run.communicate()
    assert run.returncode == 130
    assert re.search(r"^waits .* interrupted$", out, re.M)
    assert "3 of 3 trials are not finished yet: the same command continues" in said
    assert RUN_DIED not in said
    for seed in (0, 1):
        found = trial_record("waits", seed)
        assert (found["status"], found["reason"]) == ("interrupted", "in epoch 2 of 3")
        assert len(found["epochs"]) == 1
    misbehaving.CONTINUE.touch()
    again = train("waits", more=("--seeds", "1"))
    assert again.code == 0
    assert "waits, seed 0: goes on after epoch 1 of 3" in again.err
    assert trial_record("waits")["resumed"] == 1


def test_ctrl_c_between_two_trials_is_no_success(train: Train) -> None:
    """When no worker is there to be interrupted."""
    seen = []

    def interrupt(pool: WorkerPool, spec: TrialSpec, slot: Slot) -> None:
        seen.append((spec.model, spec.seed))
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WorkerPool, "start", interrupt)
        result = train("steady", more=("--seeds", "2"))
    assert (result.code, seen) == (130, [("steady", 0)])
    assert "2 of 2 trials are not finished yet: the same command continues" in result.err


@pytest.mark.parametrize(
    ("options", "device", "expected"),
    [
        ({}, "cpu", [("cpu", False)]),
        ({}, "cuda", [("cuda:0", False), ("cuda:1", False), ("cuda:2", False)]),
        ({}, "cuda:1", [("cuda:1", False)]),
        ({"jobs": 2}, "cuda", [("cuda:0", False), ("cuda:1", False)]),
        ({"devices": ("cuda:2", "cuda:0")}, "cuda", [("cuda:2", False), ("cuda:0", False)]),
        (
            {"jobs": 4, "share_device": True},
            "cuda",
            [("cuda:0", True), ("cuda:1", False), ("cuda:2", False), ("cuda:0", True)],
        ),
        ({"jobs": 2, "share_device": True}, "cpu", [("cpu", True), ("cpu", True)]),
    ],
)
def test_three_gpus_give_slots(
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    device: str,
    expected: list[tuple[str, bool]],
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    slots = _slots(LocalOptions(**options), device)
    assert [(slot.device, slot.shared) for slot in slots] == expected


def test_ctrl_c_ends_a_trial_that_ignores_it(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "SECONDS_TO_INTERRUPT", 0.5)
    pressed: list[bool] = []
    listen = WorkerPool.ended

    def listen_and_press_ctrl_c(pool: WorkerPool) -> list[tuple[Slot, TrialRecord]]:
        if misbehaving.PROCESSES.exists() and not pressed:
            pressed.append(True)
            raise KeyboardInterrupt
        return listen(pool)

    monkeypatch.setattr(WorkerPool, "ended", listen_and_press_ctrl_c)
    assert train("spins").code == 130
    found = trial_record("spins")
    assert (found["status"], found["reason"]) == ("interrupted", "in epoch 2 of 3")
    assert_are_gone(misbehaving.PROCESSES.read_text())


def test_a_worker_that_is_killed_is_tried_again_and_resumes(train: Train) -> None:
    """The same figures as undisturbed; without --retry-failed it is left alone."""
    train("steady", more=INLINE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(misbehaving.KILLED_IN_EPOCH, "2")
        assert train("steady").code == 1
    assert trial_record("steady")["reason"].startswith("its process was ended by SIGKILL")
    assert trial_record("steady")["timing"]["total_seconds"] > 0
    unasked = train("steady")
    assert unasked.code == 1
    assert "0 of 1 trials completed earlier, 1 failed (--retry-failed tries again)" in unasked.err
    retried = train("steady", more=("--retry-failed",))
    assert "1 to train (1 from a checkpoint, 1 that failed before)" in retried.err
    # It was killed while the second epoch's checkpoint was written, or when it was.
    assert re.search("steady, seed 0: goes on after epoch [12] of 3", retried.err)
    assert (retried.code, trial_record("steady")["status"]) == (0, "completed")
    assert figures(trial_record("steady")) == figures(trial_record("steady", out="inline"))
    assert sorted(file.name for file in trial_folder("steady").iterdir()) == [
        "history.jsonl",
        "log.txt",
        "predictions.npy",
        "trial.json",
        "weights.safetensors",
        misbehaving.NOTES,
    ]


def test_a_trial_that_is_killed_after_its_last_epoch_says_so(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(misbehaving.KILLED_IN_EPOCH, str(EPOCHS))
    assert train("steady").code == 1
    assert trial_record("steady")["reason"].endswith(", after its last epoch")
    assert len(trial_record("steady")["epochs"]) == EPOCHS


def test_trials_that_share_a_device_are_no_timings(train: Train) -> None:
    train("steady", more=("--seeds", "2", *INLINE))
    shared = train("steady", more=("--seeds", "2", "--jobs", "2", "--share-device"))
    assert shared.code == 0
    assert "A trial without a device of its own, or interrupted too often, has none." in (
        one_paragraph(shared.out)
    )
    warning = "cpu was not for this trial alone: its times are no timings"
    for seed in (0, 1):
        found = trial_record("steady", seed)
        assert figures(found) == figures(trial_record("steady", seed, "inline"))
        assert found["warnings"] == [warning]
        assert {epoch["timed"] for epoch in found["epochs"]} == {False}
        assert found["timing"]["epoch_seconds"] is None
        assert found["timing"]["first_epoch_seconds"] is None
        assert f"steady, seed {seed}: {warning}" in shared.err


def one_paragraph(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--jobs", "2"), "2 trials at a time on cpu would share a device: .*--share-device"),
        (("--devices", "cuda:0"), "'cuda:0' is not among .* carried out on: cpu"),
        (("--devices", "cpu,cpu"), "a device is named twice: cpu, cpu"),
        (("--jobs", "0"), "--jobs: .* greater than or equal to 1, got 0"),
        (("--timeout", "-1"), "--timeout: .* greater than 0, got -1.0"),
        (("--executor", "lokal"), "unknown executor 'lokal' - did you mean 'local'\\?"),
        (
            ("--executor", "inline", "--timeout", "5"),
            r"--timeout: unknown key \(executor 'inline' has no options\)",
        ),
    ],
)
def test_an_option_that_cannot_be_met_is_one_line(
    train: Train, flags: tuple[str, ...], complaint: str
) -> None:
    assert re.search(complaint, only_error(train("steady", more=flags)))
    assert not Path("runs").exists()
