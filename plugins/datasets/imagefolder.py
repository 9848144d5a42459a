"""Anybody's images: ``root/train/<class>/*`` and ``root/test/<class>/*``, or just the classes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from benchmark import (
    DatasetEntry,
    DatasetError,
    Images,
    ImageSplits,
    Options,
    announce,
    hookimpl,
    usable_folder,
)

from .image_decoder import Decoder
from .image_files import warnings_by_file
from .image_fits import Fit
from .image_halves import find_halves

LARGEST_SIDE = 4096
# Raised when images are found or decoded differently, so that older caches are not used.
VERSION = 3


class ImageFolderOptions(Options):
    """Options of the data set ``imagefolder``."""

    root: Path
    """The folder that holds train/ and test/ (or val/), or the classes themselves."""

    size: int | None = Field(default=None, ge=1, le=LARGEST_SIDE)
    """The side that every image is brought to, in pixels; null leaves images as they are."""

    fit: Fit = "squash"
    """How images that are not square are brought to the size."""

    test_fraction: float | None = Field(default=None, gt=0, lt=1)
    """The share of each class to test on where root holds the classes; null means 0.2."""

    @field_validator("root", mode="before")
    @classmethod
    def _root_is_a_path(cls, root: Any) -> Any:
        # No shell expands a "~" after an equals sign, or in a file.
        return str(usable_folder(root, root or "root")) if isinstance(root, str) else root

    @field_validator("fit")
    @classmethod
    def _fit_has_a_size(cls, fit: Fit, info: ValidationInfo) -> Fit:
        if fit != "squash" and info.data.get("size", 0) is None:
            raise ValueError(f"{fit} needs a size to bring images to, such as size: 32")
        return fit


def identify(data_directory: Path, options: ImageFolderOptions) -> str:
    """Every image's path, size and time of change, what is noted, and the size wanted."""
    del data_directory
    halves = find_halves(options.root, options.test_fraction)
    wanted = f"size={options.size} fit={options.fit}"
    lines = [f"imagefolder {VERSION} {options.root.resolve()} {wanted}", *halves.notes]
    for use, half in halves.found.items():
        for found in half.classes.values():
            lines.append(f"{use}\0{found.folder.name}")
            lines += [f"{n}\0{_size_and_time(f'{found.folder}/{n}')}" for n in found.images]
    return "\n".join(lines)


def load(data_directory: Path, options: ImageFolderOptions) -> ImageSplits:
    """Decode all images in parallel, to upright RGB; classes are sorted by name.

    Raises DatasetError, with the path, for a folder that is missing or empty, for classes that
    the halves do not share, for images that cannot be decoded, and for unequal sizes.
    """
    del data_directory
    halves = find_halves(options.root, options.test_fraction)
    with warnings_by_file() as warned:
        decoder = Decoder(halves.train.files[0], options.size, options.fit)
        images = {
            use: Images(decoder.decode(half.files, options.root), half.labels)
            for use, half in halves.found.items()
        }
    if warned:
        file, message = min(warned.items())
        announce(
            "benchmark: imagefolder: all images were decoded, but Pillow warned about "
            f"{len(warned):,} of them, the first being {file}: {message}"
        )
    notes = (*halves.notes, *decoder.notes)
    return ImageSplits(**images, classes=tuple(halves.train.classes), notes=notes)


def _size_and_time(file: str) -> str:
    try:
        # As text all the way: for many thousands of files, Path objects take most of the time.
        status = os.stat(file)  # noqa: PTH116
    except OSError as error:
        # A link to nowhere, for one.
        raise DatasetError(f"imagefolder: {file}: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        # To open it could be to wait for ever.
        raise DatasetError(f"imagefolder: {file}: cannot be decoded: not a regular file")
    return f"{status.st_size}\0{status.st_mtime_ns}"


@hookimpl
def benchmark_datasets() -> Iterator[DatasetEntry]:
    """Offer the data set."""
    yield DatasetEntry(
        "imagefolder",
        load,
        "your own photos: JPEG, PNG, WebP and others",
        ImageFolderOptions,
        identify,
    )
