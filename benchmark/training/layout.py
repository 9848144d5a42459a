"""How the numbers of images and convolutions' weights lie in memory."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Layout = Literal["channels_last", "contiguous"]

# The first is the faster one for convolutions; the second is what PyTorch itself starts with.
FORMATS: dict[Layout, torch.memory_format] = {
    "channels_last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}


def lay_out(images: Tensor, layout: Layout) -> Tensor:
    """Images of N x C x H x W in that layout; the same tensor where they are."""
    return images.contiguous(memory_format=FORMATS[layout])


def in_memory_order(pixels: Tensor, layout: Layout) -> Tensor:
    """A view of N x H x W x C with the dimensions in the order in which that layout stores them."""
    return pixels if layout == "channels_last" else pixels.permute(0, 3, 1, 2)


def from_memory_order(stored: Tensor, layout: Layout) -> Tensor:
    """The view of N x H x W x C of what ``in_memory_order`` gave."""
    return stored if layout == "channels_last" else stored.permute(0, 2, 3, 1)


def place(model: nn.Module, device: torch.device, layout: Layout) -> None:
    """Move a model to a device, its weights in that layout.

    Raises RuntimeError for weights of five dimensions, which cannot have their channels last.
    """
    model.to(device=device, memory_format=FORMATS[layout])  # type: ignore[call-overload]
