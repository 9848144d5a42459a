"""Anybody's images: ``root/train/<class>/*`` and ``root/test/<class>/*``, JPEG or PNG."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

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

from .image_files import Decoder, warnings_by_file
from .image_folders import find_halves

LARGEST_SIDE = 4096
# Raised when images are found or decoded differently, so that older caches are not used.
VERSION = 2


class ImageFolderOptions(Options):
    """Options of the data set ``imagefolder``."""

    root: Path
    """The folder that holds train/ and test/ (or val/)."""

    size: int | None = Field(default=None, ge=1, le=LARGEST_SIDE)
    """The side that every image is brought to, in pixels; null leaves images as they are."""

    @field_validator("root", mode="before")
    @classmethod
    def _root_is_a_path(cls, root: Any) -> Any:
        # No shell expands a "~" after an equals sign, or in a file.
        return str(usable_folder(root, root or "root")) if isinstance(root, str) else root


def identify(data_directory: Path, options: ImageFolderOptions) -> str:
    """Every image's path, size and time of change, and the size wanted.

    Says what it ignores, each time: the images may come from the cache.
    """
    del data_directory
    *halves, ignored = find_halves(options.root)
    if ignored:
        announce(f"benchmark: imagefolder: {options.root}: ignored {ignored}")
    lines = [f"imagefolder {VERSION} {options.root.resolve()} size={options.size}"]
    for half in halves:
        for found in half.classes.values():
            lines.append(f"{half.folder.name}/{found.folder.name}")
            lines += [f"{n}\0{_size_and_time(f'{found.folder}/{n}')}" for n in found.images]
    return "\n".join(lines)


def load(data_directory: Path, options: ImageFolderOptions) -> ImageSplits:
    """Decode all images in parallel, grey ones to RGB; classes are sorted by name.

    Raises DatasetError, with the path, for a folder that is missing or empty, for classes that
    the halves do not share, for images that cannot be decoded, and for unequal sizes.
    """
    del data_directory
    *halves, _ = find_halves(options.root)
    with warnings_by_file() as warned:
        decoder = Decoder(halves[0].files[0], options.size)
        train, test = (Images(decoder.decode(half.files), half.labels) for half in halves)
    if warned:
        file, message = min(warned.items())
        announce(
            "benchmark: imagefolder: all images were decoded, but Pillow warned about "
            f"{len(warned):,} of them, the first being {file}: {message}"
        )
    return ImageSplits(train, test, tuple(halves[0].classes))


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
        "your own JPEG and PNG files",
        ImageFolderOptions,
        identify,
    )
