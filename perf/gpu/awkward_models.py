"""Models that are awkward to capture, and the optimiser that docs/hooks/recipes.md teaches.

This is also a plugin (``-p perf.gpu.awkward_models``), so that whole trials can be run on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from benchmark import ModelEntry, Optimization, hookimpl
from perf.built_in import build_model

PLUGIN = "perf.gpu.awkward_models"


class KeepsFeatures(nn.Module):
    """Keeps a tensor that autograd knows from step to step, as many models do for a look at it."""

    def __init__(self) -> None:
        super().__init__()
        self.model: Any = build_model("baseline_cnn")
        self.features: Tensor | None = None

    def forward(self, pixels: Tensor) -> Tensor:
        """Map N x C x H x W pixels to N x 10 logits."""
        self.features = self.model.features(pixels)
        logits: Tensor = self.model.classifier(self.features)
        return logits


class Recomputes(nn.Module):
    """Computes its features again while gradients are worked out, with the same dropout masks.

    That is PyTorch's activation checkpointing as it is by default: it asks where the generator
    stands, and puts it back there, which a capture may not allow.
    """

    def __init__(self) -> None:
        super().__init__()
        self.model: Any = build_model("baseline_cnn")

    def forward(self, pixels: Tensor) -> Tensor:
        """Map N x C x H x W pixels to N x 10 logits."""
        features = checkpoint(self.model.features, pixels, use_reentrant=False)
        logits: Tensor = self.model.classifier(features)
        return logits


class FailsInCapture(nn.Module):
    """Asks the device for a number while it is captured, and at no time before."""

    def __init__(self) -> None:
        super().__init__()
        self.model = build_model("baseline_cnn")

    def forward(self, pixels: Tensor) -> Tensor:
        """Map N x C x H x W pixels to N x 10 logits."""
        logits: Tensor = self.model(pixels)
        if pixels.is_cuda and torch.cuda.is_current_stream_capturing():
            logits = logits * float(logits.detach().sum())
        return logits


def docs_sgd(model: nn.Module, steps_per_epoch: int, batch_size: int) -> Optimization:
    """SGD as the page on recipes teaches it: neither fused nor capturable by itself."""
    del batch_size
    factors = [1 - step / (100 * steps_per_epoch) for step in range(100 * steps_per_epoch)]
    return Optimization(
        optimizer=optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
        learning_rate_factors=factors,
        loss=functional.cross_entropy,
    )


@hookimpl
def benchmark_models() -> Iterator[ModelEntry]:
    """Offer the models."""
    yield ModelEntry("keeps_features", lambda shape, classes: KeepsFeatures(), "keeps a tensor")
    yield ModelEntry(
        "fails_in_capture", lambda shape, classes: FailsInCapture(), "cannot be captured"
    )
