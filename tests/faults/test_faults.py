"""Runs that are killed, or whose disk fails, at random moments end with the same results."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import count, cycle
from pathlib import Path

import pytest

from tests.faults import failing_disk
from tests.support import misbehaving
from tests.support.command_process import start
from tests.support.sampling import chance, is_whole, sampled
from tests.support.trial_files import figures, read_record

# A few in the sample of a commit; each costs a start of PyTorch, or several.
FAULTS = 50 if is_whole() else 2
MODELS = ("steady", "cannot_be_pickled")
SEEDS = (0, 1) if is_whole() else (0,)
EPOCHS = 30
CONFIG = f"""
name: faulty
dataset: {{name: synthetic, train_images: 64, test_images: 20, size: 8}}
models: [{", ".join(MODELS)}]
epochs: {EPOCHS}
batch_size: 16
seeds: {len(SEEDS)}
precision: fp32
device: cpu
"""
KILLS = ("parent", "worker", "both")
DISK_FAULTS = {"disk full": "ENOSPC", "permission denied": "EACCES"}
# A run writes some 35 files and lines for each trial in a process; a worker half as many.
MOST_WRITES = 35 * len(SEEDS)
# The longest that a start of a worker takes on an idle machine.
LONGEST_START_SECONDS = 4.0
KEPT = {"predictions.npy", "weights.safetensors"}
FILES = {"trial.json", "history.jsonl", "log.txt", "where.json", *KEPT}


@pytest.mark.timeout(3600 if is_whole() else 600)
def test_runs_survive_whatever_happens_to_them(capsys: pytest.CaptureFixture[str]) -> None:
    Path("faulty.yaml").write_text(CONFIG)
    assert complete("undisturbed") == 0
    draws = chance("faults")
    kinds = cycle(sampled("kinds of faults", [*KILLS, *DISK_FAULTS], FAULTS))
    happened: Counter[str] = Counter()
    for number in count():
        out = f"disturbed-{number}"
        while happened.total() < FAULTS and not is_complete(out):
            kind = next(kinds)
            happened[kind] += disturb(kind, out, draws)
        assert complete(out) == 0
        assert_nothing_had_happened(out)
        if happened.total() >= FAULTS:
            break
    with capsys.disabled():
        told = ", ".join(f"{kind} {times}" for kind, times in happened.items())
        print(f"\n{happened.total()} faults in {number + 1} runs: {told}")


def disturb(kind: str, out: str, draws: random.Random) -> bool:
    """Go on with a run, and disturb it; False if it ended before anything happened."""
    if kind in DISK_FAULTS:
        return starve(DISK_FAULTS[kind], out, draws)
    process = train(out)
    wait_for_a_moment(process, draws)
    victims = [process.pid] if kind != "worker" else []
    if kind != "parent":
        victims += workers(process.pid)
    for victim in victims if process.poll() is None else []:
        # A worker may end in between.
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    process.communicate()
    return process.returncode != 0


def wait_for_a_moment(process: subprocess.Popen[str], draws: random.Random) -> None:
    """Some time before the first epoch, or soon after some epoch's end."""
    if draws.random() < 0.3:
        time.sleep(draws.uniform(0, LONGEST_START_SECONDS))
        return
    assert process.stderr is not None
    epochs_left = draws.randint(1, EPOCHS * 2)
    for line in process.stderr:
        epochs_left -= " epoch " in line
        if not epochs_left:
            break
    time.sleep(draws.uniform(0, 0.1))


def workers(parent: int) -> list[int]:
    """The numbers of the processes in which trials are carried out."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_text()
            state = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(state[1]) == parent and "processes.worker" in command:
            found.append(int(folder.name))
    return found


def starve(error: str, out: str, draws: random.Random) -> bool:
    """Have some write fail, and all after it, in the parent or in a worker."""
    first = draws.randint(1, MOST_WRITES)
    process = train(out, **{failing_disk.FAILING_DISK: f"{error} {first}"})
    table, said = process.communicate()
    if process.returncode == 0:
        return False
    assert (process.returncode, table) == (2, ""), said
    refusal = said.splitlines()[-1]
    assert refusal.startswith("benchmark: error: "), said
    assert "cannot be written: " in refusal
    return True


def train(out: str, **environment: str) -> subprocess.Popen[str]:
    plugins = (*misbehaving.CHOSEN, "-p", failing_disk.__file__)
    run = ("run", "faulty.yaml", "--retry-failed", *plugins, "--out", out)
    return start(*run, environment=environment)


def complete(out: str) -> int:
    process = train(out)
    _, said = process.communicate()
    assert "Traceback" not in said
    return process.returncode


def trial_folders(out: str) -> Iterator[Path]:
    for model in MODELS:
        for seed in SEEDS:
            yield from Path(out).glob(f"faulty-*/trials/{model}/*/seed-{seed}")


def is_complete(out: str) -> bool:
    statuses = [
        read_record(folder)["status"] for folder in trial_folders(out) if has_record(folder)
    ]
    return statuses == ["completed"] * len(MODELS) * len(SEEDS)


def has_record(folder: Path) -> bool:
    return (folder / "trial.json").exists()


def assert_nothing_had_happened(out: str) -> None:
    for before, after in zip(trial_folders("undisturbed"), trial_folders(out), strict=True):
        expected, found = read_record(before), read_record(after)
        assert found["status"] == "completed"
        assert found["correct"] == expected["correct"]
        assert figures(found) == figures(expected)
        lines = (after / "history.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == found["epochs"]
        assert {file.name for file in after.iterdir()} == FILES
    (run,) = Path(out).iterdir()
    assert {file.name for file in run.iterdir()} == {"run.json", "trials"}
