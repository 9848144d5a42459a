"""From bytes that lie on a device to the floats that a model is given."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmark.errors import BenchmarkError
from benchmark.optimization import Normalization
from benchmark.training.layout import Layout, lay_out


class Preparation:
    """Makes what a model is given of images: floats in its layout, normalised where it wants that.

    Raises BenchmarkError where there is a normalization for another number of ``channels``.
    """

    def __init__(
        self,
        layout: Layout = "channels_last",
        normalization: Normalization | None = None,
        *,
        channels: int,
        device: torch.device,
    ) -> None:
        self.layout = layout
        self.normalization = normalization
        if normalization is None:
            return
        if normalization.channels not in (1, channels):
            raise BenchmarkError(
                f"the recipe's normalization is of {normalization.channels} channels, and the "
                f"images have {channels}"
            )
        # Made once: a step that is captured can bring nothing from the host.
        self._mean = _by_channel(normalization.mean, device)
        self._standard_deviation = _by_channel(normalization.standard_deviation, device)

    def __call__(self, pixels: Tensor) -> Tensor:
        """Pixels of 0 to 255, N x H x W x C, as the model is given them, N x C x H x W."""
        return self.normalized(self.as_floats(pixels))

    def as_floats(self, pixels: Tensor) -> Tensor:
        """The same as floats of 0 to 1, which are not normalised yet."""
        return as_floats(pixels, self.layout)

    def normalized(self, pixels: Tensor) -> Tensor:
        """Floats of 0 to 1, N x C x H x W, as the model is given them."""
        if self.normalization is None:
            return pixels
        return pixels.sub(self._mean).div_(self._standard_deviation)


def as_floats(pixels: Tensor, layout: Layout = "channels_last") -> Tensor:
    """Pixels of 0 to 255, N x H x W x C, as floats of 0 to 1, N x C x H x W, in that layout."""
    return lay_out(pixels.to(torch.float32).div_(255).permute(0, 3, 1, 2), layout)


def _by_channel(numbers: Sequence[float], device: torch.device) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float32, device=device).view(-1, 1, 1)
