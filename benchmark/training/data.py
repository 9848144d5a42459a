"""Images where a training takes them from, and the order in which an epoch sees them."""

from __future__ import annotations

from typing import Any, cast

import numpy
import torch

from benchmark.entries import Images
from benchmark.training.image_memory import is_copied
from benchmark.training.seeds import ORDER_STREAM, SUBSET_STREAM, generator

# As many bytes as are worth a copy of their own, and take no memory to speak of.
CHUNK_BYTES = 2**26


class ResidentImages:
    """Labelled images for a device: ``pixels`` uint8 of N x H x W x C, ``labels`` int64 of N.

    Channels come last, as convolutions want them, so that a batch need not be transposed. Pixels
    lie on the device, but for those of a CPU that would fill much of its memory: they stay where
    they are, and are read batch by batch.
    """

    def __init__(self, images: Images, device: torch.device) -> None:
        stays = device.type == "cpu" and not is_copied(images.pixels.nbytes)
        self.pixels = _in_place(images.pixels) if stays else _copied(images.pixels, device)
        self.labels = torch.from_numpy(images.labels).to(device)

    def __len__(self) -> int:
        return len(self.labels)


class PixelsInPlace:
    """Pixels of a mapped file, with what is asked of a tensor on the CPU: N x H x W x C."""

    device = torch.device("cpu")

    def __init__(self, pixels: numpy.ndarray[Any, Any] | RowsInPlace) -> None:
        self._pixels = pixels
        count, channels, height, width = pixels.shape
        self.shape = torch.Size((count, height, width, channels))

    def __getitem__(self, part: slice) -> torch.Tensor:
        return torch.from_numpy(self._pixels[part]).permute(0, 2, 3, 1)

    def index_select(self, dimension: int, indices: torch.Tensor) -> torch.Tensor:
        """The images of those ``indices``, contiguous; the ``dimension`` can only be the first."""
        assert dimension == 0
        return torch.from_numpy(self._pixels[indices.numpy()]).permute(0, 2, 3, 1).contiguous()


class RowsInPlace:
    """Some images of an array, N x C x H x W, copied only when they are asked for."""

    def __init__(
        self, array: numpy.ndarray[Any, Any] | RowsInPlace, rows: numpy.ndarray[Any, Any]
    ) -> None:
        self._array = array
        self._rows = rows
        self.shape: tuple[int, ...] = (len(rows), *array.shape[1:])
        self.nbytes: int = array.nbytes // len(array) * len(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, part: Any) -> numpy.ndarray[Any, Any]:
        return self._array[self._rows[part]]


def subset(images: Images, size: int | None) -> Images:
    """Return ``size`` images drawn without replacement, always the same ones; all if None."""
    if size is None or size >= len(images.labels):
        return images
    random = generator(SUBSET_STREAM, len(images.labels))
    return chosen(images, numpy.sort(random.permutation(len(images.labels))[:size]))


def chosen(images: Images, rows: numpy.ndarray[Any, Any]) -> Images:
    """Return the images of those rows; where they would fill much of the memory, without a copy.

    Their ``pixels`` are then no array, but have an array's shape, size and slices.
    """
    in_place: Any = RowsInPlace(images.pixels, rows)
    pixels = images.pixels[rows] if is_copied(in_place.nbytes) else in_place
    return Images(pixels, images.labels[rows])


def epoch_order(size: int, seed: int, epoch: int) -> torch.Tensor:
    """A permutation of ``size`` images (int64, on the CPU) that depends on (seed, epoch) alone."""
    return torch.from_numpy(generator(ORDER_STREAM, seed, epoch).permutation(size))


def _in_place(pixels: numpy.ndarray[Any, Any]) -> torch.Tensor:
    return cast(torch.Tensor, PixelsInPlace(pixels))


def _copied(pixels: numpy.ndarray[Any, Any], device: torch.device) -> torch.Tensor:
    """Pixels on the device, channels last, brought there part by part: never twice as a whole."""
    count, channels, height, width = pixels.shape
    copy = torch.empty((count, height, width, channels), dtype=torch.uint8, device=device)
    step = max(1, CHUNK_BYTES // (channels * height * width))
    for start in range(0, count, step):
        # An array may run backwards, which a tensor cannot.
        part = torch.from_numpy(numpy.ascontiguousarray(pixels[start : start + step]))
        copy[start : start + step] = part.to(device).permute(0, 2, 3, 1)
    return copy
