"""Decodes many image files at a time, to arrays of one size."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy

from benchmark import DatasetError, track

from .image_files import Change, ReadImage, noted, read_image
from .image_fits import FITS, Fit

BATCH = 200

Pixels = numpy.ndarray[Any, numpy.dtype[numpy.uint8]]


class Decoder:
    """Decodes files to one size: squares of the ``side`` asked for, or that of the first image.

    Raises DatasetError, with the path, for a file that cannot be decoded.
    """

    def __init__(self, first: Path, side: int | None, fit: Fit) -> None:
        self._first = first
        self._side = side
        self._fit = fit
        self._size = (side, side) if side is not None else read_image(first).colour.size
        self._changes: Counter[Change] = Counter()

    @property
    def notes(self) -> list[str]:
        """What was changed of the images decoded so far, a sentence for each kind of change."""
        return [noted(change, self._changes[change]) for change in Change if self._changes[change]]

    def decode(self, files: Sequence[Path], root: Path) -> Pixels:
        """Return uint8 of N x 3 x H x W; the display shows the folder ``root``."""
        width, height = self._size
        pixels = numpy.empty((len(files), 3, height, width), numpy.uint8)

        def decode_batch(start: int) -> list[tuple[Change, ...]]:
            batch = files[start : start + BATCH]
            return [self._decode_into(pixels[n], file) for n, file in enumerate(batch, start)]

        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            batches = pool.map(decode_batch, range(0, len(files), BATCH))
            decoded = itertools.chain.from_iterable(batches)
            for changes in track(decoded, f"decoding {root}", len(files)):
                self._changes.update(changes)
        return pixels

    def _decode_into(self, place: Pixels, file: Path) -> tuple[Change, ...]:
        image = self._fitted(read_image(file))
        if image.colour.size != self._size:
            raise DatasetError(
                f"imagefolder: {file} is {_text(image.colour.size)} pixels and {self._first} is "
                f"{_text(self._size)}; give a size for all: --set dataset.size=32 "
                "with benchmark run, --set size=32 with benchmark data"
            )
        place[:] = numpy.asarray(image.colour).transpose(2, 0, 1)
        return image.changes

    def _fitted(self, image: ReadImage) -> ReadImage:
        width, height = image.colour.size
        if self._side is None:
            return image
        is_squashed = self._fit == "squash" and width != height
        changes = (Change.SQUASHED,) if is_squashed else ()
        return ReadImage(FITS[self._fit](image.colour, self._side), (*image.changes, *changes))


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
