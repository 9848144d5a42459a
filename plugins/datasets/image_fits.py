"""Brings images to a square of one size: squashed, cut, or with bars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from PIL import Image

Fit = Literal["squash", "crop", "pad"]

_FILTER = Image.Resampling.BILINEAR


def squash(image: Image.Image, side: int) -> Image.Image:
    """All of the image, whatever becomes of its shape."""
    return image.resize((side, side), _FILTER)


def crop(image: Image.Image, side: int) -> Image.Image:
    """The middle of the image, as large a square as there is in it."""
    shorter = min(image.size)
    left, top = ((length - shorter) / 2 for length in image.size)
    return image.resize((side, side), _FILTER, box=(left, top, left + shorter, top + shorter))


def pad(image: Image.Image, side: int) -> Image.Image:
    """All of the image in its own shape, between black bars."""
    longer = max(image.size)
    width, height = (max(1, round(length * side / longer)) for length in image.size)
    square = Image.new("RGB", (side, side))
    corner = (round((side - width) / 2), round((side - height) / 2))
    square.paste(image.resize((width, height), _FILTER), corner)
    return square


FITS: dict[Fit, Callable[[Image.Image, int], Image.Image]] = {
    "squash": squash,
    "crop": crop,
    "pad": pad,
}
