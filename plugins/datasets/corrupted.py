"""Another data set, its test images changed: to ask how robust models are that never saw such."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field

from benchmark import DatasetEntry, Images, ImageSplits, Options, hookimpl

from .corruptions import Corruption, corrupt


class CorruptedOptions(Options):
    """Options of the data set ``corrupted``."""

    of: str | dict[str, Any] | None = None
    """The data set whose test images are changed: a name, or a mapping with a name and options."""

    corruption: Corruption = "noise"
    """What is done to the test images."""

    severity: int = Field(default=3, ge=1, le=5)
    """How strongly it is done."""


def load(data_directory: Path, options: CorruptedOptions, images: ImageSplits) -> ImageSplits:
    """Change the test images; all else is handed on as it is, the same arrays.

    It takes seconds for 10,000 images of 32 x 32. So it is done each time: a cache would have the
    training images once more for every corruption.
    """
    del data_directory
    pixels = corrupt(images.test.pixels, options.corruption, options.severity)
    return replace(images, test=Images(pixels, images.test.labels))


@hookimpl
def benchmark_datasets() -> Iterator[DatasetEntry]:
    """Offer the data set."""
    yield DatasetEntry(
        "corrupted",
        load,
        "a data set with worse test images",
        CorruptedOptions,
        wraps="of",
    )
