"""Each experiment comes to what the step as it is comes to, and that to what the bare loop does."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

from benchmark.training import INITIAL_WEIGHTS, TRAINING, seed_everything
from perf.built_in import MODELS, RECIPES, build_model
from perf.contenders import bare_loop
from perf.experiments.comparison import Steps, compare
from perf.experiments.compiled import Compiled
from perf.experiments.depthwise import DenseDepthwise, DenseForm, NativeDepthwise, NativeForm
from perf.experiments.flat_views import ALIGNMENT, FlatViews, flattened
from perf.experiments.half_weights import HalfWeights
from perf.experiments.kept_logits import KeptLogits
from perf.experiments.seeds import SeedsAsBranches, SeedsInTurn
from perf.experiments.several_steps import SeveralSteps
from perf.experiments.step import Step, StepWorkload
from tests.support.sampling import sampled

CPU = torch.device("cpu")


def small(model: str = "separable_cnn", **changes: object) -> StepWorkload:
    given = {"device": CPU, "batch_size": 4, "steps": 4, **changes}
    return StepWorkload(model, **given)  # type: ignore[arg-type]


def trained(steps: Steps, epochs: int = 2) -> None:
    for epoch in range(epochs):
        seed_everything(0, TRAINING, epoch)
        steps.begin()
        for _ in range(steps.calls):
            steps()
        steps.finish()


def both(
    experiment: Callable[[StepWorkload], Step], workload: StepWorkload, epochs: int = 2
) -> tuple[Step, Step]:
    """The step as it is, and the experiment, after the same epochs."""
    steps = Step(workload), experiment(workload)
    before = steps[0].weights[0].detach().clone()
    for each in steps:
        trained(each, epochs)
    assert not torch.equal(before, steps[0].weights[0])
    return steps


def assert_equal_but_for_rounding(as_it_is: Step, changed: Step) -> None:
    """After one step: rounding changes where a maximum lies, and grows tenfold a step at that rate.

    The norm of a million numbers, in fp32, is itself known to five digits.
    """
    for mine, theirs in (
        *zip(as_it_is.weights, changed.weights, strict=True),
        *zip(as_it_is.averages, changed.averages, strict=True),
    ):
        difference = (mine - theirs).detach().norm()
        assert difference <= 1e-4 * mine.detach().norm()
    torch.testing.assert_close(as_it_is.losses, changed.losses, rtol=1e-6, atol=0)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize("model", MODELS)
def test_the_step_is_the_bare_loops(model: str, precision: str) -> None:
    step = Step(small(model, precision=precision))
    seed_everything(0, INITIAL_WEIGHTS)
    bare = build_model(model).to(memory_format=torch.channels_last)
    optimizer = bare_loop.make_optimizer(bare)
    trained(step, epochs=1)
    seed_everything(0, TRAINING, 0)
    losses, hits = bare_loop.train_steps(
        bare, optimizer, step.pixels.flatten(0, 1), step.labels.flatten(), 4, precision
    )
    assert torch.equal(losses, step.losses)
    assert torch.equal(hits, step.hits)
    assert all(map(torch.equal, bare.parameters(), step.weights))


BIT_FOR_BIT = [
    *itertools.product(
        [HalfWeights, partial(SeveralSteps, together=2), KeptLogits], MODELS, RECIPES
    )
]


@pytest.mark.parametrize(
    ("experiment", "model", "recipe"), sampled("experiments", BIT_FOR_BIT, count=4)
)
def test_bit_for_bit_the_same_weights(
    experiment: Callable[[StepWorkload], Step], model: str, recipe: str
) -> None:
    as_it_is, changed = both(experiment, small(model, recipe=recipe))
    assert all(map(torch.equal, as_it_is.weights, changed.weights))
    assert all(map(torch.equal, as_it_is.averages, changed.averages))
    assert torch.equal(as_it_is.hits, changed.hits)
    # An epoch's losses may be averaged in another order than a step's.
    torch.testing.assert_close(as_it_is.losses, changed.losses, rtol=1e-6, atol=0)


def test_several_steps_have_to_divide_the_epochs() -> None:
    with pytest.raises(ValueError, match="4 steps cannot be taken 3 at a time"):
        SeveralSteps(small(), together=3)


@pytest.mark.parametrize("model", MODELS)
def test_flat_views_average_and_clip_but_for_rounding(model: str) -> None:
    workload = small(model, recipe="sgd_onecycle", precision="fp32", batch_size=16, steps=1)
    # The gradients' norm is a sum in another order.
    assert_equal_but_for_rounding(*both(FlatViews, workload, epochs=1))


def test_flat_views_keep_values_shapes_and_layouts_and_are_aligned() -> None:
    tensors = [
        torch.randn(2, 3, 3, 3).contiguous(memory_format=torch.channels_last),
        torch.randn(5),
        torch.randn(4, 7),
    ]
    flat, views = flattened(tensors)
    for tensor, view in zip(tensors, views, strict=True):
        assert torch.equal(tensor, view)
        assert (tensor.stride(), view.storage_offset() % ALIGNMENT) == (view.stride(), 0)
    flat.zero_()
    assert not any(view.any() for view in views)


def test_a_compiled_model_trains_as_the_model_does_without_dropout() -> None:
    # Not Inductor, which takes half a minute: what is tested is that the step trains its model.
    experiment = partial(Compiled, backend="eager")
    as_it_is, changed = both(experiment, small(precision="fp32", dropout=0.0))
    assert all(map(torch.equal, as_it_is.weights, changed.weights))


@pytest.mark.parametrize("form", [NativeDepthwise, DenseDepthwise])
@pytest.mark.parametrize("precision", [torch.float64, torch.bfloat16])
def test_each_form_of_a_depthwise_layer_has_its_outputs_and_gradients(
    form: Callable[[nn.Conv2d], nn.Module], precision: torch.dtype
) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 6, 3, padding="same", groups=6, bias=False).to(precision)
    pixels = torch.randn(2, 6, 8, 8, dtype=precision)
    found = []
    for each in (layer, form(layer)):
        images = pixels.contiguous(memory_format=torch.channels_last).requires_grad_()
        layer.zero_grad()
        outputs = each(images)
        functional.mse_loss(outputs, torch.ones_like(outputs)).backward()
        assert outputs.is_contiguous(memory_format=torch.channels_last)
        assert images.grad is not None
        assert layer.weight.grad is not None
        found.append((outputs.detach(), images.grad, layer.weight.grad))
    # Nine products are added up in another order; bf16 has three digits.
    tolerance = 1e-12 if precision == torch.float64 else 2e-2
    torch.testing.assert_close(*found, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("experiment", [NativeForm, DenseForm])
def test_a_model_with_other_depthwise_layers_trains_alike(
    experiment: Callable[[StepWorkload], Step],
) -> None:
    workload = small(precision="fp32", recipe="sgd_onecycle", batch_size=16, steps=1)
    assert_equal_but_for_rounding(*both(experiment, workload, epochs=1))


def test_other_layers_than_separable_cnns_are_refused() -> None:
    with pytest.raises(ValueError, match="is no depthwise layer as separable_cnn has it"):
        DenseDepthwise(nn.Conv2d(4, 4, 3, groups=4))


def test_seeds_as_branches_train_as_they_do_in_turn() -> None:
    in_turn, branches = SeedsInTurn(small()), SeedsAsBranches(small())
    for steps in (in_turn, branches):
        trained(steps)
    assert torch.equal(in_turn.losses, branches.losses)
    assert not torch.equal(in_turn.losses[0], in_turn.losses[1])
    # Each seed sees its own images and weights, as it would alone.
    alone = Step(small(seed=1, dropout=0.0))
    together = SeedsInTurn(small(dropout=0.0))
    trained(alone)
    trained(together)
    assert torch.equal(alone.losses, together.losses[1])


def test_a_comparison_takes_turns_and_has_ratios_with_their_spread() -> None:
    figures = compare(lambda: KeptLogits(small()), lambda: Step(small()), CPU, repeats=3)
    assert len(figures["seconds"]) == len(figures["as_it_is_seconds"]) == 3
    ratios = [a / b for a, b in zip(figures["seconds"], figures["as_it_is_seconds"], strict=True)]
    assert (figures["lowest"], figures["highest"]) == (min(ratios), max(ratios))
    assert figures["last_loss"] == pytest.approx(figures["as_it_is_last_loss"], rel=1e-6)


class Moves:
    """An optimiser that asks nothing: PyTorch's fused ones know no tensors without values."""

    def __init__(self, parameters: list[nn.Parameter], **options: object) -> None:
        self.parameters = parameters
        self.param_groups: list[dict[str, object]] = []

    def zero_grad(self, set_to_none: bool) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        for parameter in self.parameters:
            assert parameter.grad is not None
            parameter.add_(parameter.grad)


@pytest.mark.parametrize(
    "experiment",
    [Step, HalfWeights, FlatViews, KeptLogits, DenseForm, partial(SeveralSteps, together=2)],
)
def test_no_step_reads_what_the_device_has(
    experiment: Callable[[StepWorkload], Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph cannot: tensors on this device have no values, so to read one, or to mix, raises."""
    for name in ("Adam", "SGD"):
        monkeypatch.setattr(torch.optim, name, Moves)
    workload = small(device=torch.device("meta"), precision="fp32", recipe="sgd_onecycle")
    steps = experiment(workload)
    trained(steps, epochs=1)
    assert all(weight.grad is not None and weight.grad.is_meta for weight in steps.weights)
    with pytest.raises(RuntimeError):
        steps.losses[0].item()
