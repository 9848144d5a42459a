"""Decodes image files, JPEG and PNG and no others, whatever is in them."""

from __future__ import annotations

import itertools
import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy
from PIL import Image, ImageFile, UnidentifiedImageError

from benchmark import DatasetError, track

# Pillow knows dozens of others, some of which it hands to other programs.
FORMATS = ("JPEG", "PNG")
BATCH = 200

# Modes whose conversion to RGB keeps what one sees; 16-bit images would be clipped to white.
_EIGHT_BIT_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}

Pixels = numpy.ndarray[Any, numpy.dtype[numpy.uint8]]

# The file that is being decoded, in each thread.
_now = threading.local()


class Decoder:
    """Decodes files to one size: the one asked for, or that of the first image.

    Raises DatasetError, with the path, for a file that cannot be decoded.
    """

    def __init__(self, first: Path, size: int | None) -> None:
        # Pillow's readers of JPEG and PNG; the threads would load those of every format instead.
        Image.preinit()
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
                f"{_text(self._size)}; give a size for all: --set dataset.size=32 "
                "with benchmark run, --set size=32 with benchmark data"
            )
        return numpy.asarray(image).transpose(2, 0, 1)


@contextmanager
def warnings_by_file() -> Iterator[dict[Path, str]]:
    """Collect what Pillow warns of while files are decoded, in place of printing it."""
    found: dict[Path, str] = {}
    show = warnings.showwarning

    def note(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        image = getattr(_now, "decoded", None)
        if image is None:
            show(message, category, filename, lineno, file, line)
        else:
            found.setdefault(image, str(message).split("\n")[0])

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        yield found


def _read(file: Path, resize: tuple[int, int] | None) -> Image.Image:
    _now.decoded = file
    try:
        with Image.open(file, formats=FORMATS) as image:
            depth = _unsupported_depth(image)
            colour = _to_rgb(image)
        if resize is not None:
            colour = colour.resize(resize, Image.Resampling.BILINEAR)
    except UnidentifiedImageError as error:
        raise DatasetError(
            f"imagefolder: {file}: not an image, or a damaged one (only JPEG and PNG are read)"
        ) from error
    except Exception as error:
        # Depending on which byte is damaged, Pillow raises one of many kinds: struct.error,
        # zlib.error, EOFError, IndexError, AssertionError and MemoryError are among them.
        raise DatasetError(f"imagefolder: {file}: cannot be decoded: {_reason(error)}") from error
    finally:
        del _now.decoded
    if depth is not None:
        raise DatasetError(
            f"imagefolder: {file}: its pixels ({depth}) are not 8-bit; "
            "save it with 8 bits a channel"
        )
    return colour


def _unsupported_depth(image: ImageFile.ImageFile) -> str | None:
    """Pillow's name for pixels of more than 8 bits a channel; None for all others."""
    if image.mode not in _EIGHT_BIT_MODES:
        return image.mode
    # Pillow cuts colours of 16 bits to 8, and their mode does not show it: the packing does.
    stored = (str(tile[3]) for tile in image.tile)
    return next((name for name in stored if ";16" in name), None)


def _to_rgb(image: Image.Image) -> Image.Image:
    image.load()
    # Transparent pixels keep their colour; Pillow warns of some forms of transparency here.
    image.info.pop("transparency", None)
    return image.convert("RGB")


def _reason(error: Exception) -> str:
    # An error of the system's names the file once more; some of Pillow's have no message.
    message = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return message.strip().split("\n")[0] or type(error).__name__


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
