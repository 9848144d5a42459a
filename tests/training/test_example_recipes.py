"""What the pages say of the recipes of examples/recipes: they train, resume, and are captured."""

from __future__ import annotations

import copy
import dataclasses
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn, optim
from torch.nn import functional
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils._pytree import tree_leaves

from benchmark import EpochFigures
from benchmark.records import EpochRecord
from benchmark.training.clock import TimeAccount
from benchmark.training.dropout import CheapDropout
from benchmark.training.engine import started_engine
from benchmark.training.graph import CapturedStep, NotCapturableError
from benchmark.training.loop import train
from benchmark.training.recording import Recording
from benchmark.training.seeds import seed_everything
from benchmark.training.state import check_fits, restore, state_of
from benchmark.training.training import Training
from tests.support.example_recipes import NAMES, STEPS, module_of, training_by
from tests.support.made_training import judge_by, random_images

PAGE = (Path(__file__).parents[2] / "docs/hooks/recipes.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("## What can be captured")[2].partition("### PyTorch's optimisers")[0]
CAPTURED = dict(re.findall(r"^\| `(\w+)` \| (yes|no) \|", TABLE, re.MULTILINE))


def train_epochs(
    training: Training, epochs: range, earlier: list[EpochRecord] | None = None
) -> list[EpochRecord]:
    judge = judge_by(random_images(30), training.precision, training.prepare)
    account = TimeAccount(training.device)
    trained = train(
        training,
        training.take,
        judge,
        seed=3,
        epochs=epochs,
        account=account,
        earlier=earlier or [],
    )
    return [record for record, _ in trained]


def figures(records: list[EpochRecord]) -> list[dict[str, object]]:
    times = {"train_seconds", "evaluation_seconds", "timed"}
    return [record.model_dump(exclude=times) for record in records]


@pytest.mark.parametrize("name", NAMES)
def test_a_training_that_resumes_has_the_history_of_an_uninterrupted_one(name: str) -> None:
    whole, stopped, resumed = (training_by(name) for _ in range(3))
    wanted = train_epochs(whole, range(1, 7))
    done = train_epochs(stopped, range(1, 4))
    state = copy.deepcopy(state_of(stopped))
    check_fits(resumed, state)
    restore(resumed, state)
    left = train_epochs(resumed, range(4, 7), done)
    assert figures(done + left) == figures(wanted)
    for mine, theirs in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert wanted[-1].train_loss < wanted[0].train_loss


@pytest.mark.parametrize("name", NAMES)
def test_an_evaluation_leaves_the_training_as_it_was(name: str) -> None:
    training = training_by(name)
    train_epochs(training, range(1, 3))
    before = copy.deepcopy(state_of(training))
    with training.evaluated_model() as model:
        model.eval()
    for mine, earlier in zip(tree_leaves(state_of(training)), tree_leaves(before), strict=True):
        assert torch.equal(mine, earlier) if isinstance(mine, torch.Tensor) else mine == earlier


def test_the_page_says_of_every_example_whether_it_can_be_captured() -> None:
    assert set(CAPTURED) == {*NAMES, "on_epoch_start"}
    shown = re.findall(r"^```\{literalinclude\} .*/examples/recipes/(\w+)\.py$", PAGE, re.MULTILINE)
    assert {*shown} == {*NAMES}


@pytest.mark.parametrize("name", [name for name in NAMES if CAPTURED[name] == "yes"])
def test_what_can_be_captured_leads_where_eager_steps_lead(name: str) -> None:
    eager, replayed = training_by(name), training_by(name)
    captured = CapturedStep(replayed, record=Recording)
    for epoch in (1, 2):
        for training, take in ((eager, eager.take), (replayed, captured.take)):
            torch.manual_seed(epoch)
            training.begin_epoch(0, epoch)
            take(STEPS)
    torch.testing.assert_close(eager.losses, replayed.losses, rtol=1e-3, atol=1e-5)
    # And what makes its batches would draw nothing on the host of a GPU.
    assert not draws_on_the_host(training_by(name))


def draws_on_the_host(training: Training) -> bool:
    """Whether making a batch moves PyTorch's generator of the CPU."""
    training.begin_epoch(0, 1)
    before = torch.get_rng_state()
    training.batches.provide()
    training.batches.next()
    return not torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", ["lbfgs", "schedule_free"])
def test_an_optimiser_that_counts_on_the_host_is_not_captured(name: str) -> None:
    training, untouched = training_by(name), training_by(name)
    with pytest.raises(NotCapturableError, match="an optimiser counts on the host, in "):
        CapturedStep(training, record=Recording)
    assert figures(train_epochs(training, range(1, 3))) == figures(
        train_epochs(untouched, range(1, 3))
    )


def test_accumulated_gradients_are_not_captured() -> None:
    training = training_by("accumulated")
    account = TimeAccount(training.device)
    training.device = torch.device("cuda")
    with started_engine(training, "auto", account) as engine:
        assert (engine.name, engine.take) == ("eager", training.take)
        assert engine.reason is not None
        assert "accumulates gradients" in engine.reason


def test_torchvisions_transforms_draw_on_the_host() -> None:
    assert draws_on_the_host(training_by("torchvision_transforms"))


def test_a_captured_step_uses_the_factor_that_was_decided_after_an_epoch() -> None:
    eager, replayed = training_by("plateau"), training_by("plateau")
    captured = CapturedStep(replayed, record=Recording)
    worse = [EpochFigures(epoch, 1.0, 0.5, None, None) for epoch in (1, 2, 3)]
    for training, take in ((eager, eager.take), (replayed, captured.take)):
        training.rates.decide(worse)
        torch.manual_seed(1)
        training.begin_epoch(0, 1)
        take(STEPS)
        assert training.learning_rate == 0.05
    for mine, theirs in zip(eager.model.parameters(), replayed.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


@given(st.lists(st.integers(0, 20).map(float), min_size=1, max_size=30))
def test_the_plateaus_are_those_of_pytorchs_scheduler(losses: list[float]) -> None:
    decide: Callable[[list[EpochFigures]], float] = module_of("plateau").halved_on_plateaus
    optimizer = optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = ReduceLROnPlateau(
        optimizer, factor=0.5, patience=1, threshold=0, threshold_mode="abs", eps=0
    )
    seen: list[EpochFigures] = []
    for epoch, loss in enumerate(losses, start=1):
        scheduler.step(loss)
        seen.append(EpochFigures(epoch, math.nan, math.nan, loss, 0.5))
        assert decide(seen) == optimizer.param_groups[0]["lr"]


def test_schedule_free_evaluates_what_its_authors_loop_evaluates() -> None:
    training, bare = training_by("schedule_free"), training_by("schedule_free")
    (optimizer,) = bare.optimization.optimizers
    for epoch in (1, 2):
        seed_everything(3, 1, epoch)
        bare.begin_epoch(3, epoch)
        optimizer.train()  # type: ignore[attr-defined]
        for _ in range(STEPS):
            bare.batches.provide()
            pixels, labels = bare.batches.next()
            optimizer.zero_grad()
            with CheapDropout():
                functional.cross_entropy(bare.model(pixels), labels).backward()
            optimizer.step()
            bare.batches.advance()
        optimizer.eval()  # type: ignore[attr-defined]
    for epoch in (1, 2):
        seed_everything(3, 1, epoch)
        training.begin_epoch(3, epoch)
        training.take(STEPS)
    own = [parameter.detach().clone() for parameter in training.model.parameters()]
    with training.evaluated_model() as model:
        for mine, theirs in zip(model.parameters(), bare.model.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
        assert not torch.equal(own[0], next(iter(model.parameters())))


def test_a_training_that_resumes_decides_its_rates_by_the_epochs_that_are_done() -> None:
    def training() -> Training:
        made = training_by("plateau")
        decided = dataclasses.replace(
            made.optimization,
            factor_after_epoch=lambda figures: sum(epoch.train_loss for epoch in figures),
        )
        return Training(made.model, decided, random_images(40), 4, "fp32")

    whole, stopped, resumed = training(), training(), training()
    wanted = train_epochs(whole, range(1, 5))
    done = train_epochs(stopped, range(1, 3))
    restore(resumed, copy.deepcopy(state_of(stopped)))
    assert figures(done + train_epochs(resumed, range(3, 5), done)) == figures(wanted)
    losses = [record.train_loss for record in wanted]
    factors = [1.0, *(sum(losses[:count]) for count in (1, 2, 3))]
    assert [record.learning_rate for record in wanted] == pytest.approx(
        [0.1 * factor for factor in factors]
    )
