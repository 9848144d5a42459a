"""Build a model, and hold it to what its entry promises."""

from __future__ import annotations

import torch
from torch import nn

from benchmark.catalog import Offer
from benchmark.entries import ModelEntry
from benchmark.errors import ModelError, one_line
from benchmark.plugin import PLUGIN_FAULTS

# As many images as BatchNorm needs, should a model not heed that it is evaluated.
IMAGES = 2


def build_model(
    offer: Offer[ModelEntry], input_shape: tuple[int, int, int], num_classes: int
) -> nn.Module:
    """Build a model on the CPU, in evaluation mode.

    Raises ModelError where building it or running it fails, where it is no module or has nothing
    to train, and where its output is not one of N x ``num_classes``.
    """
    try:
        model = offer.entry.build(input_shape, num_classes)
    except PLUGIN_FAULTS as error:
        raise ModelError(f"build raised {one_line(error)}") from error
    if not isinstance(model, nn.Module):
        raise ModelError(f"build returned a {type(model).__name__}, not a torch.nn.Module")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ModelError("the model has no parameters to train")
    _check_output(model.eval(), input_shape, num_classes)
    return model


def _check_output(model: nn.Module, input_shape: tuple[int, int, int], num_classes: int) -> None:
    try:
        # Not inference_mode: a model may keep a tensor that its training then needs.
        with torch.no_grad():
            output = model(torch.zeros(IMAGES, *input_shape))
    except PLUGIN_FAULTS as error:
        raise ModelError(f"the forward pass raised {one_line(error)}") from error
    if not isinstance(output, torch.Tensor) or output.shape != (IMAGES, num_classes):
        shape = tuple(getattr(output, "shape", ())) or type(output).__name__
        raise ModelError(
            f"for {IMAGES} images the model should give {IMAGES} x {num_classes} logits, "
            f"not {shape}"
        )
