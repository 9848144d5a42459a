"""Reads image files of a few formats as upright RGB images, and no others, whatever is in them."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from benchmark import DatasetError

# Pillow knows dozens of formats, some of which it hands to other programs. Naming the readers has
# them imported here: else the threads would import those of every format.
READERS = (JpegImageFile, PngImageFile, WebPImageFile, BmpImageFile, TiffImageFile, GifImageFile)
FORMATS = tuple(str(reader.format) for reader in READERS)
ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
FORMAT_NAMES = "JPEG, PNG, WebP, BMP, TIFF or GIF"

# Modes whose conversion to RGB keeps what one sees; 16-bit images would be clipped to white.
_EIGHT_BIT_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}

# What puts an image upright that a camera has stored as EXIF's orientation says (Exif 2.32, 4.6.4).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# The file that is being read, in each thread.
_now = threading.local()


class Change(StrEnum):
    """What is not taken as it is stored, in the words of a note."""

    TURNED = "turned {images} upright, as the EXIF orientation says"
    LATER_FRAMES = "took only the first frame of {images}"
    UNREADABLE_EXIF = "could not read the EXIF data of {images}, so did not turn what may lie askew"
    SQUASHED = "squashed {images} out of shape (fit: crop or pad keeps the shape)"


def noted(change: Change, count: int) -> str:
    """A note on so many images."""
    return change.format(images="1 image" if count == 1 else f"{count:,} images")


@dataclass(frozen=True)
class ReadImage:
    """An image in RGB, upright, and what was changed for that."""

    colour: Image.Image
    changes: tuple[Change, ...]


def read_image(file: Path) -> ReadImage:
    """Read the first frame of an image; what is in the file decides its format.

    Raises DatasetError, with the path, for a file that cannot be decoded, and for pixels of more
    than 8 bits.
    """
    _now.read = file
    try:
        with Image.open(file, formats=FORMATS) as image:
            unsupported = _unsupported_pixels(image)
            read = _read(image)
    except UnidentifiedImageError as error:
        raise DatasetError(
            f"imagefolder: {file}: not an image, or a damaged one (only {FORMAT_NAMES} is read)"
        ) from error
    except Exception as error:
        # Depending on which byte is damaged, Pillow raises one of many kinds: struct.error,
        # zlib.error, EOFError, IndexError, AssertionError and MemoryError are among them.
        raise DatasetError(f"imagefolder: {file}: cannot be decoded: {_reason(error)}") from error
    finally:
        del _now.read
    if unsupported is not None:
        raise DatasetError(
            f"imagefolder: {file}: its pixels ({unsupported}) are not 8-bit grey, RGB or CMYK; "
            "save it with 8 bits a channel"
        )
    return read


@contextmanager
def warnings_by_file() -> Iterator[dict[Path, str]]:
    """Collect what Pillow warns of while files are read, in place of printing it."""
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
        image = getattr(_now, "read", None)
        if image is None:
            show(message, category, filename, lineno, file, line)
        else:
            found.setdefault(image, str(message).split("\n")[0])

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        yield found


def _unsupported_pixels(image: ImageFile.ImageFile) -> str | None:
    """Pillow's name for pixels that lose something in 8-bit RGB; None for all others."""
    if image.mode not in _EIGHT_BIT_MODES:
        return image.mode
    # Pillow cuts colours of 16 bits to 8, and their mode does not show it: the packing does.
    stored = (re.search(r"\w+;16\w*", str(tile[3])) for tile in image.tile)
    return next((found[0] for found in stored if found), None)


def _read(image: ImageFile.ImageFile) -> ReadImage:
    changes = [Change.LATER_FRAMES] if getattr(image, "is_animated", False) else []
    upright, change = _loaded_upright(image)
    # Transparent pixels keep their colour; Pillow warns of some forms of transparency here.
    upright.info.pop("transparency", None)
    if change is not None:
        changes.append(change)
    return ReadImage(upright.convert("RGB"), tuple(changes))


def _loaded_upright(image: ImageFile.ImageFile) -> tuple[Image.Image, Change | None]:
    if isinstance(image, TiffImageFile):
        # Its reader turns it, and forgets how it was stored.
        stored = image.tag_v2.get(ExifTags.Base.Orientation)
        image.load()
        return image, Change.TURNED if stored in _UPRIGHT else None
    image.load()
    try:
        if "exif" in image.info:
            # A reader may have tried before, and kept to itself that it failed.
            Image.Exif().load(image.info["exif"])
        method = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        # Of as many kinds as for pixels; these are sound, and the note says what is not known.
        return image, Change.UNREADABLE_EXIF
    return (image, None) if method is None else (image.transpose(method), Change.TURNED)


def _reason(error: Exception) -> str:
    # An error of the system's names the file once more; some of Pillow's have no message.
    message = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return message.strip().split("\n")[0] or type(error).__name__
