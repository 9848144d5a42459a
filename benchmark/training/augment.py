"""Flip, crop and cutout on whole batches: each image its own draw, all of them one gather."""

from __future__ import annotations

import torch

from benchmark.errors import BenchmarkError
from benchmark.optimization import Augmentation
from benchmark.training.data import PixelsInPlace
from benchmark.training.seeds import AUGMENTATION_STREAM, generator

# What is drawn for an image: flipped or not, the crop's shift, the centre of the hole.
DRAWS = ("flip", "shift_rows", "shift_columns", "hole_row", "hole_column")


class Augmenter:
    """Carries an Augmentation out on images of one size."""

    def __init__(
        self, augmentation: Augmentation, height: int, width: int, device: torch.device
    ) -> None:
        if augmentation.crop_padding >= min(height, width):
            raise BenchmarkError(
                f"a crop padding of {augmentation.crop_padding} pixels needs larger images "
                f"than {height} x {width}"
            )
        self._augmentation = augmentation
        self._rows = torch.arange(height, device=device)
        self._columns = torch.arange(width, device=device)

    @property
    def changes_images(self) -> bool:
        """Whether it does anything."""
        return self._augmentation != Augmentation()

    def draw(self, count: int, seed: int, epoch: int) -> torch.Tensor:
        """Draw for ``count`` images: int64 of ``count`` x 5, on the CPU, columns as in DRAWS.

        Each column's draws depend on (seed, epoch) and its own range, not on what else is on.
        """
        padding = self._augmentation.crop_padding
        draws = torch.empty(count, len(DRAWS), dtype=torch.int64)
        ranges = (
            (0, 2),
            (-padding, padding + 1),
            (-padding, padding + 1),
            (0, len(self._rows)),
            (0, len(self._columns)),
        )
        for column, (low, high) in enumerate(ranges):
            random = generator(AUGMENTATION_STREAM, seed, epoch, column)
            draws[:, column] = torch.from_numpy(random.integers(low, high, count))
        return draws

    def gather(
        self, pixels: torch.Tensor, indices: torch.Tensor, draws: torch.Tensor
    ) -> torch.Tensor:
        """Take images out of ``pixels`` (uint8 of N x H x W x C), changed as drawn.

        ``indices`` are B of them, ``draws`` their draws (B x 5); returns uint8 of B x H x W x C.
        A pixel is found by one flat index: several times faster than an index a dimension.
        """
        if isinstance(pixels, PixelsInPlace):
            pixels, indices = pixels.index_select(0, indices), torch.arange(len(indices))
        _, height, width, channels = pixels.shape
        flip, shift_rows, shift_columns, hole_row, hole_column = draws.unsqueeze(2).unbind(1)
        rows = _reflect(self._rows + shift_rows, height)
        columns = _reflect(self._columns + shift_columns, width)
        if self._augmentation.flip:
            columns = torch.where(flip == 1, width - 1 - columns, columns)
        first_pixels = indices.view(-1, 1, 1) * (height * width)
        flat = first_pixels + rows.unsqueeze(2) * width + columns.unsqueeze(1)
        images = pixels.view(-1, channels).index_select(0, flat.view(-1))
        images = images.view(*flat.shape, channels)
        if self._augmentation.cutout:
            in_rows = self._in_hole(self._rows, hole_row)
            in_columns = self._in_hole(self._columns, hole_column)
            hole = in_rows.unsqueeze(2) & in_columns.unsqueeze(1)
            images = images.masked_fill(hole.unsqueeze(3), 0)
        return images

    def _in_hole(self, positions: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
        first = centre - self._augmentation.cutout // 2
        return (positions >= first) & (positions < first + self._augmentation.cutout)


def _reflect(positions: torch.Tensor, size: int) -> torch.Tensor:
    """Bring positions back inside, mirrored at the first and last pixel, which stand once."""
    last = size - 1
    return last - (last - positions.abs()).abs()
