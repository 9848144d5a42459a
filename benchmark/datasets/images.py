"""What a data set's images must be, and the fingerprint that tells them from others."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import numpy

from benchmark.entries import Images, ImageSplits

# Grey, colours, colours with transparency.
CHANNELS = (1, 3, 4)


def fingerprint(splits: ImageSplits) -> str:
    """SHA-256 of class names, shapes, pixels and labels, in hexadecimal; notes do not count."""
    # A folder's name need not be UTF-8, and neither then need its class's.
    digest = hashlib.sha256("\0".join(splits.classes).encode("utf-8", "surrogateescape"))
    held_out = () if splits.validation is None else (splits.validation,)
    for images in (splits.train, splits.test, *held_out):
        digest.update(repr(images.pixels.shape).encode("ascii"))
        digest.update(numpy.ascontiguousarray(images.pixels).data)
        digest.update(numpy.ascontiguousarray(images.labels).data)
    return digest.hexdigest()


def fault_in(splits: Any) -> str | None:
    """Say what is wrong with what a plugin loaded, None if it is sound."""
    if not isinstance(splits, ImageSplits):
        return f"its plugin loaded {kind_of(splits)} where ImageSplits are wanted"
    classes = splits.classes
    if not isinstance(classes, tuple | list) or not all(isinstance(name, str) for name in classes):
        return f"its classes should be a tuple of names, not {classes!r}"
    if not classes:
        return "it has no classes"
    if len(set(classes)) < len(classes):
        twice = next(name for name, count in Counter(classes).items() if count > 1)
        return f"it has two classes called {twice!r}"
    notes: object = splits.notes
    if not isinstance(notes, tuple | list) or not all(isinstance(note, str) for note in notes):
        return f"its notes should be a tuple of sentences, not {notes!r}"
    for half, images in splits.halves.items():
        fault = _fault_in_half(half, images, len(classes))
        if fault:
            return fault
        if images.pixels.shape[1:] != splits.train.pixels.shape[1:]:
            return f"training and {half} images differ in size"
    return None


def _fault_in_half(half: str, images: Any, classes: int) -> str | None:
    if not isinstance(images, Images):
        return f"its {half} half is {kind_of(images)} where Images are wanted"
    pixels, labels = images.pixels, images.labels
    if not _is_array(pixels, numpy.uint8) or pixels.ndim != 4:
        return f"{half} pixels should be uint8 of N x C x H x W, not {kind_of(pixels)}"
    if _has_channels_last(pixels.shape):
        return (
            f"{half} pixels {pixels.shape} seem to be N x H x W x C and should be N x C x H x W; "
            "pixels.transpose(0, 3, 1, 2) makes them so"
        )
    if not _is_array(labels, numpy.int64) or labels.shape != pixels.shape[:1]:
        return f"{half} labels should be int64, one an image, not {kind_of(labels)}"
    if not pixels.size:
        return f"there are no {half} images"
    if labels.min() < 0 or labels.max() >= classes:
        return f"a {half} label is not between 0 and {classes - 1}"
    return None


def _has_channels_last(shape: tuple[int, ...]) -> bool:
    """Whether so many channels as images have are the last axis, and cannot be the second."""
    return shape[3] in CHANNELS and shape[1] not in CHANNELS


def _is_array(value: Any, dtype: type[numpy.generic]) -> bool:
    return isinstance(value, numpy.ndarray) and value.dtype == dtype


def kind_of(value: Any) -> str:
    """Name a value's type in a message, an array's with its shape."""
    if isinstance(value, numpy.ndarray):
        return f"{value.dtype} {value.shape}"
    return f"a {type(value).__name__}"
