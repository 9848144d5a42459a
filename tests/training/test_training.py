"""The training loop: order, seeds, figures, and that the same seed gives the same weights."""

from __future__ import annotations

import copy
import hashlib
from collections import Counter
from typing import Any

import numpy
import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn, optim
from torch.nn import functional

from benchmark import Images, Optimization, TrainingPlan
from benchmark.training.data import ResidentImages, epoch_order
from benchmark.training.loop import DivergedError, epoch_figures
from benchmark.training.precision import resolve_precision
from benchmark.training.preparation import as_floats
from benchmark.training.seeds import seed_everything
from benchmark.training.state import restore, state_of
from benchmark.training.training import Training
from benchmark_plugins.models.baseline_cnn import BaselineCNN
from benchmark_plugins.models.separable_cnn import SeparableCNN
from benchmark_plugins.recipes.adam import AdamOptions, configure
from tests.support.made_training import random_images, train_all

CPU = torch.device("cpu")
seeds = st.integers(min_value=0, max_value=2**32)


def linear_training(images: ResidentImages, batch_size: int, **rates: float) -> Training:
    dense = nn.Linear(images.pixels[0].numel(), 3)
    model = nn.Sequential(nn.Flatten(), dense)
    nn.init.zeros_(dense.weight)
    nn.init.zeros_(dense.bias)
    optimization = Optimization(
        optimizer=optim.SGD(model.parameters(), lr=rates.get("lr", 0.1)),
        learning_rate_factors=[1.0] * 1000,
        loss=functional.cross_entropy,
    )
    return Training(model, optimization, images, batch_size, "fp32")


@given(st.integers(1, 2000), seeds, st.integers(1, 10_000))
def test_an_epoch_is_a_permutation_that_seed_and_epoch_decide(
    size: int, seed: int, epoch: int
) -> None:
    order = epoch_order(size, seed, epoch)
    assert sorted(order.tolist()) == list(range(size))
    assert torch.equal(order, epoch_order(size, seed, epoch))


def test_orders_differ_between_epochs_and_seeds() -> None:
    orders = [epoch_order(1000, seed, epoch) for seed in (0, 1) for epoch in (1, 2)]
    assert len({tuple(order.tolist()) for order in orders}) == 4


def test_the_order_is_the_same_in_every_version() -> None:
    digest = hashlib.sha256(epoch_order(50_000, 3, 7).numpy().astype("<i8").tobytes()).hexdigest()
    assert digest[:16] == "d778d92b06397372"


def test_every_step_sees_its_batch_and_the_rest_is_left_out() -> None:
    images = random_images(23)
    seen: list[torch.Tensor] = []
    training = linear_training(images, batch_size=5)
    training.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    training.begin_epoch(seed=7, epoch=3)
    training.take(4)
    assert training.steps_per_epoch == 4
    expected = images.pixels[epoch_order(23, 7, 3)[:20]]
    assert torch.equal(torch.cat(seen), as_floats(expected))


def test_pixels_are_divided_by_255_and_nothing_else() -> None:
    pixels = numpy.arange(256, dtype=numpy.uint8).reshape(1, 1, 16, 16)
    images = ResidentImages(Images(pixels, numpy.zeros(1, numpy.int64)), CPU)
    batch = as_floats(images.pixels)
    assert torch.equal(batch.flatten(), torch.arange(256) / 255)
    assert images.pixels.dtype == torch.uint8


def test_loss_and_accuracy_are_those_of_the_steps() -> None:
    images = random_images(40)
    training = linear_training(images, batch_size=10, lr=0.0)
    training.begin_epoch(seed=0, epoch=1)
    training.take(4)
    loss, accuracy = epoch_figures(training, epoch=1)
    # A linear model of zeros gives every class the same logit, and argmax takes the first.
    assert loss == pytest.approx(numpy.log(3), rel=1e-6)
    assert accuracy == float((images.labels == 0).double().mean())


def test_the_recipes_factors_scale_every_groups_rate() -> None:
    images = random_images(20)
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    optimizer = optim.SGD(
        [{"params": [model[1].weight], "lr": 0.1}, {"params": [model[1].bias], "lr": 0.5}]
    )
    optimization = Optimization(optimizer, [1.0, 0.5, 0.25, 2.0], functional.cross_entropy)
    training = Training(model, optimization, images, 10, "fp32")
    rates = []
    for epoch in (1, 2):
        training.begin_epoch(0, epoch)
        for _ in range(2):
            training.take(1)
            rates.append([group["lr"] for group in optimizer.param_groups])
    assert rates == [[0.1, 0.5], [0.05, 0.25], [0.025, 0.125], [0.2, 1.0]]


def test_a_loss_that_is_not_finite_names_epoch_and_step() -> None:
    images = random_images(40)
    training = linear_training(images, batch_size=10)
    calls = Counter[str]()

    def breaks_at_the_seventh(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        calls["loss"] += 1
        loss = functional.cross_entropy(logits, labels)
        return loss * float("nan") if calls["loss"] == 7 else loss

    training.optimization = Optimization(
        training.optimization.optimizer,
        training.optimization.learning_rate_factors,
        breaks_at_the_seventh,
    )
    with pytest.raises(DivergedError, match="epoch 2, step 3 of 4"):
        train_all(training, images, seed=0, epochs=3)


@pytest.mark.parametrize("build", [BaselineCNN, SeparableCNN])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_seed_gives_the_same_weights_bit_for_bit(
    build: type[nn.Module], precision: str
) -> None:
    first = trained_weights(build, precision, seed=5)
    assert first == trained_weights(build, precision, seed=5)
    assert first != trained_weights(build, precision, seed=6)


def trained_weights(build: type[nn.Module], precision: str, seed: int) -> str:
    """Train two epochs of three steps; return a digest of the model's state."""
    images = random_images(48, side=24)
    seed_everything(seed, 0)
    model = build((3, 24, 24), 3).to(memory_format=torch.channels_last)
    plan = TrainingPlan(
        epochs=2, steps_per_epoch=3, batch_size=16, options=AdamOptions(), num_classes=3
    )
    training = Training(model, configure(model, plan), images, 16, precision)
    train_all(training, images, seed=seed, epochs=2)
    digest = hashlib.sha256()
    for value in model.state_dict().values():
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()


def test_seeding_reaches_every_generator() -> None:
    import random

    def draw() -> tuple[float, float, float]:
        return random.random(), float(numpy.random.rand()), float(torch.rand(()))

    seed_everything(1, 0)
    first = draw()
    seed_everything(1, 0)
    assert draw() == first
    seed_everything(1, 1)
    assert not set(draw()) & set(first)


def test_master_weights_stay_fp32_under_bf16() -> None:
    images = random_images(32, side=24)
    model = SeparableCNN((3, 24, 24), 3)
    plan = TrainingPlan(
        epochs=1, steps_per_epoch=2, batch_size=16, options=AdamOptions(), num_classes=3
    )
    training = Training(model, configure(model, plan), images, 16, "bf16")
    train_all(training, images, seed=0, epochs=1)
    floats = [value for value in model.state_dict().values() if value.is_floating_point()]
    assert {value.dtype for value in floats} == {torch.float32}
    assert training.losses.dtype == torch.float32


def test_precision_is_what_was_asked_for() -> None:
    assert resolve_precision("fp32", CPU) == "fp32"
    assert resolve_precision("bf16", CPU) == "bf16"
    assert resolve_precision("auto", CPU) in ("fp32", "bf16")


def test_what_an_optimizers_hooks_add_to_its_state_is_kept() -> None:
    """PyTorch's protocol for state of an optimiser's that is in no parameter's state."""
    training = make_training_with_hooks()
    vars(training.optimization.optimizer)["calls"] = 7
    state = copy.deepcopy(state_of(training))
    assert state["optimizers"][0]["calls"] == 7
    fresh = make_training_with_hooks()
    restore(fresh, state)
    assert vars(fresh.optimization.optimizer)["calls"] == 7


def make_training_with_hooks() -> Training:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.calls = 0

    def add(optimizer: Any, state: dict[str, Any]) -> None:
        state["calls"] = optimizer.calls

    def take(optimizer: Any, state: dict[str, Any]) -> dict[str, Any]:
        optimizer.calls = state["calls"]
        return {name: value for name, value in state.items() if name != "calls"}

    optimizer.register_state_dict_post_hook(add)
    optimizer.register_load_state_dict_pre_hook(take)
    images = Images(numpy.zeros((4, 3, 2, 2), numpy.uint8), numpy.zeros(4, numpy.int64))
    return Training(
        model,
        Optimization(optimizer, [1.0], functional.cross_entropy),
        ResidentImages(images, torch.device("cpu")),
        2,
        "fp32",
    )
