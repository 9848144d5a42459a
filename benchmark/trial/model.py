"""Build a model, and hold it to what its entry promises before it is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parameter import is_lazy

from benchmark.catalog import Offer
from benchmark.complexity import (
    FEWEST_IMAGES,
    Layer,
    MacCount,
    count_macs,
    layer_table,
    noise_images,
)
from benchmark.entries import ModelEntry
from benchmark.errors import PLUGIN_FAULTS, ModelError, one_line
from benchmark.process_settings import settings_put_back
from benchmark.training import (
    FORMATS,
    Layout,
    cheap_dropout,
    computing_in,
    lay_out,
    place,
    seed_everything,
    undone,
    undone_but_for_new_parameters,
)
from benchmark.trial.names import first_names

Warn = Callable[[str], None]

# Layers may be skipped at random, so a parameter has more than one chance of a gradient.
PASSES_FOR_GRADIENTS = 5
TRAINING = "in training mode, "
NO_GRADIENT = f"{TRAINING}no parameter gets a gradient from the loss"


def build_model(
    offer: Offer[ModelEntry],
    options: Mapping[str, Any],
    input_shape: tuple[int, int, int],
    num_classes: int,
    warn: Warn,
) -> nn.Module:
    """Build a model on the CPU, and have it create what parameters it creates when it is used.

    Whatever else that first pass, in evaluation mode, changes is put back. So are settings of the
    process, with a line for ``warn``.

    Raises ModelError where building the model or evaluating it fails, where it is no module or has
    nothing to train, and where its output is not one of N x ``num_classes``.
    """
    entry = offer.entry
    arguments = [entry.options.from_mapping(options)] if entry.has_options else []
    with _settings_put_back(warn, "building the model"):
        try:
            model = entry.build(input_shape, num_classes, *arguments)
        except PLUGIN_FAULTS as error:
            raise ModelError(f"build raised {one_line(error)}") from error
    if not isinstance(model, nn.Module):
        raise ModelError(f"build returned a {type(model).__name__}, not a torch.nn.Module")
    with _settings_put_back(warn, "the forward pass"), undone_but_for_new_parameters(model):
        output = _evaluate(model, noise_images(FEWEST_IMAGES, input_shape))
    parameters = dict(model.named_parameters())
    lazy = [name for name, parameter in parameters.items() if is_lazy(parameter)]
    if lazy:
        raise ModelError(
            f"no image passes these lazy parameters, so they have no size: {first_names(lazy)}"
        )
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise ModelError("the model has no parameters to train")
    _check_output(output, FEWEST_IMAGES, num_classes)
    return model


def try_to_count_macs(
    model: nn.Module, input_shape: tuple[int, int, int], warn: Warn
) -> MacCount | None:
    """Count a model's multiply-accumulates; None where that fails, with a line for ``warn``."""
    try:
        with _settings_put_back(warn, "the forward pass"):
            count = count_macs(model, input_shape)
    except PLUGIN_FAULTS as error:
        warn(f"its multiply-accumulates cannot be counted: {one_line(error)}")
        return None
    if count.uncounted:
        warn(
            "its multiply-accumulates are a lower bound: there is no formula for "
            f"{', '.join(count.uncounted)}"
        )
    return count


def try_to_list_layers(
    model: nn.Module, input_shape: tuple[int, int, int], warn: Warn
) -> list[Layer] | None:
    """A model's layer table; None where that fails, with a line for ``warn``."""
    try:
        return layer_table(model, input_shape)
    except PLUGIN_FAULTS as error:
        warn(f"its layers cannot be listed: {one_line(error)}")
        return None


def fit_for_training(
    model: nn.Module,
    images: Tensor,
    num_classes: int,
    *,
    device: torch.device,
    precision: str,
    warn: Warn,
) -> Layout:
    """Move a model to its device and see that it can be trained there; returns in which layout.

    Two of ``images``, floats of N x C x H x W, are evaluated and trained on once, and what that
    changes is undone; all of them, if two are too few for the model. Channels come last, unless the
    model can only be trained in PyTorch's own layout. ``warn`` gets a line about that, and about
    parameters that the training would not change.

    Raises ModelError where the output is none or of another shape, the loss is not finite, or no
    parameter gets a gradient.
    """
    refusals: dict[Layout, ModelError] = {}
    for count in dict.fromkeys((FEWEST_IMAGES, len(images))):
        for layout in FORMATS:
            try:
                with _faults_named(f"moving it to {device}"):
                    place(model, device, layout)
                batch = lay_out(images[:count].to(device), layout)
                warnings = _check(model, batch, num_classes, precision)
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


def _check(model: nn.Module, images: Tensor, num_classes: int, precision: str) -> list[str]:
    """Evaluate a model and train it for a step, all undone; returns warnings."""
    warnings: list[str] = []
    with (
        _settings_put_back(warnings.append, "the forward pass"),
        # What a model compiled itself is compiled when it is trained, for another batch.
        torch.compiler.set_stance("force_eager"),
    ):
        with undone(model), computing_in(precision, images.device):
            _check_output(_evaluate(model, images.clone()), len(images), num_classes)
        warnings += _check_training(model, images, num_classes, precision)
    return warnings


def _evaluate(model: nn.Module, images: Tensor) -> object:
    with _faults_named("switching to evaluation mode"):
        model.eval()
    # Not inference_mode: a model may keep a tensor that its training then needs.
    with _faults_named("the forward pass"), torch.no_grad():
        return model(images)


def _check_training(
    model: nn.Module, images: Tensor, num_classes: int, precision: str
) -> list[str]:
    before = dict(model.named_parameters())
    trainable = [name for name, parameter in before.items() if parameter.requires_grad]
    reached: set[str] = set()
    for number in range(PASSES_FOR_GRADIENTS):
        with undone(model):
            seed_everything(number)
            seed = torch.initial_seed()
            _train(model, images.clone(), num_classes, precision)
            now = dict(model.named_parameters())
            reached |= {name for name in trainable if now.get(name, before[name]).grad is not None}
            is_seeded = torch.initial_seed() != seed
        if reached.issuperset(trainable):
            break
    if not reached:
        raise ModelError(NO_GRADIENT)
    missed = [name for name in trainable if name not in reached]
    return [*_warnings(before, now, missed, is_seeded)]


def _train(model: nn.Module, images: Tensor, num_classes: int, precision: str) -> None:
    labels = torch.arange(len(images), device=images.device) % num_classes
    with cheap_dropout(images.device):
        with _faults_named(f"{TRAINING}switching to it"):
            model.train()
        with _faults_named(f"{TRAINING}the forward pass"), computing_in(precision, images.device):
            logits = model(images)
        _check_output(logits, len(images), num_classes, TRAINING)
        loss = functional.cross_entropy(logits.float(), labels)
        if not torch.isfinite(loss):
            raise ModelError(f"{TRAINING}the first loss is {loss.item()}, not a finite number")
        if not loss.requires_grad:
            raise ModelError(NO_GRADIENT)
        with _faults_named(f"{TRAINING}the backward pass"):
            loss.backward()  # type: ignore[no-untyped-call]


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


def _check_output(output: object, images: int, num_classes: int, mode: str = "") -> None:
    if not isinstance(output, Tensor) or output.shape != (images, num_classes):
        given = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ModelError(
            f"{mode}for {images} images the model should give {images} x {num_classes} logits, "
            f"not {given}"
        )
    if not output.is_floating_point():
        raise ModelError(f"{mode}the logits should be floats, not {output.dtype}")


@contextmanager
def _faults_named(what: str) -> Iterator[None]:
    """Say what it was that raised."""
    try:
        yield
    except PLUGIN_FAULTS as error:
        raise ModelError(f"{what} raised {one_line(error)}") from error


@contextmanager
def _settings_put_back(warn: Warn, culprit: str) -> Iterator[None]:
    """Put back what a model changes of its process, and have ``warn`` say so."""
    changes: list[str] = []
    seed = torch.initial_seed()
    with settings_put_back(changes.append):
        yield
    if changes:
        warn(f"{culprit} changed {', '.join(changes)}; put back")
    if torch.initial_seed() != seed:
        warn(f"{culprit} seeds PyTorch's generator, so what it draws does not depend on the seed")
