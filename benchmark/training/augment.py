"""Flip, crop and cutout on many images: each its own draw, all of them one gather."""

from __future__ import annotations

import numpy
import torch

from benchmark.errors import BenchmarkError
from benchmark.optimization import Augmentation
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
        self._rows = torch.arange(height, device=device, dtype=torch.int32)
        self._columns = torch.arange(width, device=device, dtype=torch.int32)
        # All of them fit: a padding is smaller than an image.
        largest = max(height, width)
        self._draws_type = numpy.int8 if largest <= 127 else numpy.int32

    @property
    def changes_images(self) -> bool:
        """Whether it does anything."""
        return self._augmentation != Augmentation()

    def draw(self, count: int, seed: int, epoch: int) -> torch.Tensor:
        """Draw for ``count`` images: small integers of 5 x ``count``, on the CPU, rows as in DRAWS.

        Each row's draws depend on (seed, epoch) and its own range, not on what else is on.
        """
        padding = self._augmentation.crop_padding
        ranges = (
            (0, 2),
            (-padding, padding + 1),
            (-padding, padding + 1),
            (0, len(self._rows)),
            (0, len(self._columns)),
        )
        # By NumPy alone: PyTorch's threads would wait for one another to copy so little.
        draws = numpy.empty((len(DRAWS), count), self._draws_type)
        for row, (low, high) in enumerate(ranges):
            random = generator(AUGMENTATION_STREAM, seed, epoch, row)
            draws[row] = random.integers(low, high, count, self._draws_type)
        return torch.from_numpy(draws)

    def apply(self, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """Change images (uint8 of B x H x W x C) as drawn (5 x B); the same if nothing is to be.

        A pixel is found by one flat index: several times faster than an index a dimension. It has
        32 bits, so all images together have fewer than 2^31 pixels.
        """
        if not self.changes_images:
            return images
        count, height, width, channels = images.shape
        flip, shift_rows, shift_columns, hole_row, hole_column = draws.unsqueeze(2).unbind(0)
        rows = _reflect(self._rows + shift_rows, height)
        columns = _reflect(self._columns + shift_columns, width)
        if self._augmentation.flip:
            columns = torch.where(flip == 1, width - 1 - columns, columns)
        numbers = torch.arange(count, device=images.device, dtype=torch.int32)
        first_pixels = numbers.view(-1, 1, 1) * (height * width)
        flat = first_pixels + rows.unsqueeze(2) * width + columns.unsqueeze(1)
        changed = images.view(-1, channels).index_select(0, flat.view(-1)).view(images.shape)
        if self._augmentation.cutout:
            in_rows = self._in_hole(self._rows, hole_row)
            in_columns = self._in_hole(self._columns, hole_column)
            hole = in_rows.unsqueeze(2) & in_columns.unsqueeze(1)
            changed.masked_fill_(hole.unsqueeze(3), 0)
        return changed

    def _in_hole(self, positions: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
        first = centre - self._augmentation.cutout // 2
        return (positions >= first) & (positions < first + self._augmentation.cutout)


def _reflect(positions: torch.Tensor, size: int) -> torch.Tensor:
    """Bring positions back inside, mirrored at the first and last pixel, which stand once."""
    last = size - 1
    return last - (last - positions.abs()).abs()
