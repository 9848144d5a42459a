"""Anybody's images: ``root/train/<class>/*`` and ``root/test/<class>/*``, JPEG or PNG."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from PIL import Image, UnidentifiedImageError
from pydantic import Field, field_validator

from benchmark import DatasetEntry, DatasetError, Images, ImageSplits, Options, hookimpl, track
from benchmark.paths import usable_folder

SUFFIXES = (".jpg", ".jpeg", ".png")
TEST_NAMES = ("test", "val")
LARGEST_SIDE = 4096
BATCH = 200

# Modes whose conversion to RGB keeps what one sees; 16-bit images would be clipped to white.
_EIGHT_BIT_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}

Pixels = numpy.ndarray[Any, numpy.dtype[numpy.uint8]]


class ImageFolderOptions(Options):
    """``root`` holds train/ and test/ (or val/); ``size`` makes every image size x size pixels."""

    root: Path
    size: int | None = Field(default=None, ge=1, le=LARGEST_SIDE)

    @field_validator("root", mode="before")
    @classmethod
    def _root_is_a_path(cls, root: Any) -> Any:
        # No shell expands a "~" after an equals sign, or in a file.
        return str(usable_folder(root, root or "root")) if isinstance(root, str) else root


@dataclass(frozen=True)
class _Half:
    """The names of one half's image files, class by class."""

    folder: Path
    names: dict[str, list[str]]

    @property
    def files(self) -> list[Path]:
        return [self.folder / label / name for label, names in self.names.items() for name in names]

    @property
    def labels(self) -> numpy.ndarray[Any, numpy.dtype[numpy.int64]]:
        counts = [len(names) for names in self.names.values()]
        return numpy.repeat(numpy.arange(len(counts), dtype=numpy.int64), counts)


def identify(data_directory: Path, options: ImageFolderOptions) -> str:
    """Every image's path, size and time of change, and the size wanted."""
    del data_directory
    train, test = _find_halves(options.root)
    lines = [f"imagefolder {options.root.resolve()} size={options.size}"]
    for half in (train, test):
        for label, names in half.names.items():
            folder = f"{half.folder}/{label}"
            lines.append(f"{half.folder.name}/{label}")
            lines += [f"{name}\0{_size_and_time(f'{folder}/{name}')}" for name in names]
    return "\n".join(lines)


def load(data_directory: Path, options: ImageFolderOptions) -> ImageSplits:
    """Decode all images in parallel, grey ones to RGB; classes are sorted by name.

    Raises DatasetError, with the path, for a folder that is missing or empty, for classes that
    the halves do not share, for images that cannot be decoded, and for unequal sizes.
    """
    del data_directory
    halves = _find_halves(options.root)
    decoder = _Decoder(halves[0].files[0], options.size)
    train, test = (Images(decoder.decode(half.files), half.labels) for half in halves)
    return ImageSplits(train, test, tuple(halves[0].names))


def _size_and_time(file: str) -> str:
    try:
        # As text all the way: for many thousands of files, Path objects take most of the time.
        status = os.stat(file)  # noqa: PTH116
    except OSError as error:
        # A link to nowhere, for one.
        raise DatasetError(f"imagefolder: {file}: {error.strerror}") from error
    return f"{status.st_size}\0{status.st_mtime_ns}"


def _find_halves(root: Path) -> tuple[_Half, _Half]:
    if not root.is_dir():
        raise DatasetError(f"imagefolder: {root}: no such folder")
    test_name = next((name for name in TEST_NAMES if (root / name).is_dir()), TEST_NAMES[0])
    train, test = _find_half(root / "train"), _find_half(root / test_name)
    for here, there in ((train, test), (test, train)):
        for name in here.names:
            if name not in there.names:
                raise DatasetError(
                    f"imagefolder: {here.folder / name}: {there.folder} has no class {name!r}"
                )
    return train, test


def _find_half(folder: Path) -> _Half:
    if not folder.is_dir():
        raise DatasetError(
            f"imagefolder: {folder}: no such folder "
            f"(wanted: train/CLASS/* and test/CLASS/* below {folder.parent})"
        )
    with _listed(folder) as entries:
        names = sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    if not names:
        raise DatasetError(f"imagefolder: {folder}: no images (it has no class folders)")
    return _Half(folder, {name: _image_names(folder / name) for name in names})


def _image_names(folder: Path) -> list[str]:
    with _listed(folder) as entries:
        names = sorted(entry.name for entry in entries if _is_image_name(entry.name))
    if not names:
        raise DatasetError(f"imagefolder: {folder}: no images in this class (JPEG or PNG)")
    return names


def _is_image_name(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


@contextmanager
def _listed(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    try:
        with os.scandir(folder) as entries:
            yield entries
    except OSError as error:
        raise DatasetError(f"imagefolder: {folder}: {error.strerror}") from error


class _Decoder:
    """Decodes files to one size: the one asked for, or that of the first image."""

    def __init__(self, first: Path, size: int | None) -> None:
        self._first = first
        self._resize = None if size is None else (size, size)
        self._size = self._resize or _read(first, None).size

    def decode(self, files: Sequence[Path]) -> Pixels:
        """Return uint8 of N x 3 x H x W."""
        width, height = self._size
        pixels = numpy.empty((len(files), 3, height, width), numpy.uint8)
        batches = [files[start : start + BATCH] for start in range(0, len(files), BATCH)]
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            decoded = itertools.chain.from_iterable(pool.map(self._decode_batch, batches))
            where = f"decoding {files[0].parent.parent}"
            for index, image in enumerate(track(decoded, where, len(files))):
                pixels[index] = image
        return pixels

    def _decode_batch(self, files: Sequence[Path]) -> list[Pixels]:
        return [self._decode_one(file) for file in files]

    def _decode_one(self, file: Path) -> Pixels:
        image = _read(file, self._resize)
        if image.size != self._size:
            raise DatasetError(
                f"imagefolder: {file} is {_text(image.size)} pixels and {self._first} is "
                f"{_text(self._size)}; give a size for all, such as --set dataset.size=32"
            )
        return numpy.asarray(image).transpose(2, 0, 1)


def _read(file: Path, resize: tuple[int, int] | None) -> Image.Image:
    try:
        with Image.open(file) as image:
            if image.mode not in _EIGHT_BIT_MODES:
                raise DatasetError(f"imagefolder: {file}: its pixels ({image.mode}) are not 8-bit")
            colour = _to_rgb(image)
    except UnidentifiedImageError as error:
        raise DatasetError(f"imagefolder: {file}: not an image, or a damaged one") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DatasetError(f"imagefolder: {file}: cannot be decoded: {error}") from error
    return colour if resize is None else colour.resize(resize, Image.Resampling.BILINEAR)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "P" and "transparency" in image.info:
        # Pillow asks for this detour, and warns where it is not taken.
        image = image.convert("RGBA")
    return image.convert("RGB")


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


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
