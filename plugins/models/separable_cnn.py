"""The small network of depthwise separable convolutions ("my model", 2019)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from benchmark import ModelEntry, Options, hookimpl

# The smallest side of which three halvings leave anything.
SMALLEST_SIDE = 8

# The document that describes the model gives no dropout rates. A sibling notebook, the same but
# for one dropout fewer, has these from the second on; the first is an assumption.
DROPOUT_RATES = (0.1, 0.2, 0.3, 0.4, 0.5)

# Of the three pairs of separable convolutions.
CHANNELS = (32, 64, 128)


class SeparableOptions(Options):
    """Options of the model ``separable_cnn``."""

    width: float = Field(default=1, gt=0, le=64)
    """Multiplies the channels of the convolutions."""

    dropout: float = Field(default=1, ge=0, lt=2)
    """Multiplies the dropout rates, 0.1 to 0.5."""


class SeparableConv2d(nn.Module):
    """A depthwise 3 x 3 convolution without bias, a pointwise one with bias, then ReLU.

    Height and width stay. Kernels start from Glorot's uniform distribution with the fans that
    Keras takes: for the depthwise kernel 9 x channels in and 9 out (``SeparableConv2D`` of 2019).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            inputs, inputs, kernel_size=3, padding="same", groups=inputs, bias=False
        )
        self.pointwise = nn.Conv2d(inputs, outputs, kernel_size=1)
        bound = math.sqrt(6 / (9 * inputs + 9))
        nn.init.uniform_(self.depthwise.weight, -bound, bound)
        nn.init.xavier_uniform_(self.pointwise.weight)
        assert self.pointwise.bias is not None
        nn.init.zeros_(self.pointwise.bias)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map N x ``inputs`` x H x W to N x ``outputs`` x H x W."""
        return functional.relu(self.pointwise(self.depthwise(pixels)))


class SeparableCNN(nn.Module):
    """Six separable convolutions and two dense layers, BatchNorm after each ReLU.

    98,887 parameters for CIFAR-10, of which 956 are BatchNorm's moving statistics. The dropout
    rates are 0.1, 0.2, 0.3, 0.4 and 0.5; the first of them is an assumption (see DROPOUT_RATES).
    BatchNorm has Keras's constants: epsilon 1e-3, and momentum 0.99, which is PyTorch's 0.01.

    Raises ValueError for images smaller than 8 x 8.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        num_classes: int,
        options: SeparableOptions | None = None,
    ) -> None:
        super().__init__()
        channels, height, width = input_shape
        if min(height, width) < SMALLEST_SIDE:
            raise ValueError(
                f"separable_cnn needs images of at least {SMALLEST_SIDE} x {SMALLEST_SIDE} pixels, "
                f"not {height} x {width}"
            )
        options = options or SeparableOptions()
        first, second, third = (max(1, round(options.width * count)) for count in CHANNELS)
        rates = [options.dropout * rate for rate in DROPOUT_RATES]
        self.features = nn.Sequential(
            SeparableConv2d(channels, first),
            _batch_norm_2d(first),
            nn.Dropout(rates[0]),
            SeparableConv2d(first, first),
            _batch_norm_2d(first),
            nn.MaxPool2d(2),
            nn.Dropout(rates[1]),
            *_separable_pair(first, second, rates[2]),
            *_separable_pair(second, third, rates[3]),
        )
        hidden = nn.Linear(third * (height // 8) * (width // 8), 30)
        logits = nn.Linear(30, num_classes)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            hidden,
            nn.ReLU(),
            nn.BatchNorm1d(30, eps=1e-3, momentum=0.01),
            nn.Dropout(rates[4]),
            logits,
        )
        nn.init.kaiming_uniform_(hidden.weight, nonlinearity="relu")
        nn.init.xavier_uniform_(logits.weight)
        for dense in (hidden, logits):
            nn.init.zeros_(dense.bias)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map N x C x H x W pixels to N x ``num_classes`` logits."""
        logits: Tensor = self.classifier(self.features(pixels))
        return logits


def _separable_pair(inputs: int, outputs: int, dropout_rate: float) -> Iterator[nn.Module]:
    yield SeparableConv2d(inputs, outputs)
    yield _batch_norm_2d(outputs)
    yield SeparableConv2d(outputs, outputs)
    yield _batch_norm_2d(outputs)
    yield nn.MaxPool2d(2)
    yield nn.Dropout(dropout_rate)


def _batch_norm_2d(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


@hookimpl
def benchmark_models() -> Iterator[ModelEntry]:
    """Offer the model."""
    yield ModelEntry(
        "separable_cnn", SeparableCNN, "six separable convolutions, BatchNorm", SeparableOptions
    )
