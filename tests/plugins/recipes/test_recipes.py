"""The recipes: what they do to the optimiser's groups, the rates, the loss and the images."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn, optim
from torch.nn import functional

from benchmark import Augmentation, Optimization, TrainingPlan
from benchmark_plugins.models.separable_cnn import SeparableCNN
from benchmark_plugins.recipes import adam, sgd_onecycle
from benchmark_plugins.recipes.sgd_onecycle import SgdOneCycleOptions, one_cycle
from tests.conftest import CommandLine, only_error
from tests.support.made_training import make_training, random_images
from tests.support.tiny import write_tiny_run


def configure(model: nn.Module, **options: object) -> Optimization:
    plan = TrainingPlan(
        epochs=2,
        steps_per_epoch=5,
        batch_size=4,
        options=SgdOneCycleOptions(**options),
        num_classes=3,
    )
    return sgd_onecycle.configure(model, plan)


def test_adam_is_the_references() -> None:
    plan = TrainingPlan(
        epochs=2, steps_per_epoch=5, batch_size=4, options=adam.AdamOptions(), num_classes=3
    )
    optimization = adam.configure(nn.Linear(2, 2), plan)
    group = optimization.groups[0]
    assert isinstance(optimization.optimizer, optim.Adam)
    assert (group["lr"], group["betas"], group["eps"]) == (1e-3, (0.9, 0.999), 1e-7)
    assert group["weight_decay"] == 0
    assert list(optimization.learning_rate_factors) == [1.0] * 10
    assert optimization.loss is functional.cross_entropy
    assert optimization.augment == Augmentation()
    assert optimization.ema_decay is None


def test_weights_decay_and_biases_and_scales_do_not() -> None:
    model = SeparableCNN((3, 32, 32), 10)
    decayed, others = configure(model, weight_decay=0.01).groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.01, 0.0)
    names = {parameter: name for name, parameter in model.named_parameters()}
    assert {names[parameter].rpartition(".")[2] for parameter in decayed["params"]} == {"weight"}
    assert all(parameter.ndim == 1 for parameter in others["params"])
    assert len(decayed["params"]) + len(others["params"]) == len(names)


def test_sgd_is_nesterovs() -> None:
    (optimizer,) = configure(nn.Linear(2, 2), learning_rate=0.3, momentum=0.8).optimizers
    assert isinstance(optimizer, optim.SGD)
    for group in optimizer.param_groups:
        assert (group["lr"], group["momentum"], group["nesterov"]) == (0.3, 0.8, True)


@pytest.mark.parametrize(
    ("norm", "limit", "used"), [(50.0, 2.0, 2.0), (0.5, 2.0, 0.5), (50.0, 0.0, 50.0)]
)
def test_gradients_are_clipped_together(norm: float, limit: float, used: float) -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
    before = nn.utils.parameters_to_vector(model.parameters()).detach()
    (optimizer,) = configure(
        model, learning_rate=0.1, weight_decay=0, max_gradient_norm=limit
    ).optimizers
    gradient = functional.normalize(torch.randn_like(before), dim=0) * norm
    for parameter, part in zip(
        model.parameters(),
        gradient.split([parameter.numel() for parameter in model.parameters()]),
        strict=True,
    ):
        parameter.grad = part.view_as(parameter).clone()
    optimizer.step()
    moved = nn.utils.parameters_to_vector(model.parameters()).detach() - before
    # The first step with Nesterov's momentum of 0.9 goes 1.9 times the gradient.
    torch.testing.assert_close(moved, -0.1 * 1.9 * gradient * used / norm, rtol=1e-4, atol=1e-5)


def test_frozen_parameters_are_left_alone() -> None:
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    (group,) = configure(model).groups
    assert group["params"] == [model.weight]


@given(st.integers(1, 500), st.floats(0, 1))
def test_the_cycle_rises_to_its_peak_and_falls_to_next_to_nothing(
    total: int, warmup: float
) -> None:
    factors = [one_cycle(step, total, warmup) for step in range(total)]
    assert all(0 < factor <= 1 for factor in factors)
    highest = factors.index(max(factors))
    assert factors[: highest + 1] == sorted(factors[: highest + 1])
    assert factors[highest:] == sorted(factors[highest:], reverse=True)
    if total >= 100 and 0.1 < warmup < 0.9:
        assert highest == pytest.approx(warmup * total, abs=1.5)
        assert max(factors) > 0.97
        assert factors[-1] == pytest.approx(0.001, abs=1e-9)


@pytest.mark.parametrize("warmup", [0.0, 0.2])
def test_the_cycle_falls_by_the_same_every_step(warmup: float) -> None:
    factors = [one_cycle(step, 100, warmup) for step in range(100)]
    falling = factors[factors.index(max(factors)) :]
    falls = [before - after for before, after in itertools.pairwise(falling)]
    assert falls == pytest.approx([falls[0]] * len(falls))


def test_labels_are_smoothed() -> None:
    logits, labels = torch.randn(8, 10), torch.arange(8)
    loss = configure(nn.Linear(2, 2), label_smoothing=0.2).loss
    smoothed = functional.one_hot(labels, 10) * 0.8 + 0.02
    expected = -(smoothed * functional.log_softmax(logits, 1)).sum(1).mean()
    torch.testing.assert_close(loss(logits, labels), expected)


def test_options_reach_the_images_and_the_average() -> None:
    optimization = configure(nn.Linear(2, 2), flip=False, crop_padding=3, cutout=4)
    assert optimization.augment == Augmentation(flip=False, crop_padding=3, cutout=4)
    # An average whose weights are on average 10 steps old: 2 epochs of 5.
    assert configure(nn.Linear(2, 2), averaged_epochs=2).ema_decay == pytest.approx(10 / 11)
    assert configure(nn.Linear(2, 2), averaged_epochs=0).ema_decay is None


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("learning_rate=0", "should be greater than 0"),
        ("momentum=1", "should be less than 1"),
        ("max_gradient_norm=-1", "should be greater than or equal to 0"),
        ("weight_decay=-1", "should be greater than or equal to 0"),
        ("warmup=2", "should be less than or equal to 1"),
        ("label_smoothing=1", "should be less than 1"),
        ("crop_padding=1.5", "valid integer"),
        ("averaged_epochs=x", "valid number"),
        ("learning_rte=1", "did you mean 'learning_rate'"),
    ],
)
def test_a_wrong_option_is_told_in_a_line(
    benchmark: CommandLine, setting: str, complaint: str
) -> None:
    result = benchmark("run", "quickstart", "-r", "sgd_onecycle", "--set", f"recipe.{setting}")
    assert complaint in only_error(result)


def test_a_padding_larger_than_the_images_is_the_trials_reason(benchmark: CommandLine) -> None:
    arguments = write_tiny_run(Path())
    result = benchmark(*arguments, "-r", "sgd_onecycle", "--set", "recipe.crop_padding=8")
    assert result.code == 1
    assert "a crop padding of 8 pixels needs larger images than 8 x 8" in result.err


def test_the_average_is_what_is_evaluated() -> None:
    def optimize(model: nn.Module) -> Optimization:
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        return Optimization(optimizer, [1.0] * 100, functional.cross_entropy, ema_decay=0.75)

    images = random_images(40)
    step = make_training(optimize, images=images, batch_size=4)
    tensors = [value for value in step.model.state_dict().values() if value.is_floating_point()]
    expected = [value.clone() for value in tensors]
    step.begin_epoch(0, 1)
    for _ in range(10):
        step.take(1)
        expected = [0.75 * mean + 0.25 * now for mean, now in zip(expected, tensors, strict=True)]
    own = [value.clone() for value in tensors]
    with step.evaluated_model():
        torch.testing.assert_close(tensors, expected)
    assert all(map(torch.equal, tensors, own))
    assert not torch.allclose(own[0], expected[0])


MUON = '''
import torch
from torch import nn, optim
from torch.nn import functional
from benchmark import Optimization, Options, RecipeEntry, hookimpl


class MuonOptions(Options):
    learning_rate: float = 0.02
    momentum: float = 0.9


def orthogonalized(matrix):
    """Five of Newton's and Schulz's steps towards the nearest orthogonal matrix."""
    result = matrix / (matrix.norm() + 1e-7)
    for _ in range(5):
        gram = result @ result.T
        result = 3.4445 * result + (-4.7750 * gram + 2.0315 * gram @ gram) @ result
    return result


class Muon(optim.Optimizer):
    def __init__(self, parameters, lr, momentum):
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                if not state:
                    state["velocity"] = torch.zeros_like(parameter)
                velocity = state["velocity"].mul_(group["momentum"]).add_(parameter.grad)
                update = velocity
                if parameter.ndim > 1:
                    update = orthogonalized(velocity.flatten(1)).view_as(parameter)
                parameter.sub_(update * group["lr"])


def configure(model, plan):
    return Optimization(
        optimizer=Muon(model.parameters(), plan.options.learning_rate, plan.options.momentum),
        learning_rate_factors=[1 - step / plan.total_steps for step in range(plan.total_steps)],
        loss=functional.cross_entropy,
    )


@hookimpl
def benchmark_recipes():
    yield RecipeEntry("muon", configure, "orthogonalised momentum", options=MuonOptions)
'''


def test_a_recipe_of_somebody_elses_with_an_optimizer_of_its_own(benchmark: CommandLine) -> None:
    Path("muon.py").write_text(MUON)
    arguments = (*write_tiny_run(Path()), "-p", "muon.py", "-r", "muon", "--format", "json")
    result = benchmark(*arguments, "--epochs", "30", "--seeds", "1")
    assert result.code == 0, result.err
    assert [row["status"] for row in json.loads(result.out)] == ["completed", "completed"]
    for file in Path("runs").rglob("trial.json"):
        record = json.loads(file.read_text())
        assert record["recipe"]["name"] == "muon"
        assert record["recipe"]["options"] == {"learning_rate": 0.02, "momentum": 0.9}
        losses = [epoch["train_loss"] for epoch in record["epochs"]]
        assert losses[-1] < 0.8 * losses[0]
        rates = [epoch["learning_rate"] for epoch in record["epochs"]]
        assert rates == sorted(rates, reverse=True)
