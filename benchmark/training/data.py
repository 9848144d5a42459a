"""Images that stay on the device as uint8, and the order in which an epoch sees them."""

from __future__ import annotations

import numpy
import torch

from benchmark.entries import Images

# Which images make up a subset of a data set is fixed: it depends on no trial's seed.
_SUBSET_STREAM = 0
_ORDER_STREAM = 1


class ResidentImages:
    """Labelled images on a device: ``pixels`` uint8 of N x C x H x W, ``labels`` int64 of N."""

    def __init__(self, images: Images, device: torch.device) -> None:
        self.pixels = torch.from_numpy(images.pixels).to(device)
        self.labels = torch.from_numpy(images.labels).to(device)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Gather images: floats of B x C x H x W between 0 and 1, channels last, and B labels."""
        return as_floats(self.pixels[indices]), self.labels[indices]

    def slice(self, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Take neighbouring images, as ``batch`` does."""
        return as_floats(self.pixels[start:stop]), self.labels[start:stop]


def as_floats(pixels: torch.Tensor) -> torch.Tensor:
    """Pixels of 0 to 255 as floats of 0 to 1, laid out channels last."""
    floats = pixels.to(torch.float32, memory_format=torch.channels_last)
    return floats.div_(255)


def subset(images: Images, size: int | None) -> Images:
    """Return ``size`` images drawn without replacement, always the same ones; all if None."""
    if size is None or size >= len(images.labels):
        return images
    generator = numpy.random.default_rng([_SUBSET_STREAM, len(images.labels)])
    chosen = numpy.sort(generator.permutation(len(images.labels))[:size])
    return Images(images.pixels[chosen], images.labels[chosen])


def epoch_order(size: int, seed: int, epoch: int) -> torch.Tensor:
    """A permutation of ``size`` images (int64, on the CPU) that depends on (seed, epoch) alone."""
    generator = numpy.random.default_rng([_ORDER_STREAM, seed, epoch])
    return torch.from_numpy(generator.permutation(size))
