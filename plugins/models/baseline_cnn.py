"""The plain convolutional network that many course notebooks start from ("given model", 2019)."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field
from torch import Tensor, nn

from benchmark import ModelEntry, Options, hookimpl

# The smallest side that three rounds of a valid 3 x 3 convolution and a halving leave anything of.
SMALLEST_SIDE = 22

# Of the three pairs of convolutions, and those after each pair and between the dense layers.
CHANNELS = (48, 96, 192)
DROPOUT_RATES = (0.25, 0.5)


class BaselineOptions(Options):
    """Options of the model ``baseline_cnn``."""

    width: float = Field(default=1, gt=0, le=64)
    """Multiplies the channels of the convolutions."""

    dropout: float = Field(default=1, ge=0, lt=2)
    """Multiplies the dropout rates, 0.25 and 0.5."""


class BaselineCNN(nn.Module):
    """Six 3 x 3 convolutions in pairs, three dense layers; 1,172,410 parameters for CIFAR-10.

    Each pair is one convolution with padding and one without, then max-pooling and dropout.
    Kernels start from Glorot's uniform distribution and biases from zero, as Keras does it:
    with PyTorch's own defaults the training starts much slower.

    Raises ValueError for images smaller than 22 x 22.
    """

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        num_classes: int,
        options: BaselineOptions | None = None,
    ) -> None:
        super().__init__()
        channels, height, width = input_shape
        if min(height, width) < SMALLEST_SIDE:
            raise ValueError(
                f"baseline_cnn needs images of at least {SMALLEST_SIDE} x {SMALLEST_SIDE} pixels, "
                f"not {height} x {width}"
            )
        options = options or BaselineOptions()
        first, second, third = (max(1, round(options.width * count)) for count in CHANNELS)
        features, classifier = (options.dropout * rate for rate in DROPOUT_RATES)
        self.features = nn.Sequential(
            *_convolution_pair(channels, first, features),
            *_convolution_pair(first, second, features),
            *_convolution_pair(second, third, features),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(third * _side_left(height) * _side_left(width), 512),
            nn.ReLU(),
            nn.Dropout(classifier),
            nn.Linear(512, 256),
            nn.ReLU(),
            nn.Dropout(classifier),
            nn.Linear(256, num_classes),
        )
        self.apply(_initialize)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map N x C x H x W pixels to N x ``num_classes`` logits."""
        logits: Tensor = self.classifier(self.features(pixels))
        return logits


def _convolution_pair(inputs: int, outputs: int, dropout_rate: float) -> Iterator[nn.Module]:
    yield nn.Conv2d(inputs, outputs, kernel_size=3, padding="same")
    yield nn.ReLU()
    yield nn.Conv2d(outputs, outputs, kernel_size=3, padding="valid")
    yield nn.ReLU()
    yield nn.MaxPool2d(2)
    yield nn.Dropout(dropout_rate)


def _side_left(side: int) -> int:
    for _ in range(3):
        side = (side - 2) // 2
    return side


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        assert module.bias is not None
        nn.init.zeros_(module.bias)


@hookimpl
def benchmark_models() -> Iterator[ModelEntry]:
    """Offer the model."""
    yield ModelEntry(
        "baseline_cnn", BaselineCNN, "six convolutions, three dense layers", BaselineOptions
    )
