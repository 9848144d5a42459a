"""The project's two models, as anybody could build them: classes of PyTorch's."""

from __future__ import annotations

from torch import nn

from benchmark_plugins.models.baseline_cnn import BaselineCNN
from benchmark_plugins.models.separable_cnn import SeparableCNN
from perf.random_images import CLASSES, SIDE

_BUILD = {"baseline_cnn": BaselineCNN, "separable_cnn": SeparableCNN}


def build(name: str) -> nn.Module:
    """Build the model of that name for images of 3 x 32 x 32."""
    model: nn.Module = _BUILD[name]((3, SIDE, SIDE), len(CLASSES))
    return model


def count_values(model: nn.Module) -> int:
    """Parameters and floating-point buffers, counted as Keras counts them."""
    buffers = (buffer for buffer in model.buffers() if buffer.is_floating_point())
    return sum(value.numel() for value in [*model.parameters(), *buffers])
