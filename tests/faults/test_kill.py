"""Runs that are killed (SIGKILL) at every kind of moment, and end as if nothing had happened."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.support import killing
from tests.support.command_process import start
from tests.support.sampling import chance, is_whole, sampled
from tests.support.trial_files import figures, read_record, trial_folder, trial_record

MODELS = ("baseline_cnn", "separable_cnn")
# Of the kinds of moments, in one run of the tests.
SAMPLED_MOMENTS = 3
EPOCHS = 18
STEPS = 3
CONFIG = f"""
name: killed
dataset: {{name: synthetic, train_images: 48, test_images: 20, size: 24}}
models: [{", ".join(MODELS)}]
epochs: {EPOCHS}
batch_size: 16
seeds: 1
precision: fp32
device: cpu
executor: inline
"""
# When checkpoints are written: the config's line, and so many seconds where that leaves it open.
FORMS = {"every epoch": ("checkpoint_every: 1\n", ""), "some seconds": ("", "0.1")}


@dataclass
class Killed:
    """When a trial was killed, and how often there was a checkpoint then."""

    moments: list[str] = field(default_factory=list)
    with_checkpoint: int = 0
    # Epochs were left to be trained from that checkpoint.
    with_epochs_left: int = 0


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("recipe", "form"),
    sampled("trainings to kill", [*itertools.product(["adam", "sgd_onecycle"], FORMS)], 1),
)
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_weights(
    recipe: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, seconds = FORMS[form]
    Path("killed.yaml").write_text(CONFIG + line)
    monkeypatch.setenv(killing.CHECKPOINT_SECONDS, seconds)
    # Other hashes and addresses must lead to the same weights.
    complete(recipe, "undisturbed", from_nothing=True)
    wanted = sampled(f"moments of {recipe}", killing.MOMENTS, SAMPLED_MOMENTS)
    killed = {
        model: kill_again_and_again(recipe, model, [*filter(wanted.__contains__, moments)])
        for model, moments in moments_by_model(chance(recipe)).items()
    }
    complete(recipe, "killed")

    moments = [moment for trial in killed.values() for moment in trial.moments]
    assert set(moments) == {*wanted}
    for model in MODELS:
        assert_nothing_had_happened(
            trial_folder(model, out="undisturbed"), trial_folder(model, out="killed")
        )
        assert untimed_epochs(model) >= min(1, killed[model].with_epochs_left)
        resumed = trial_record(model, out="killed")["resumed"]
        assert min(1, killed[model].with_checkpoint) <= resumed <= killed[model].with_checkpoint
    if is_whole():
        assert len(moments) >= 15
        assert all(trial.with_epochs_left for trial in killed.values())


def moments_by_model(draws: random.Random) -> dict[str, list[str]]:
    """Deal the moments out; those at a trial's end come last."""
    middle = [*killing.IN_EVERY_STEP, *killing.IN_EVERY_EPOCH, *killing.AT_THE_START]
    draws.shuffle(middle)
    ends = draws.sample(killing.AT_THE_END, 2)
    half = len(middle) // 2
    return {
        MODELS[0]: [*middle[:half], killing.OUTSIDE, ends[0]],
        MODELS[1]: [*middle[half:], killing.OUTSIDE, ends[1]],
    }


def kill_again_and_again(recipe: str, model: str, moments: list[str]) -> Killed:
    draws = chance(f"{recipe} {model}")
    killed = Killed()
    for moment in moments:
        order = f"{model}/{moment}/{number_of(moment, draws)}"
        process = train(recipe, "killed", order)
        if moment == killing.OUTSIDE:
            kill_from_outside(process, model, draws.uniform(0, 0.3))
        code, said = finish(process)
        assert code == -signal.SIGKILL, f"{order}: {said}"
        killed.moments.append(moment)
        has_checkpoint = any(trial_folder(model, out="killed").glob("checkpoint*.pt"))
        killed.with_checkpoint += has_checkpoint
        killed.with_epochs_left += has_checkpoint and moment not in killing.AT_THE_END
    return killed


def number_of(moment: str, draws: random.Random) -> int:
    """In the first or the second epoch that the process trains.

    Where seconds decide, there may be no more than one checkpoint: the last.
    """
    if moment in killing.IN_EVERY_STEP:
        return draws.randint(1, 2 * STEPS)
    is_of_every_epoch = (
        moment in killing.IN_EVERY_EPOCH and not os.environ[killing.CHECKPOINT_SECONDS]
    )
    return draws.randint(1, 2) if is_of_every_epoch else 1


def kill_from_outside(process: subprocess.Popen[str], model: str, seconds: float) -> None:
    assert process.stderr is not None
    next(line for line in process.stderr if re.search(rf"{model} .* epoch \d+/", line))
    time.sleep(seconds)
    process.kill()


def train(
    recipe: str, out: str, order: str = "", *, from_nothing: bool = False
) -> subprocess.Popen[str]:
    run = ("run", "killed.yaml", "-r", recipe, *killing.CHOSEN, "--out", out)
    return start(*run, from_nothing=from_nothing, environment={killing.KILL: order})


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code and what it said."""
    _, said = process.communicate()
    return process.returncode, said


def complete(recipe: str, out: str, *, from_nothing: bool = False) -> None:
    code, said = finish(train(recipe, out, from_nothing=from_nothing))
    assert code == 0, said


def assert_nothing_had_happened(undisturbed: Path, killed: Path) -> None:
    before, after = read_record(undisturbed), read_record(killed)
    assert (killed / killing.DIGEST).read_text() == (undisturbed / killing.DIGEST).read_text()
    assert after["correct"] == before["correct"]
    assert figures(after) == figures(before)
    assert (after["status"], after["warnings"]) == ("completed", [])
    assert sorted(file.name for file in killed.iterdir()) == [
        killing.DIGEST,
        "history.jsonl",
        "log.txt",
        "predictions.npy",
        "trial.json",
        "weights.safetensors",
    ]
    history = [json.loads(line) for line in (killed / "history.jsonl").read_text().splitlines()]
    assert history == after["epochs"]
    timed = [epoch["train_seconds"] for epoch in after["epochs"][1:] if epoch["timed"]]
    assert timed
    middle = sorted(timed)[(len(timed) - 1) // 2 : len(timed) // 2 + 1]
    assert after["timing"]["epoch_seconds"] == sum(middle) / len(middle)
    name = "predictions.npy"
    assert (killed / name).read_bytes() == (undisturbed / name).read_bytes()
    # Of equal files the library writes the metadata in any order.
    weights = [load_file(folder / "weights.safetensors") for folder in (undisturbed, killed)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[1][name], tensor) for name, tensor in weights[0].items())


def untimed_epochs(model: str) -> int:
    """The number of the killed trial's epochs after the first in which it resumed."""
    epochs = trial_record(model, out="killed")["epochs"]
    return sum(not epoch["timed"] for epoch in epochs[1:])
