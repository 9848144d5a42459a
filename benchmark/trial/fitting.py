"""See that a model can be trained as it will be: on its device, in its precision and layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._pytree import tree_leaves

from benchmark.complexity import FEWEST_IMAGES
from benchmark.errors import ModelError
from benchmark.training import (
    FORMATS,
    Layout,
    cheap_dropout,
    computing_in,
    lay_out,
    place,
    seed_everything,
    undone,
)
from benchmark.trial.model import (
    Warn,
    check_output,
    evaluate_once,
    faults_named,
    model_settings_put_back,
)
from benchmark.trial.names import first_names

# Layers may be skipped at random, so a parameter has more than one chance of a gradient.
PASSES_FOR_GRADIENTS = 5
TRAINING = "in training mode, "
NO_GRADIENT = f"{TRAINING}no parameter gets a gradient from the loss"
MORE_OUTPUTS = "; a recipe trains a model that returns more where its entry has 'logits'"

FindLogits = Callable[[Any], Tensor]


def first_logits(outputs: Any) -> Any:
    """The first tensor of what a model returns, for whoever knows no recipe that would say."""
    return next((part for part in tree_leaves(outputs) if isinstance(part, Tensor)), outputs)


def fit_for_training(
    model: nn.Module,
    images: Tensor,
    num_classes: int,
    *,
    device: torch.device,
    precision: str,
    logits: FindLogits | None = None,
    warn: Warn,
) -> Layout:
    """Move a model to its device and see that it can be trained there; returns in which layout.

    Two of ``images``, floats of N x C x H x W, are evaluated and trained on once, and what that
    changes is undone; all of them, if two are too few for the model. Channels come last, unless the
    model can only be trained in PyTorch's own layout. ``logits`` finds the logits in what the model
    returns in training mode; without it that has to be the logits. ``warn`` gets a line about the
    layout, and about parameters that the training would not change.

    Raises ModelError where the output is none or of another shape, the loss is not finite, or no
    parameter gets a gradient.
    """
    refusals: dict[Layout, ModelError] = {}
    for count in dict.fromkeys((FEWEST_IMAGES, len(images))):
        for layout in FORMATS:
            try:
                with faults_named(f"moving it to {device}"):
                    place(model, device, layout)
                batch = lay_out(images[:count].to(device), layout)
                warnings = _check(model, batch, num_classes, precision, logits)
            except ModelError as error:
                refusals[layout] = error
                continue
            if layout == "contiguous":
                warnings.append(
                    "trained in PyTorch's contiguous layout, because channels_last failed: "
                    f"{refusals['channels_last']}"
                )
            for warning in warnings:
                warn(warning)
            return layout
    raise refusals["contiguous"]


def _check(
    model: nn.Module,
    images: Tensor,
    num_classes: int,
    precision: str,
    logits: FindLogits | None,
) -> list[str]:
    """Evaluate a model and train it for a step, all undone; returns warnings."""
    warnings: list[str] = []
    with (
        model_settings_put_back(warnings.append, "the forward pass"),
        # What a model compiled itself is compiled when it is trained, for another batch.
        torch.compiler.set_stance("force_eager"),
    ):
        with undone(model), computing_in(precision, images.device):
            check_output(evaluate_once(model, images.clone()), len(images), num_classes)
        warnings += _check_training(model, images, num_classes, precision, logits)
    return warnings


def _check_training(
    model: nn.Module,
    images: Tensor,
    num_classes: int,
    precision: str,
    find_logits: FindLogits | None,
) -> list[str]:
    before = dict(model.named_parameters())
    trainable = [name for name, parameter in before.items() if parameter.requires_grad]
    reached: set[str] = set()
    for number in range(PASSES_FOR_GRADIENTS):
        with undone(model):
            seed_everything(number)
            seed = torch.initial_seed()
            _train(model, images.clone(), num_classes, precision, find_logits)
            now = dict(model.named_parameters())
            reached |= {name for name in trainable if now.get(name, before[name]).grad is not None}
            is_seeded = torch.initial_seed() != seed
        if reached.issuperset(trainable):
            break
    if not reached:
        raise ModelError(NO_GRADIENT)
    missed = [name for name in trainable if name not in reached]
    return [*_warnings(before, now, missed, is_seeded)]


def _train(
    model: nn.Module,
    images: Tensor,
    num_classes: int,
    precision: str,
    find_logits: FindLogits | None,
) -> None:
    labels = torch.arange(len(images), device=images.device) % num_classes
    with cheap_dropout(images.device):
        with faults_named(f"{TRAINING}switching to it"):
            model.train()
        with faults_named(f"{TRAINING}the forward pass"), computing_in(precision, images.device):
            outputs = model(images)
        logits = outputs
        if find_logits is not None:
            with faults_named(f"{TRAINING}the recipe's logits"):
                logits = find_logits(outputs)
        remedy = MORE_OUTPUTS if isinstance(logits, tuple | list | Mapping) else ""
        check_output(logits, len(images), num_classes, TRAINING, remedy)
        loss = functional.cross_entropy(logits.float(), labels) + _of_other_outputs(outputs, logits)
        if not torch.isfinite(loss):
            raise ModelError(f"{TRAINING}the first loss is {loss.item()}, not a finite number")
        if not loss.requires_grad:
            raise ModelError(NO_GRADIENT)
        with faults_named(f"{TRAINING}the backward pass"):
            loss.backward()  # type: ignore[no-untyped-call]


def _of_other_outputs(outputs: object, logits: Tensor) -> Tensor | float:
    """What has the gradient reach all that a recipe's loss may be given; 0 if that is logits."""
    if outputs is logits:
        return 0.0
    parts = (part for part in tree_leaves(outputs) if isinstance(part, Tensor))
    return sum(part.float().mean() for part in parts if part.is_floating_point())


def _warnings(
    before: dict[str, nn.Parameter],
    now: dict[str, nn.Parameter],
    without_gradient: list[str],
    is_seeded: bool,
) -> Iterator[str]:
    """What a step showed that a training would leave as it is, or do each time alike."""
    new = [name for name in now if name not in before]
    replaced = [name for name in before if name in now and now[name] is not before[name]]
    if new:
        yield (
            f"parameters that are created in training only are never trained: {first_names(new)}; "
            "create them when the model is built"
        )
    if replaced:
        yield (
            f"parameters that a forward pass replaces are never trained: {first_names(replaced)}; "
            "change them in place"
        )
    if without_gradient:
        yield (
            f"{len(without_gradient)} of {len(before)} parameters get no gradient, so they keep "
            f"their initial values: {first_names(without_gradient)}"
        )
    if is_seeded:
        yield "its forward pass seeds PyTorch's generator, so every step draws the same numbers"
