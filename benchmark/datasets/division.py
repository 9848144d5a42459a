"""The images of a data set as trials see them: to train on, held out, and to test on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy

from benchmark.datasets.overlaps import rows_also_in
from benchmark.entries import Images, ImageSplits
from benchmark.errors import BenchmarkError
from benchmark.protocol import Duplicates
from benchmark.training import VALIDATION_STREAM, chosen, generator, subset


@dataclass(frozen=True)
class TrialImages:
    """Images to train on, and those to judge by: held out, of the test set, or both."""

    train: Images
    validation: Images | None
    test: Images | None
    classes: tuple[str, ...]

    @property
    def parts(self) -> dict[str, Images]:
        """Those that there are, by what they are for."""
        parts = {"training": self.train, "validation": self.validation, "test": self.test}
        return {name: images for name, images in parts.items() if images is not None}


def trial_images(
    splits: ImageSplits,
    *,
    validation: int | None,
    duplicates: Duplicates,
    train_images: int | None,
    test_images: int | None,
) -> TrialImages:
    """Divide a data set: the same images for the same arguments, everywhere.

    So many ``validation`` images are held out of the training images, unless the data set has its
    own. Where ``duplicates`` are dropped, what is also among the images to judge by is removed from
    those to train on. ``train_images`` and ``test_images`` are sizes of fixed subsets, None for
    all; with 0 test images there are none.
    """
    train, held_out = splits.train, splits.validation
    if held_out is None and validation:
        train, held_out = hold_out(train, validation, len(splits.classes))
    # Test images that are not looked at decide nothing.
    test = None if test_images == 0 else subset(splits.test, test_images)
    if duplicates == "drop":
        train = _without(train, rows_also_in(train, [held_out, test]))
    return TrialImages(subset(train, train_images), held_out, test, splits.classes)


def hold_out(images: Images, size: int, classes: int) -> tuple[Images, Images]:
    """Divide images into those that are left and ``size`` that are held out, class by class.

    Each class gives the share that it has of all images, and keeps at least one; the largest
    remainders are rounded up. Which of its images it gives depends on how many there are alone.

    Raises BenchmarkError where so many cannot be held out.
    """
    counts = numpy.bincount(images.labels, minlength=classes)
    most = int(numpy.maximum(counts - 1, 0).sum())
    if not most:
        raise BenchmarkError(
            "validation: no image can be held out, because no class has two training images"
        )
    if size > most:
        raise BenchmarkError(
            f"validation: {size:,} of {len(images.labels):,} training images cannot be held out, "
            f"because each class keeps one to train on; give {most:,} or less"
        )
    shares = _rounded(counts * (size / counts.sum()), counts - 1, size)
    order = generator(VALIDATION_STREAM, len(images.labels)).permutation(len(images.labels))
    rows = [order[images.labels[order] == label][:count] for label, count in enumerate(shares)]
    held_out = numpy.sort(numpy.concatenate(rows))
    left = numpy.delete(numpy.arange(len(images.labels)), held_out)
    return chosen(images, left), chosen(images, held_out)


def validation_size(wanted: float, images: int) -> int:
    """How many images ``validation`` asks for: a number of them, or a share of all."""
    return max(1, round(wanted * images)) if isinstance(wanted, float) else wanted


def _rounded(shares: Any, most: Any, size: int) -> list[int]:
    """Whole numbers near the shares, none above its ``most``, that add up to ``size``."""
    whole = numpy.minimum(shares.astype(int), numpy.maximum(most, 0))
    while missing := size - int(whole.sum()):
        remainders = numpy.where(whole < most, shares - whole, -numpy.inf)
        largest = numpy.argsort(-remainders, kind="stable")[:missing]
        whole[[label for label in largest if whole[label] < most[label]]] += 1
    return [int(count) for count in whole]


def _without(images: Images, rows: list[int]) -> Images:
    if not rows:
        return images
    return chosen(images, numpy.delete(numpy.arange(len(images.labels)), rows))
