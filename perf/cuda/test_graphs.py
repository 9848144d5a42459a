"""Replays of a graph train as eager steps do."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim
from torch.nn import functional

from benchmark import Augmentation, Optimization
from benchmark.training import Training, tuned
from perf.built_in import MODELS, RECIPES, build_model
from perf.cuda.trainings import (
    BATCH,
    STEPS,
    assert_trained_alike,
    begin,
    by_optimizer,
    by_recipe,
    captured,
    plain_sgd,
    small_model,
    train,
    training_by,
)
from perf.gpu.awkward_models import docs_sgd


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", MODELS)
def test_a_graph_trains_built_in_models_by_built_in_recipes(
    name: str, recipe: str, device: torch.device
) -> None:
    eager, replayed = (training_by(by_recipe(recipe), build_model(name), device) for _ in range(2))
    replayed.model.load_state_dict(copy.deepcopy(eager.model.state_dict()))
    if replayed.average is not None and eager.average is not None:
        replayed.average.load(eager.average.values)
    with captured(replayed) as engine:
        train(replayed, engine.take, range(1, 2))
    train(eager, eager.take, range(1, 2))
    assert eager.steps_taken == replayed.steps_taken == STEPS
    assert_trained_alike(eager, replayed)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_cuda_graph_gives_the_eager_results(optimizer: str, device: torch.device) -> None:
    def optimize(model: nn.Module) -> Optimization:
        makers: dict[str, Callable[[], optim.Optimizer]] = {
            "adam": lambda: optim.Adam(model.parameters(), lr=1e-2, fused=True),
            "sgd": lambda: optim.SGD(
                model.parameters(), lr=0.1, momentum=0.9, nesterov=True, fused=True
            ),
        }
        return Optimization(
            optimizer=makers[optimizer](),
            learning_rate_factors=[1.0 - step / 100 for step in range(100)],
            loss=functional.cross_entropy,
            augment=Augmentation(flip=True, crop_padding=1, cutout=2),
            ema_decay=0.9,
        )

    eager, replayed = (training_by(optimize, small_model(), device) for _ in range(2))
    with captured(replayed) as engine:
        train(replayed, engine.take, range(1, 2))
    train(eager, eager.take, range(1, 2))
    assert_trained_alike(eager, replayed)


def test_sgd_as_the_docs_teach_it_is_captured(device: torch.device) -> None:
    def optimize(model: nn.Module) -> Optimization:
        return docs_sgd(model, STEPS, BATCH)

    eager, replayed = (training_by(optimize, small_model(), device) for _ in range(2))
    with captured(replayed) as engine:
        train(replayed, engine.take, range(1, 3))
    train(eager, eager.take, range(1, 3))
    assert_trained_alike(eager, replayed)


class ShowsItsMask(nn.Module):
    """Keeps the mask that its dropout drew last, in place, where replays write it too."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.layer = nn.Linear(3 * 32 * 32, 10)
        self.mask: Tensor
        self.register_buffer("mask", torch.zeros(BATCH, 64))

    def forward(self, pixels: Tensor) -> Tensor:
        """Map N x 3 x 32 x 32 pixels to N x 10 logits."""
        if self.training:
            self.mask.copy_(self.dropout(torch.ones_like(self.mask)))
        logits: Tensor = self.layer(pixels.flatten(1))
        return logits


def test_replays_draw_other_dropout_masks_each_step_which_eager_steps_draw(
    device: torch.device,
) -> None:
    def masks(training: Training, take: Callable[[int], None]) -> list[Tensor]:
        begin(training, 1)
        drawn = []
        for _ in range(4):
            take(1)
            drawn.append(training.model.get_buffer("mask").clone())
        return drawn

    eager, replayed = (
        training_by(by_optimizer(plain_sgd), ShowsItsMask(), device) for _ in range(2)
    )
    with captured(replayed) as engine:
        of_replays = masks(replayed, engine.take)
    for mask, next_mask in itertools.pairwise(of_replays):
        assert not torch.equal(mask, next_mask)
    assert all(map(torch.equal, masks(eager, eager.take), of_replays))


def test_replays_read_the_rate_of_their_own_step_and_its_factor(device: torch.device) -> None:
    factors = [1.0, 0.0] * (10 * STEPS)
    training = training_by(by_optimizer(plain_sgd, factors), small_model(), device)
    weight = next(training.model.parameters())

    def moves() -> bool:
        before = weight.detach().clone()
        engine.take(1)
        return not torch.equal(before, weight)

    with captured(training) as engine:
        begin(training, 1)
        assert [moves() for _ in range(4)] == [True, False, True, False]
        training.rates.factor = 0.0
        assert [moves() for _ in range(2)] == [False, False]
        training.rates.factor = 0.5
        assert [moves() for _ in range(2)] == [True, False]


def test_a_second_phase_is_captured_once_the_first_engine_is_let_go(device: torch.device) -> None:
    eager, replayed = (training_by(by_recipe("adam"), small_model(), device) for _ in range(2))
    for epoch, drops_out in ((1, True), (2, False)):
        for training in (eager, replayed):
            training.drops_out = drops_out
        with captured(replayed) as engine:
            train(replayed, engine.take, range(epoch, epoch + 1))
        train(eager, eager.take, range(epoch, epoch + 1))
    assert_trained_alike(eager, replayed)


@pytest.mark.parametrize("precision", ["bf16", "tf32"])
def test_other_precisions_are_captured(precision: str, device: torch.device) -> None:
    if precision == "tf32" and device.type != "cuda":
        pytest.skip("needs a CUDA GPU")
    with tuned(device, precision):
        model: Any = build_model("separable_cnn")
        training = training_by(by_recipe("adam"), model, device, precision)
        with captured(training) as engine:
            train(training, engine.take, range(1, 2))
    assert torch.isfinite(training.losses).all()
