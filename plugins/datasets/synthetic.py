"""Images drawn by code: ten classes of shapes and textures that need no file and no network.

Every image has one light figure of its class, at a random place, size, angle and colour, in front
of a dark gradient with clutter, under noise. No pixel tells the class by itself, so a linear
classifier stays poor (about one image in three) where a convolutional network soon does well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
from pydantic import Field

from benchmark import DatasetEntry, Images, ImageSplits, Options, hookimpl, track

# Changing what is drawn changes this, and so the cache's key.
VERSION = 1
CHUNK = 500
CLUTTER_BARS = 2
NOISE = 0.09

# Ranges of brightness, the same for red, green and blue.
LIGHT = (0.5, 1.0)
DARK = (0.0, 0.5)
CLUTTER = (0.0, 0.6)

Floats = numpy.ndarray[Any, numpy.dtype[numpy.floating[Any]]]
Mask = numpy.ndarray[Any, numpy.dtype[numpy.bool_]]


class SyntheticOptions(Options):
    """Options of the data set ``synthetic``."""

    train_images: int = Field(default=10_000, ge=10)
    """How many images to draw for training."""

    test_images: int = Field(default=2_000, ge=10)
    """How many images to draw for testing."""

    size: int = Field(default=32, ge=8, le=256)
    """The side of an image, in pixels."""

    seed: int = Field(default=0, ge=0)
    """What the images are drawn from."""


# Each figure says, for coordinates u and v that run from -1 to 1 across it, what belongs to it.
# Here and below only what IEEE 754 rounds in one way is computed (+, -, *, /, remainder, square
# root): sines differ between processors in their last bit, and then so would the pixels.


def _disc(u: Floats, v: Floats) -> Mask:
    return u * u + v * v < 0.8


def _ring(u: Floats, v: Floats) -> Mask:
    radius = u * u + v * v
    return (radius < 0.95) & (radius > 0.35)


def _square(u: Floats, v: Floats) -> Mask:
    return numpy.maximum(abs(u), abs(v)) < 0.75


def _frame(u: Floats, v: Floats) -> Mask:
    distance = numpy.maximum(abs(u), abs(v))
    return (distance < 0.85) & (distance > 0.5)


def _triangle(u: Floats, v: Floats) -> Mask:
    return (v < 0.7) & (v > 2 * abs(u) - 0.9)


def _cross(u: Floats, v: Floats) -> Mask:
    return (numpy.minimum(abs(u), abs(v)) < 0.27) & (numpy.maximum(abs(u), abs(v)) < 0.95)


def _stripes(u: Floats, v: Floats) -> Mask:
    return _alternate(u, 1.4) & (numpy.maximum(abs(u), abs(v)) < 0.95)


def _checks(u: Floats, v: Floats) -> Mask:
    checked = _alternate(u, 1.1) ^ _alternate(v, 1.1)
    return checked & (numpy.maximum(abs(u), abs(v)) < 0.95)


def _dots(u: Floats, v: Floats) -> Mask:
    across, down = (1.4 * u) % 1 - 0.5, (1.4 * v) % 1 - 0.5
    return (across * across + down * down < 0.09) & (u * u + v * v < 1.0)


def _crescent(u: Floats, v: Floats) -> Mask:
    shifted = u - 0.45
    mask: Mask = (u * u + v * v < 0.9) & (shifted * shifted + v * v > 0.55)
    return mask


def _alternate(position: Floats, periods: float) -> Mask:
    """Every other stretch of a line, ``periods`` pairs of them a unit."""
    mask: Mask = (periods * position) % 1 < 0.5
    return mask


FIGURES: dict[str, Callable[[Floats, Floats], Mask]] = {
    "disc": _disc,
    "ring": _ring,
    "square": _square,
    "frame": _frame,
    "triangle": _triangle,
    "cross": _cross,
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "crescent": _crescent,
}


def identify(data_directory: Path, options: SyntheticOptions) -> str:
    """The options and the version of what is drawn."""
    del data_directory
    return f"synthetic {VERSION} {options.model_dump_json()}"


def load(data_directory: Path, options: SyntheticOptions) -> ImageSplits:
    """Draw the images; the same options give the same pixels on every machine."""
    del data_directory
    return ImageSplits(
        train=_draw_half(options.train_images, options, half=0),
        test=_draw_half(options.test_images, options, half=1),
        classes=tuple(FIGURES),
    )


def _draw_half(count: int, options: SyntheticOptions, half: int) -> Images:
    generator = numpy.random.default_rng([options.seed, half])
    labels = generator.permutation(numpy.arange(count, dtype=numpy.int64) % len(FIGURES))
    pixels = numpy.empty((count, 3, options.size, options.size), numpy.uint8)
    starts = range(0, count, CHUNK)
    for start in track(starts, "drawing synthetic images", len(starts)):
        chunk = labels[start : start + CHUNK]
        pixels[start : start + CHUNK] = _draw(chunk, options.size, generator)
    return Images(pixels, labels)


def _draw(
    labels: numpy.ndarray[Any, Any], size: int, generator: numpy.random.Generator
) -> numpy.ndarray[Any, numpy.dtype[numpy.uint8]]:
    count = len(labels)
    axis: Floats = numpy.linspace(-1, 1, size, dtype=numpy.float32)
    x, y = numpy.broadcast_arrays(axis[None, None, :], axis[None, :, None])
    image = _background(count, x, y, generator)
    for _ in range(CLUTTER_BARS):
        _paint(image, _bars(count, x, y, generator), _colours(count, CLUTTER, generator))
    u, v = _figure_coordinates(count, x, y, generator)
    figure = numpy.zeros((count, size, size), bool)
    for label, draw in enumerate(FIGURES.values()):
        mine = labels == label
        figure[mine] = draw(u[mine], v[mine])
    _paint(image, figure, _colours(count, LIGHT, generator))
    image += NOISE * (2 * generator.random(image.shape, numpy.float32) - 1)
    return (image.clip(0, 1) * 255).astype(numpy.uint8)


def _background(count: int, x: Floats, y: Floats, generator: numpy.random.Generator) -> Floats:
    """A gradient between two colours, N x 3 x H x W, in a random direction."""
    cosine, sine = _directions(count, generator)
    slope = 0.5 + 0.35 * (x * cosine + y * sine)
    first, second = (_colours(count, DARK, generator) for _ in range(2))
    return first + (second - first) * slope[:, None]


def _bars(count: int, x: Floats, y: Floats, generator: numpy.random.Generator) -> Mask:
    """A short bar somewhere: clutter that looks like a part of a figure."""
    u, v = _placed(count, x, y, generator, reach=0.9)
    length, width = _uniform(generator, count, 0.15, 0.5), _uniform(generator, count, 0.04, 0.12)
    return (abs(u) < length) & (abs(v) < width)


def _figure_coordinates(
    count: int, x: Floats, y: Floats, generator: numpy.random.Generator
) -> tuple[Floats, Floats]:
    u, v = _placed(count, x, y, generator, reach=0.3)
    radius = _uniform(generator, count, 0.5, 0.8)
    return u / radius, v / radius


def _placed(
    count: int, x: Floats, y: Floats, generator: numpy.random.Generator, reach: float
) -> tuple[Floats, Floats]:
    """Coordinates seen from a random place within ``reach`` of the middle, at a random angle."""
    dx, dy = (
        x - _uniform(generator, count, -reach, reach),
        y - _uniform(generator, count, -reach, reach),
    )
    cosine, sine = _directions(count, generator)
    return dx * cosine + dy * sine, dy * cosine - dx * sine


def _directions(count: int, generator: numpy.random.Generator) -> tuple[Floats, Floats]:
    """Cosine and sine of a random angle an image, N x 1 x 1 each."""
    across, up = _uniform(generator, count, -1, 1), _uniform(generator, count, -1, 1)
    length = numpy.sqrt(across * across + up * up) + numpy.float32(1e-6)
    return across / length, up / length


def _paint(image: Floats, mask: Mask, colours: Floats) -> None:
    """Lay its colour over each image where its mask is set."""
    numpy.copyto(image, colours, where=mask[:, None])


def _colours(
    count: int, brightness: tuple[float, float], generator: numpy.random.Generator
) -> Floats:
    """A colour an image, N x 3 x 1 x 1."""
    low, high = brightness
    return low + (high - low) * generator.random((count, 3, 1, 1), numpy.float32)


def _uniform(generator: numpy.random.Generator, count: int, low: float, high: float) -> Floats:
    return low + (high - low) * generator.random((count, 1, 1), numpy.float32)


@hookimpl
def benchmark_datasets() -> Iterator[DatasetEntry]:
    """Offer the data set."""
    yield DatasetEntry(
        "synthetic",
        load,
        "shapes and textures drawn by code",
        SyntheticOptions,
        identify,
    )
