"""Build a model, and hold it to what its entry promises before it is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
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
    undone_but_for_new_parameters,
)
from benchmark.trial.names import first_names

Warn = Callable[[str], None]


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
    with model_settings_put_back(warn, "building the model"):
        try:
            model = entry.build(input_shape, num_classes, *arguments)
        except PLUGIN_FAULTS as error:
            raise ModelError(f"build raised {one_line(error)}") from error
    if not isinstance(model, nn.Module):
        raise ModelError(f"build returned a {type(model).__name__}, not a torch.nn.Module")
    with model_settings_put_back(warn, "the forward pass"), undone_but_for_new_parameters(model):
        output = evaluate_once(model, noise_images(FEWEST_IMAGES, input_shape))
    parameters = dict(model.named_parameters())
    lazy = [name for name, parameter in parameters.items() if is_lazy(parameter)]
    if lazy:
        raise ModelError(
            f"no image passes these lazy parameters, so they have no size: {first_names(lazy)}"
        )
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise ModelError("the model has no parameters to train")
    check_output(output, FEWEST_IMAGES, num_classes)
    return model


def try_to_count_macs(
    model: nn.Module, input_shape: tuple[int, int, int], warn: Warn
) -> MacCount | None:
    """Count a model's multiply-accumulates; None where that fails, with a line for ``warn``."""
    try:
        with model_settings_put_back(warn, "the forward pass"):
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


def evaluate_once(model: nn.Module, images: Tensor) -> object:
    """What a model gives in evaluation mode; raises ModelError where it fails."""
    with faults_named("switching to evaluation mode"):
        model.eval()
    # Not inference_mode: a model may keep a tensor that its training then needs.
    with faults_named("the forward pass"), torch.no_grad():
        return model(images)


def check_output(
    output: object, images: int, num_classes: int, mode: str = "", remedy: str = ""
) -> None:
    """Raise ModelError for what is not ``images`` x ``num_classes`` logits."""
    if not isinstance(output, Tensor) or output.shape != (images, num_classes):
        given = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ModelError(
            f"{mode}for {images} images the model should give {images} x {num_classes} logits, "
            f"not {given}{remedy}"
        )
    if not output.is_floating_point():
        raise ModelError(f"{mode}the logits should be floats, not {output.dtype}")


@contextmanager
def faults_named(what: str) -> Iterator[None]:
    """Say what it was that raised."""
    try:
        yield
    except PLUGIN_FAULTS as error:
        raise ModelError(f"{what} raised {one_line(error)}") from error


@contextmanager
def model_settings_put_back(warn: Warn, culprit: str) -> Iterator[None]:
    """Put back what a model changes of its process, and have ``warn`` say so."""
    changes: list[str] = []
    seed = torch.initial_seed()
    with settings_put_back(changes.append):
        yield
    if changes:
        warn(f"{culprit} changed {', '.join(changes)}; put back")
    if torch.initial_seed() != seed:
        warn(f"{culprit} seeds PyTorch's generator, so what it draws does not depend on the seed")
