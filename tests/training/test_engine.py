"""Engine and precision as a user meets them: flags, refusals, what the record says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from benchmark.errors import DeviceError
from benchmark.training.precision import computing_in, resolve_precision
from tests.conftest import CommandLine, only_error
from tests.support.made_training import CPU, make_training, random_images
from tests.support.tiny import write_tiny_run


@pytest.fixture
def tiny() -> list[str]:
    return write_tiny_run(Path())


def records() -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(Path("runs").rglob("trial.json"))]


def test_a_trial_on_a_cpu_is_eager_and_says_so(benchmark: CommandLine, tiny: list[str]) -> None:
    assert benchmark(*tiny).code == 0
    for record in records():
        assert (record["engine"], record["engine_reason"]) == ("eager", None)
        assert (record["compiled"], record["resumed"]) == (False, 0)
        assert record["timing"]["compile_seconds"] == record["timing"]["capture_seconds"] == 0


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--engine", "graph"), "engine graph needs a CUDA GPU, and this run is for cpu"),
        (("--precision", "tf32"), "precision tf32 needs an NVIDIA GPU"),
        (("--engine", "fast"), "should be 'auto', 'eager' or 'graph'"),
        (("--set", "compile=1"), "compile: should be a valid boolean"),
        (("--set", "checkpoint_every=0"), "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_had_is_refused_in_a_line(
    benchmark: CommandLine, tiny: list[str], flags: tuple[str, ...], complaint: str
) -> None:
    assert complaint in only_error(benchmark(*tiny, *flags))
    assert not Path("runs").exists()


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_model_trains_as_one_that_is_not(
    benchmark: CommandLine, tiny: list[str]
) -> None:
    arguments = (*tiny, "-m", "tiny", "--seeds", "1")
    assert benchmark(*arguments).code == 0
    (plain,) = records()
    assert benchmark(*arguments, "--compile", "--fresh").code == 0
    (compiled,) = records()
    assert (plain["compiled"], compiled["compiled"]) == (False, True)
    assert compiled["timing"]["compile_seconds"] > 0
    for mine, theirs in zip(plain["epochs"], compiled["epochs"], strict=True):
        assert mine["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-5)
        assert mine["test_loss"] == pytest.approx(theirs["test_loss"], rel=1e-5)


class UsesItsWeightThrice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(192, 192)
        self.head = nn.Linear(192, 3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        hidden = pixels.flatten(1)
        for _ in range(3):
            hidden = self.layer(hidden)
        logits: torch.Tensor = self.head(hidden)
        return logits


def test_weights_are_cast_once_a_step_not_once_an_operation() -> None:
    training = make_training(
        images=random_images(8), batch_size=4, model=UsesItsWeightThrice(), precision="bf16"
    )
    training.begin_epoch(0, 1)
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiled:
        training.take(1)
    casts = [
        event
        for event in profiled.events()
        if event.name == "aten::_to_copy"
        and event.input_shapes[0] == [192, 192]
        and event.cpu_parent is not None
    ]
    # The weight on its way in, and its gradient on its way out.
    assert len(casts) == 2


def test_bf16_computes_in_bf16_and_fp32_in_fp32() -> None:
    layer, values = nn.Linear(4, 4), torch.rand(2, 4)
    with computing_in("bf16", CPU):
        assert layer(values).dtype == torch.bfloat16
    with computing_in("fp32", CPU):
        assert layer(values).dtype == torch.float32


def test_tf32_is_refused_where_there_is_none() -> None:
    with pytest.raises(DeviceError, match="use fp32 or bf16"):
        resolve_precision("tf32", CPU)
