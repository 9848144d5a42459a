"""Capturing a step: tested on a CPU with a recorder that runs the step again where CUDA replays it.

What only CUDA can show (that a real graph gives what eager steps give) is tested in
``perf/cuda``, which ``make perf-gpu`` runs where there is a GPU.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from torch import nn, optim
from torch.nn import functional

from benchmark import Augmentation, Optimization
from benchmark.errors import CaptureError, DeviceError
from benchmark.training.checkpoint_content import require_sound_optimizer
from benchmark.training.clock import TimeAccount
from benchmark.training.engine import check_engine, started_engine
from benchmark.training.graph import CapturedStep, NotCapturableError
from benchmark.training.recording import Body, Recording
from benchmark.training.state import restore, state_of
from benchmark.training.training import Training
from tests.support.made_training import CPU, make_training, random_images


def training_by(optimizer: str = "adam", device: torch.device = CPU, **changes: Any) -> Training:
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

    return make_training(optimize, images=random_images(40, device=device), batch_size=4, **changes)


def flat(state: Any) -> list[torch.Tensor]:
    """All tensors of a training's state."""
    if isinstance(state, torch.Tensor):
        return [state.clone()]
    if isinstance(state, dict):
        return [tensor for value in state.values() for tensor in flat(value)]
    if isinstance(state, list | tuple):
        return [tensor for value in state for tensor in flat(value)]
    return [torch.tensor(float(state))] if isinstance(state, int | float) else []


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_replayed_steps_lead_where_eager_steps_lead(optimizer: str) -> None:
    eager, replayed = training_by(optimizer), training_by(optimizer)
    captured = CapturedStep(replayed, record=Recording)
    for epoch in (1, 2):
        for training, take in ((eager, eager.take), (replayed, captured.take)):
            torch.manual_seed(epoch)
            training.begin_epoch(0, epoch)
            take(10)
    assert eager.steps_taken == replayed.steps_taken == 20
    assert (
        replayed.learning_rate
        == eager.learning_rate
        == pytest.approx(eager.rates.configured[0] * (1 - 19 / 100))
    )
    for mine, theirs in zip(eager.model.parameters(), replayed.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(eager.losses, replayed.losses, rtol=1e-4, atol=1e-6)
    assert eager.average is not None
    assert replayed.average is not None
    torch.testing.assert_close(eager.average.values, replayed.average.values)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("steps_before", [0, 10])
def test_capturing_leaves_no_trace(optimizer: str, steps_before: int) -> None:
    training = training_by(optimizer)
    training.begin_epoch(0, 1)
    training.take(steps_before)
    before = copy.deepcopy(state_of(training))
    CapturedStep(training, record=Recording)
    after = state_of(training)
    assert after["steps_taken"] == before["steps_taken"] == steps_before
    for part in ("model", "average"):
        assert all(map(torch.equal, flat(before[part]), flat(after[part])))
    if steps_before:
        mine, theirs = before["optimizers"][0]["state"], after["optimizers"][0]["state"]
        assert all(map(torch.equal, flat(mine), flat(theirs)))
    else:
        assert not any(tensor.any() for tensor in flat(after["optimizers"][0]["state"]))


@pytest.mark.parametrize("captures_again", [True, False])
def test_a_captured_training_resumes_as_one_that_was_not_stopped(captures_again: bool) -> None:
    def ordinary_sgd(model: nn.Module) -> Optimization:
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        return Optimization(optimizer, [1.0] * 100, functional.cross_entropy)

    whole, resumed = (
        make_training(ordinary_sgd, images=random_images(40), batch_size=4) for _ in range(2)
    )
    take = CapturedStep(whole, record=Recording).take
    train_epoch(whole, take, 1)
    restore(resumed, copy.deepcopy(state_of(whole)))
    (optimizer,) = resumed.optimization.optimizers
    require_sound_optimizer(optimizer, groups_made_by(ordinary_sgd))
    train_epoch(whole, take, 2)
    again = CapturedStep(resumed, record=Recording).take if captures_again else resumed.take
    train_epoch(resumed, again, 2)
    for mine, theirs in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


def train_epoch(training: Training, take: Callable[[int], None], epoch: int) -> None:
    torch.manual_seed(epoch)
    training.begin_epoch(0, epoch)
    take(10)


def groups_made_by(optimize: Callable[[nn.Module], Optimization]) -> list[dict[str, Any]]:
    """The parameter groups as the recipe makes them."""
    return optimize(nn.Linear(1, 1)).groups


def test_a_capture_that_fails_half_way_says_why() -> None:
    def fails_half_way(body: Body) -> Recording:
        body()
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    reason = (
        "not captured as a graph: RuntimeError: operation not permitted when stream is capturing"
    )
    with pytest.raises(CaptureError) as raised:
        CapturedStep(training_by(), record=fails_half_way)
    assert str(raised.value) == reason


def test_what_cannot_be_captured_is_found_before_and_leaves_no_trace() -> None:
    def never(body: Body) -> Recording:
        raise AssertionError("nothing was to be captured")

    model = ReadsOnTheHost()
    training, untouched = training_by(model=model), training_by(model=copy.deepcopy(model))
    before = copy.deepcopy(state_of(training))
    with pytest.raises(NotCapturableError, match=READS_HERE):
        CapturedStep(training, record=never)
    assert all(map(torch.equal, flat(before), flat(state_of(training))))
    for each in (training, untouched):
        torch.manual_seed(1)
        each.begin_epoch(0, 1)
        each.take(10)
    for mine, theirs in zip(training.model.parameters(), untouched.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


class ReadsOnTheHost(nn.Module):
    """Lets the host decide by what it has computed."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(192, 3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layer(pixels.flatten(1))
        return logits if logits.sum().item() > 0 else logits * 1.0


class ComparesOnTheHost(nn.Module):
    """Fails on a step that is looked at, as one does that waits for a GPU otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(192, 3)
        self.calls = 0

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.calls > 10:
            raise RuntimeError("called a synchronizing CUDA operation")
        logits: torch.Tensor = self.layer(pixels.flatten(1))
        return logits


def test_the_reason_names_the_line_of_the_model_s_code() -> None:
    line = ComparesOnTheHost.forward.__code__.co_firstlineno + 3
    reason = rf"RuntimeError: called a synchronizing CUDA operation \(test_graph.py, line {line}\)$"
    with pytest.raises(NotCapturableError, match=reason):
        CapturedStep(training_by(model=ComparesOnTheHost()), record=Recording)


READS_LINE = ReadsOnTheHost.forward.__code__.co_firstlineno + 2
READS_HERE = rf"^a step reads a number from the device \(test_graph.py, line {READS_LINE}\)$"


class CountsOnTheHost(optim.Optimizer):
    """Its rate falls with a count of its own, which a graph would hold as it was at capture."""

    def __init__(self, parameters: Any, lr: float) -> None:
        super().__init__(parameters, {"lr": lr})
        self.count = 0

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.count += 1
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.sub_(parameter.grad * group["lr"] / self.count**2)


def test_a_graph_that_trains_otherwise_is_not_believed() -> None:
    def optimize(model: nn.Module) -> Optimization:
        optimizer = CountsOnTheHost(model.parameters(), lr=0.1)
        return Optimization(optimizer, [1.0] * 100, functional.cross_entropy)

    training = make_training(optimize, images=random_images(40), batch_size=4)
    optimizer = training.optimization.optimizer
    assert isinstance(optimizer, CountsOnTheHost)

    def bakes_the_count(body: Body) -> Recording:
        count = optimizer.count

        def replay() -> None:
            optimizer.count = count
            body()

        return Recording(replay)

    with pytest.raises(
        NotCapturableError, match=r"after 8 steps .* away from where eager steps lead"
    ):
        CapturedStep(training, record=bakes_the_count)


class RebindsItsMean(nn.Module):
    """Puts a new tensor in its buffer's place: a graph goes on writing to one nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(192, 3)
        self.mean: torch.Tensor
        self.register_buffer("mean", torch.zeros(192))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        values = pixels.flatten(1)
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * values.mean(0)
        logits: torch.Tensor = self.layer(values)
        return logits


def test_a_graph_that_leaves_a_buffer_behind_is_not_believed() -> None:
    model = RebindsItsMean()

    def writes_where_nobody_reads(body: Body) -> Recording:
        def replay() -> None:
            mean = model.mean
            body()
            model.mean = mean

        return Recording(replay)

    with pytest.raises(NotCapturableError, match="after 8 steps its replays have mean"):
        CapturedStep(training_by(model=model), record=writes_where_nobody_reads)


class FillsItsBuffer(nn.Module):
    """Has a buffer that is empty until the first step."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(192, 3)
        self.steps: torch.Tensor | None
        self.register_buffer("steps", None)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.steps = torch.zeros(()) if self.steps is None else self.steps + 1
        logits: torch.Tensor = self.layer(pixels.flatten(1))
        return logits


def test_a_buffer_that_was_empty_before_the_capture_is_empty_after_it() -> None:
    model = FillsItsBuffer()
    CapturedStep(training_by(model=model), record=Recording)
    assert model.steps is None


def test_a_graph_that_fills_no_buffer_is_not_believed() -> None:
    model = FillsItsBuffer()

    def fills_nothing(body: Body) -> Recording:
        def replay() -> None:
            body()
            model.steps = None

        return Recording(replay)

    with pytest.raises(NotCapturableError, match="after 8 steps its replays have steps"):
        CapturedStep(training_by(model=model), record=fills_nothing)
    assert model.steps is None


class DropsItsLayer(nn.Linear):
    """Leaves its layer out once in a hundred steps, which eight steps do not show."""

    def __init__(self, draw: Callable[[], float]) -> None:
        super().__init__(192, 3)
        self.draw = draw

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits = super().forward(pixels.flatten(1))
        return logits * 0.0 if self.draw() < 0.01 else logits


@pytest.mark.parametrize("draw", [random.random, numpy.random.random])
def test_a_model_that_draws_on_the_host_is_not_captured(draw: Callable[[], float]) -> None:
    with pytest.raises(NotCapturableError, match="a step draws random numbers on the host"):
        CapturedStep(training_by(model=DropsItsLayer(draw)), record=Recording)


class WantsNumbers(optim.Optimizer):
    """Computes with its rate as Python's numbers do."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, {"lr": 0.1})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.sub_(parameter.grad * round(group["lr"], 3))


@pytest.mark.parametrize(
    "make_optimizer",
    [WantsNumbers, lambda parameters: optim.Adam(parameters, lr=0.1, fused=False)],
)
def test_an_optimiser_that_cannot_be_captured_trains_on_as_before(
    make_optimizer: Callable[[Any], optim.Optimizer],
) -> None:
    def optimize(model: nn.Module) -> Optimization:
        optimizer = make_optimizer(model.parameters())
        return Optimization(optimizer, [1.0] * 100, functional.cross_entropy)

    training, untouched = (
        make_training(optimize, images=random_images(40), batch_size=4) for _ in range(2)
    )
    for epoch in (1, 2):
        for each in (training, untouched):
            torch.manual_seed(epoch)
            each.begin_epoch(0, epoch)
            each.take(5)
        with pytest.raises(NotCapturableError):
            CapturedStep(training, record=Recording)
    for mine, theirs in zip(training.model.parameters(), untouched.model.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_graph_on_a_cpu_is_refused() -> None:
    with pytest.raises(DeviceError, match="engine graph needs a CUDA GPU"):
        check_engine("graph", "cpu")
    check_engine("auto", "cpu")
    check_engine("graph", "cuda")


def test_on_a_cpu_auto_is_eager_without_an_excuse() -> None:
    training = training_by()
    with started_engine(training, "auto", TimeAccount(torch.device("cpu"))) as engine:
        assert (engine.name, engine.reason) == ("eager", None)
        assert engine.take == training.take


def test_where_there_is_a_reason_to_try_no_graph_none_is_tried() -> None:
    training = training_by()
    account = TimeAccount(training.device)
    training.device = torch.device("cuda")
    for wanted in ("auto", "graph"):
        with started_engine(training, wanted, account, "it failed before") as engine:
            assert (engine.name, engine.reason) == ("eager", "it failed before")
            assert engine.take == training.take
