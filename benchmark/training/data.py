"""Images that stay on the device as uint8, and the order in which an epoch sees them."""

from __future__ import annotations

import numpy
import torch

from benchmark.entries import Images
from benchmark.training.seeds import ORDER_STREAM, SUBSET_STREAM, generator


class ResidentImages:
    """Labelled images on a device: ``pixels`` uint8 of N x H x W x C, ``labels`` int64 of N.

    Channels come last, as convolutions want them, so that a batch need not be transposed.
    """

    def __init__(self, images: Images, device: torch.device) -> None:
        self.pixels = torch.from_numpy(images.pixels).to(device).permute(0, 2, 3, 1).contiguous()
        self.labels = torch.from_numpy(images.labels).to(device)

    def __len__(self) -> int:
        return len(self.labels)


def subset(images: Images, size: int | None) -> Images:
    """Return ``size`` images drawn without replacement, always the same ones; all if None."""
    if size is None or size >= len(images.labels):
        return images
    random = generator(SUBSET_STREAM, len(images.labels))
    chosen = numpy.sort(random.permutation(len(images.labels))[:size])
    return Images(images.pixels[chosen], images.labels[chosen])


def epoch_order(size: int, seed: int, epoch: int) -> torch.Tensor:
    """A permutation of ``size`` images (int64, on the CPU) that depends on (seed, epoch) alone."""
    return torch.from_numpy(generator(ORDER_STREAM, seed, epoch).permutation(size))
