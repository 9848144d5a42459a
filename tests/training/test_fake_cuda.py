"""What steps do with tensors of a GPU, where there is none: devices, types, and no host reads."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn, optim
from torch.nn import functional

from benchmark import Optimization, TrainingPlan
from benchmark.catalog import load_catalog
from benchmark.training.captured_optimizers import CapturedOptimizers
from benchmark.training.evaluation import evaluate
from benchmark.training.graph import CapturedStep, NotCapturableError
from benchmark.training.host_reads import HostReadError, HostReadsRaise
from benchmark.training.recording import Recording
from benchmark.training.state import restore, state_of
from benchmark.training.training import Training
from tests.support.fake_cuda import CUDA, READS, fake_cuda, fake_images
from tests.support.made_training import make_training, random_images

BATCH, IMAGES, CLASSES = 16, 80, 10
STEPS = IMAGES // BATCH


@pytest.fixture(params=["baseline_cnn", "separable_cnn"])
def model(request: pytest.FixtureRequest) -> nn.Module:
    entry = load_catalog().models[request.param].entry
    return entry.build((3, 32, 32), CLASSES).to(memory_format=torch.channels_last)


@pytest.fixture(params=["adam", "sgd_onecycle"])
def training(model: nn.Module, request: pytest.FixtureRequest) -> Iterator[Training]:
    """A training whose tensors say that they lie on a GPU."""
    recipe = load_catalog().recipes[request.param].entry
    changes = {"cutout": 8, "mixup": 0.4, "calibration_images": 2 * BATCH}
    options = recipe.options.from_mapping(changes if request.param == "sgd_onecycle" else {})
    with fake_cuda(model):
        optimization = recipe.configure(model, TrainingPlan(3, STEPS, BATCH, options, CLASSES))
        yield Training(model, optimization, fake_images(IMAGES), BATCH, "bf16")


def take_as_captured(training: Training, count: int) -> None:
    """Take steps as a graph will have them, so that whatever reads on the host raises."""
    optimizers = CapturedOptimizers(training.optimization.optimizers, CUDA)
    optimizers.prepare()
    training.begin_epoch(0, 1)
    with HostReadsRaise(CUDA):
        for _ in range(count):
            training.batches.provide()
            training.move_weights()
            training.steps_taken += 1


def devices(state: Any) -> set[str]:
    """Where the tensors of a training's state lie."""
    if isinstance(state, torch.Tensor):
        return {str(state.device)}
    if isinstance(state, dict):
        state = [*state.values()]
    return set().union(*map(devices, state)) if isinstance(state, list | tuple) else set()


@pytest.mark.parametrize("drops_out", [True, False])
def test_steps_read_nothing_on_the_host_and_mix_no_devices(
    training: Training, drops_out: bool
) -> None:
    training.drops_out = drops_out
    training.begin_epoch(0, 1)
    training.take(STEPS)
    take_as_captured(training, STEPS)
    assert training.losses.device == training.hits.device == CUDA
    assert devices(state_of(training)) == {"cuda:0"}


def test_a_restored_state_is_trained_on_as_one_that_was_never_saved(training: Training) -> None:
    take_as_captured(training, STEPS)
    saved = copy.deepcopy(state_of(training))
    restore(training, saved)
    take_as_captured(training, STEPS)
    assert devices(state_of(training)) == {"cuda:0"}


def test_the_model_that_is_evaluated_is_averaged_and_calibrated_there(training: Training) -> None:
    take_as_captured(training, STEPS)
    seen: list[torch.Size] = []
    with training.evaluated_model() as evaluated, HostReadsRaise(CUDA):
        evaluated.register_forward_hook(lambda *call: seen.append(call[2].shape))
        # The one read of an evaluation comes when all its batches are done.
        with pytest.raises((*READS, HostReadError)):
            evaluate(evaluated, fake_images(IMAGES), "bf16", training.prepare)
    assert sum(shape[0] for shape in seen) == IMAGES


@pytest.mark.parametrize("function", [torch.cuda.get_rng_state, torch.cuda.set_rng_state])
def test_to_ask_where_the_gpu_s_generator_stands_is_found_before_a_capture(
    function: Callable[..., Any],
) -> None:
    """As torch.utils.checkpoint does, for its dropout."""
    with HostReadsRaise(CUDA), pytest.raises(HostReadError, match="preserve_rng_state=False"):
        getattr(torch.cuda, function.__name__)()
    assert getattr(torch.cuda, function.__name__) is function


# Each optimiser of PyTorch's, as docs/hooks/recipes.md has them.

OPTIMIZERS = sorted(
    name for name in optim.__all__ if inspect.isclass(getattr(optim, name)) and name != "Optimizer"
)


def layers() -> nn.Module:
    """Weights of two dimensions alone, as Muon wants them."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(192, 8, bias=False), nn.ReLU(), nn.Linear(8, 3, bias=False)
    )


def optimized_by(name: str, model: nn.Module, **options: Any) -> Optimization:
    optimizer = getattr(optim, name)(model.parameters(), lr=0.01, **options)
    factors = [1.0 - step / 100 for step in range(100)]
    if name == "LBFGS":
        return Optimization(optimizer, factors, functional.cross_entropy, update=optimizer.step)
    return Optimization(optimizer, factors, functional.cross_entropy)


def as_on_a_gpu(name: str) -> dict[str, bool]:
    """What an optimiser takes for its parameters on a GPU, where the recipe chooses nothing."""
    has_fused = "fused" in inspect.signature(getattr(optim, name)).parameters
    return {} if has_fused else {"foreach": True}


PAGE = (Path(__file__).parents[2] / "docs/hooks/recipes.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("### PyTorch's optimisers")[2]
DOCUMENTED = dict(re.findall(r"^\| `(\w+)` \| (yes|no) \|", TABLE, re.MULTILINE))
CAPTURED = [name for name, captured in DOCUMENTED.items() if captured == "yes"]
OTHERS = [name for name, captured in DOCUMENTED.items() if captured == "no"]


def test_the_page_has_each_optimiser_of_pytorch() -> None:
    assert sorted(DOCUMENTED) == OPTIMIZERS


HAS_FUSED_ADAGRAD = "cuda_unsupported" not in inspect.getsource(optim.Adagrad)


@pytest.mark.parametrize("name", CAPTURED)
def test_on_a_gpu_a_step_of_what_can_be_captured_reads_nothing_on_the_host(name: str) -> None:
    if name == "Adagrad" and not HAS_FUSED_ADAGRAD:
        pytest.skip("this release of PyTorch has no fused Adagrad for CUDA")
    model = layers()
    with fake_cuda(model):
        optimization = optimized_by(name, model, **as_on_a_gpu(name))
        training = Training(model, optimization, fake_images(IMAGES, 8), BATCH, "fp32")
        for group in optimization.groups:
            group |= {"capturable": True} if "capturable" in group else {}
        training.begin_epoch(0, 1)
        # The first step makes the state, and may read on the host what that begins with.
        training.take(1)
        take_as_captured(training, STEPS - 1)
        assert devices(state_of(training)) == {"cuda:0"}


@pytest.mark.parametrize("name", CAPTURED)
def test_what_can_be_captured_leads_where_eager_steps_lead(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow_capturable_on_a_cpu(monkeypatch)
    eager, replayed = (
        make_training(
            lambda model: optimized_by(name, model, **as_on_a_gpu(name)),
            images=random_images(40),
            batch_size=4,
            model=layers(),
        )
        for _ in range(2)
    )
    captured = CapturedStep(replayed, record=Recording)
    for epoch in (1, 2):
        for training, take in ((eager, eager.take), (replayed, captured.take)):
            training.begin_epoch(0, epoch)
            take(10)
    for mine, theirs in zip(eager.model.parameters(), replayed.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


def allow_capturable_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have PyTorch's optimisers compute on a CPU as they do for a graph, which they refuse to."""
    for name in OPTIMIZERS:
        module = inspect.getmodule(getattr(optim, name))
        if hasattr(module, "_get_capturable_supported_devices"):
            monkeypatch.setattr(
                module, "_get_capturable_supported_devices", lambda **asked: ["cpu", "cuda"]
            )


REASONS = {
    "LBFGS": "an optimiser counts on the host, in ",
    "SparseAdam": "SparseAdam does not support dense gradients",
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_cannot_be_captured_says_why(name: str) -> None:
    training = make_training(
        lambda model: optimized_by(name, model),
        images=random_images(40),
        batch_size=4,
        model=layers(),
    )
    reason = REASONS.get(name, rf"^{name} reads its learning rate, .*; SGD and AdamW can be")
    with pytest.raises((NotCapturableError, RuntimeError), match=reason):
        CapturedStep(training, record=Recording)


@pytest.mark.parametrize(
    ("name", "options"),
    [("SGD", {"fused": False}), ("Adagrad", {"fused": False}), ("RMSprop", {"foreach": False})],
)
def test_an_optimiser_whose_form_was_chosen_is_told_to_leave_that_out(
    name: str, options: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    allow_capturable_on_a_cpu(monkeypatch)

    def training(**options: bool) -> Training:
        return make_training(
            lambda model: optimized_by(name, model, **options),
            images=random_images(40),
            batch_size=4,
            model=layers(),
        )

    (chosen,) = (f"{option}={value}" for option, value in options.items())
    with pytest.raises(NotCapturableError, match=f"on the host; leave out {chosen}$"):
        CapturedStep(training(**options), record=Recording)
    if name != "RMSprop":
        # On a GPU, where nothing is chosen, RMSprop takes the form that can be captured.
        CapturedStep(training(), record=Recording)


def test_an_optimiser_whose_fused_form_a_release_does_not_have_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def not_there(*arguments: Any, **options: Any) -> None:
        raise NotImplementedError("Could not run 'aten::_fused_adagrad_' with arguments")

    monkeypatch.setattr(torch, "_fused_adagrad_", not_there)
    training = make_training(
        lambda model: optimized_by("Adagrad", model),
        images=random_images(40),
        batch_size=4,
        model=layers(),
    )
    reason = "^Adagrad has no fused form for this device in this release of PyTorch; SGD and AdamW"
    with pytest.raises(NotCapturableError, match=reason):
        CapturedStep(training, record=Recording)


def test_dampening_that_the_first_step_leaves_out_is_not_captured() -> None:
    def training() -> Training:
        return make_training(
            lambda model: optimized_by("SGD", model, momentum=0.9, dampening=0.05),
            images=random_images(40),
            batch_size=4,
            model=layers(),
        )

    with pytest.raises(NotCapturableError, match="SGD leaves its dampening out of the first step"):
        CapturedStep(training(), record=Recording)
    begun = training()
    begun.begin_epoch(0, 1)
    begun.take(10)
    CapturedStep(begun, record=Recording)
