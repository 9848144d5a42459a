"""The state of a training: what does not fit is named, and nothing is put back then."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from benchmark.training.state import MisfitError, check_fits, state_of
from tests.support.made_training import make_training, random_images

State = dict[str, Any]


def without_weight(state: State) -> None:
    del state["model"]["0.weight"]


def with_another_weight(state: State) -> None:
    state["model"]["9.weight"] = torch.zeros(1)


def with_another_shape(state: State) -> None:
    state["model"]["1.weight"] = torch.zeros(5)


def with_an_average(state: State) -> None:
    state["average"] = {}


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (without_weight, r"0.weight is new, (4, 3, 3, 3)"),
        (with_another_weight, "9.weight is gone"),
        (with_another_shape, "1.weight was (5,), is (4,)"),
        (with_an_average, "weights are averaged now, or no longer"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(
    change: Callable[[State], None], difference: str
) -> None:
    training = make_training(images=random_images(8), batch_size=4)
    state = copy.deepcopy(state_of(training))
    check_fits(training, state)
    change(state)
    with pytest.raises(MisfitError) as refusal:
        check_fits(training, state)
    assert str(refusal.value) == difference
