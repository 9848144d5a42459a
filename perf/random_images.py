"""Images that show nothing, drawn in a moment: a step costs the same whatever is on them.

This is also a plugin (``-p perf.random_images``), so that trials can be run on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy
from pydantic import Field

from benchmark import DatasetEntry, Images, ImageSplits, Options, hookimpl

PLUGIN = "perf.random_images"
NAME = "random"
CLASSES = tuple("abcdefghij")
SIDE = 32


class RandomOptions(Options):
    """How many images to draw, from which ``seed``."""

    train_images: int = Field(default=50_000, ge=1)
    test_images: int = Field(default=10_000, ge=1)
    seed: int = Field(default=0, ge=0)


def draw_images(count: int, *key: int) -> Images:
    """Draw ``count`` images of 3 x 32 x 32 and their labels; the same key gives the same ones."""
    generator = numpy.random.default_rng(key)
    pixels = generator.integers(0, 256, (count, 3, SIDE, SIDE), numpy.uint8)
    return Images(pixels, generator.integers(0, len(CLASSES), count))


def identify(data_directory: Path, options: RandomOptions) -> str:
    """The options: with them the images are cached and mapped, as those of CIFAR-10 are."""
    del data_directory
    return f"random {options.model_dump_json()}"


def load(data_directory: Path, options: RandomOptions) -> ImageSplits:
    """Draw the images; the training half is that of ``draw_images(train_images, seed)``."""
    del data_directory
    return ImageSplits(
        train=draw_images(options.train_images, options.seed),
        test=draw_images(options.test_images, options.seed, 1),
        classes=CLASSES,
    )


@hookimpl
def benchmark_datasets() -> Iterator[DatasetEntry]:
    """Offer the data set."""
    yield DatasetEntry(NAME, load, "nothing but noise", RandomOptions, identify)
