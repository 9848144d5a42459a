"""What only a GPU can show: that a captured step trains as eager steps do, whatever is around it.

``make perf-gpu`` runs these where there is a GPU, and ``make test`` everywhere. They need nothing
of ``tests/``, which does not travel. With ``PERF_GPU_DEVICE=cpu`` they run on a CPU, eagerly.
"""

from __future__ import annotations

import copy
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim
from torch.nn import functional

from benchmark import Augmentation, CaptureError, Optimization
from benchmark.training import (
    TRAINING,
    Engine,
    PeakMemory,
    ResidentImages,
    TimeAccount,
    Training,
    evaluate,
    restore,
    seed_everything,
    started_engine,
    state_of,
    tuned,
)
from perf.built_in import MODELS, RECIPES, build_model, configure
from perf.gpu.awkward_models import FailsInCapture, KeepsFeatures, docs_sgd
from perf.random_images import draw_images

BATCH = 8
STEPS = 8

Optimize = Callable[[nn.Module], Optimization]


@pytest.fixture
def device() -> Iterator[torch.device]:
    """The device, set up for a training in fp32."""
    # Asked for here and not when tests are collected: to ask starts CUDA.
    name = os.environ.get("PERF_GPU_DEVICE", "cuda")
    if name.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU")
    device = torch.device("cuda", 0) if name == "cuda" else torch.device(name)
    with tuned(device, "fp32"), deterministic_convolutions():
        yield device


@contextmanager
def deterministic_convolutions() -> Iterator[None]:
    """Have cuDNN add in a fixed order, so that what differs is the graph's doing."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before


def training_by(
    optimize: Optimize, model: nn.Module, device: torch.device, precision: str = "fp32"
) -> Training:
    """A training of ``model`` on images of noise: a few steps an epoch."""
    model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = ResidentImages(draw_images(BATCH * STEPS, 0), device)
    return Training(model, optimize(model), images, BATCH, precision)


def by_recipe(recipe: str) -> Optimize:
    """As a built-in recipe has it."""
    return lambda model: configure(
        recipe, model, epochs=20, steps_per_epoch=STEPS, batch_size=BATCH
    )


def by_optimizer(
    make: Callable[[nn.Module], optim.Optimizer], factors: list[float] | None = None
) -> Optimize:
    """By an optimiser alone, with cross-entropy."""
    return lambda model: Optimization(
        make(model), factors or [1.0] * (20 * STEPS), functional.cross_entropy
    )


def plain_sgd(model: nn.Module) -> optim.Optimizer:
    """SGD without momentum: a rate of zero moves nothing."""
    return optim.SGD(model.parameters(), lr=0.1)


def small_model() -> nn.Module:
    """A convolution with BatchNorm and dropout, always with the same weights."""
    torch.manual_seed(0)
    return nn.Sequential(
        # No bias: before BatchNorm its gradient is nothing but rounding.
        nn.Conv2d(3, 8, 3, stride=4, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Linear(8 * 8 * 8, 10),
    )


@contextmanager
def captured(training: Training) -> Iterator[Engine]:
    """Capture a step, which must succeed; a CPU's steps are eager."""
    account = TimeAccount(training.device)
    with started_engine(training, "auto", account) as engine:
        if training.device.type == "cuda":
            assert (engine.name, engine.reason) == ("graph", None)
        yield engine


def begin(training: Training, epoch: int) -> None:
    """Begin an epoch as a trial does."""
    seed_everything(0, TRAINING, epoch)
    training.begin_epoch(0, epoch)


def train(training: Training, take: Callable[[int], None], epochs: range) -> None:
    """Train so many epochs."""
    for epoch in epochs:
        begin(training, epoch)
        take(training.steps_per_epoch)


def assert_trained_alike(mine: Training, theirs: Training) -> None:
    """Compare the last epoch's losses, and the averages where there are some.

    A rate that a graph reads in fp32 is a Python number's in eager steps: rounding, which grows.
    """
    torch.testing.assert_close(mine.losses, theirs.losses, rtol=1e-3, atol=1e-4)
    if mine.average is not None:
        assert theirs.average is not None
        for name, value in mine.average.values.items():
            torch.testing.assert_close(value, theirs.average.values[name], rtol=1e-2, atol=1e-3)


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


def test_a_model_that_keeps_a_tensor_of_autograds_is_captured(device: torch.device) -> None:
    training = training_by(by_recipe("adam"), KeepsFeatures(), device)
    # So that nodes of a stream from before the capture are alive during it.
    train(training, training.take, range(1, 2))
    with captured(training) as engine:
        train(training, engine.take, range(2, 3))
    assert torch.isfinite(training.losses).all()


class WaitsForTheHost(nn.Module):
    """Decides on the host in each step, which rehearsing shows before a capture is tried."""

    def __init__(self) -> None:
        super().__init__()
        self.model = small_model()

    def forward(self, pixels: Tensor) -> Tensor:
        """Map N x 3 x 32 x 32 pixels to N x 10 logits."""
        logits: Tensor = self.model(pixels)
        return logits if float(logits.detach().sum()) > 0 else logits * 1.0


def test_a_model_that_waits_for_the_host_is_trained_eagerly(device: torch.device) -> None:
    training = training_by(by_recipe("adam"), WaitsForTheHost(), device)
    with started_engine(training, "auto", TimeAccount(device)) as engine:
        assert engine.name == "eager"
        if device.type == "cuda":
            assert engine.reason is not None
            assert engine.reason.startswith("not captured as a graph: ")
        train(training, engine.take, range(1, 2))
    assert torch.isfinite(training.losses).all()
    # And the next one in this process is captured.
    following = training_by(by_recipe("adam"), small_model(), device)
    with captured(following) as engine:
        train(following, engine.take, range(1, 2))
    assert torch.isfinite(following.losses).all()


def fail_in_a_capture(device: torch.device) -> str | None:
    """Capture what cannot be captured; returns what a trial would be told of it."""
    training = training_by(by_recipe("adam"), FailsInCapture(), device)
    try:
        with started_engine(training, "auto", TimeAccount(device)) as engine:
            return engine.reason
    except CaptureError as error:
        return str(error)


# Each in a process of its own, for a capture that fails leaves its process in disorder.
FAIL = "assert tests.fail_in_a_capture(device), 'the failure was not noticed'"
CAPTURE = """
training = tests.training_by(tests.by_recipe("adam"), tests.small_model(), device)
with tests.captured(training) as engine:
    tests.train(training, engine.take, range(1, 2))
assert torch.isfinite(training.losses).all()
"""


def test_a_capture_that_fails_is_noticed_and_costs_no_other_process(device: torch.device) -> None:
    if device.type != "cuda":
        assert fail_in_a_capture(device) is None
        return
    for program in (FAIL, CAPTURE):
        head = (
            f"import torch, perf.test_cuda as tests; device = torch.device('cuda', {device.index})"
        )
        context = "\nwith tests.tuned(device, 'fp32'):\n"
        indented = "".join(f"    {line}\n" for line in program.strip().splitlines())
        done = subprocess.run(
            [sys.executable, "-c", head + context + indented], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_events_that_another_thread_polls_disturb_no_capture(device: torch.device) -> None:
    """A progress display looks at events while the next phase is captured."""
    over, polled = threading.Event(), threading.Event()
    failures: list[Exception] = []

    def poll() -> None:
        try:
            stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            while not over.is_set():
                event = torch.cuda.Event()  # type: ignore[no-untyped-call]
                event.record(stream)
                event.query()  # type: ignore[no-untyped-call]
                polled.set()
        except Exception as error:
            failures.append(error)
            polled.set()

    thread = threading.Thread(target=poll if device.type == "cuda" else polled.set)
    thread.start()
    try:
        polled.wait()
        training = training_by(by_recipe("adam"), small_model(), device)
        with captured(training) as engine:
            train(training, engine.take, range(1, 2))
    finally:
        over.set()
        thread.join()
    assert failures == []
    assert torch.isfinite(training.losses).all()


def test_several_gpus_in_one_process_are_captured_each(device: torch.device) -> None:
    if device.type != "cuda" or torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA GPUs")
    losses = []
    for number in (1, 0):
        other = torch.device("cuda", number)
        with tuned(other, "fp32"):
            training = training_by(by_recipe("adam"), small_model(), other)
            with captured(training) as engine:
                train(training, engine.take, range(1, 2))
            losses.append(training.losses.cpu())
    torch.testing.assert_close(*losses, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_an_evaluation_is_a_cpus_but_for_rounding(name: str, device: torch.device) -> None:
    seed_everything(0)
    model = build_model(name)
    images = draw_images(1100, 1)
    found = []
    for place in (torch.device("cpu"), device):
        model.to(device=place, memory_format=torch.channels_last)  # type: ignore[call-overload]
        found.append(evaluate(model, ResidentImages(images, place), "fp32"))
    here, there = found
    assert there.loss == pytest.approx(here.loss, rel=1e-4)
    # A few images in a thousand may lie so close to a border.
    assert (here.predictions == there.predictions).mean() > 0.995


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_captured_training_goes_on_from_its_state_as_it_would_have(
    recipe: str, device: torch.device
) -> None:
    first, second = (training_by(by_recipe(recipe), small_model(), device) for _ in range(2))
    with captured(first) as engine:
        train(first, engine.take, range(1, 2))
        state = copy.deepcopy(state_of(first))
        train(first, engine.take, range(2, 3))
    restore(second, state)
    with captured(second) as engine:
        train(second, engine.take, range(2, 3))
    assert first.steps_taken == second.steps_taken == 2 * STEPS
    assert_trained_alike(first, second)


def test_a_captured_trainings_model_is_averaged_calibrated_and_evaluated(
    device: torch.device,
) -> None:
    training = training_by(by_recipe("sgd_onecycle"), build_model("separable_cnn"), device)
    images = ResidentImages(draw_images(600, 1), device)
    with captured(training) as engine:
        train(training, engine.take, range(1, 2))
        before = [weight.detach().clone() for weight in training.model.parameters()]
        with training.evaluated_model() as model:
            evaluation = evaluate(model, images, "fp32", training.prepare)
            assert not all(map(torch.equal, before, model.parameters()))
        assert all(map(torch.equal, before, training.model.parameters()))
        assert evaluation.loss < 10
        # Lending put weights elsewhere or back: the graph must still write to them.
        train(training, engine.take, range(2, 3))
        assert not any(map(torch.equal, before, training.model.parameters()))


def test_the_peak_of_memory_is_more_than_the_weights_and_less_than_there_is(
    device: torch.device,
) -> None:
    memory = PeakMemory(device)
    training = training_by(by_recipe("adam"), build_model("baseline_cnn"), device)
    with captured(training) as engine:
        memory.replayed_bytes = engine.replayed_bytes
        train(training, engine.take, range(1, 2))
    weights = sum(weight.nbytes for weight in training.model.parameters())
    # Adam keeps two more numbers for each weight, and there are gradients.
    assert memory.bytes() > 4 * weights
    if device.type == "cuda":
        assert memory.bytes() < torch.cuda.get_device_properties(device).total_memory


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
