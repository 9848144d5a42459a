"""What of a data set trials train on, what judges them, and identical images in two parts."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
from hypothesis import given, settings, strategies as st

from benchmark.datasets.division import TrialImages, hold_out, trial_images, validation_size
from benchmark.datasets.overlaps import overlap_sentences
from benchmark.entries import Images, ImageSplits
from benchmark.errors import BenchmarkError
from benchmark.protocol import Duplicates


def numbered(labels: list[int], first: int = 0) -> Images:
    """Images of one pixel row, each another."""
    numbers = numpy.arange(first, first + len(labels), dtype=numpy.uint32)
    pixels = numbers.view(numpy.uint8).reshape(len(labels), 1, 1, 4)
    return Images(pixels, numpy.array(labels, numpy.int64))


def names(images: Images) -> list[int]:
    return [int(number) for number in images.pixels.reshape(-1).view(numpy.uint32)]


@st.composite
def labelled(draw: st.DrawFn) -> tuple[Images, int, int]:
    """Images of unequal classes, some of which may be empty, and how many to hold out."""
    counts = draw(st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(lambda c: max(c) > 1))
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    most = sum(max(count - 1, 0) for count in counts)
    return numbered(draw(st.permutations(labels))), draw(st.integers(1, most)), len(counts)


@settings(max_examples=100)
@given(labelled())
def test_images_are_held_out_class_by_class(made: tuple[Images, int, int]) -> None:
    images, size, classes = made
    left, held_out = hold_out(images, size, classes)
    assert len(held_out.labels) == size
    assert sorted(names(left) + names(held_out)) == names(images)
    # In the data set's order, and each with its own label.
    assert names(left) == sorted(names(left))
    of = dict(zip(names(images), images.labels, strict=True))
    assert [of[name] for name in names(held_out)] == list(held_out.labels)
    whole = numpy.bincount(images.labels, minlength=classes)
    taken = numpy.bincount(held_out.labels, minlength=classes)
    assert all(whole[label] > taken[label] for label in range(classes) if whole[label])
    roomy = whole > numpy.ceil(whole * size / whole.sum())
    if roomy[whole > 0].all():
        assert abs(taken - whole * size / whole.sum()).max() < 1


def test_the_same_images_are_held_out_each_time_and_others_of_another_size() -> None:
    images = numbered([0, 1] * 50)
    assert names(hold_out(images, 20, 2)[1]) == names(hold_out(images, 20, 2)[1])
    assert names(hold_out(images, 20, 2)[1]) != list(range(20))


def test_what_cannot_be_held_out_is_refused_with_what_can() -> None:
    with pytest.raises(BenchmarkError, match=r"give 8 or less$"):
        hold_out(numbered([0, 1] * 5), 9, 2)


@pytest.mark.parametrize(("wanted", "size"), [(7, 7), (0.1, 10), (0.004, 1), (0.996, 100)])
def test_a_share_is_a_number_of_images(wanted: float, size: int) -> None:
    assert validation_size(wanted, 100) == size


def splits(train: Images, test: Images, validation: Images | None = None) -> ImageSplits:
    return ImageSplits(train, test, ("a", "b"), validation)


def whole(made: ImageSplits, duplicates: Duplicates = "keep", **given: int) -> TrialImages:
    wanted: dict[str, Any] = {"validation": None, "train_images": None, "test_images": None} | given
    return trial_images(made, duplicates=duplicates, **wanted)


def told(found: TrialImages) -> list[str]:
    return [*overlap_sentences(found.parts, found.classes)]


def test_images_in_two_parts_are_told_and_dropped_from_the_training_side() -> None:
    train, test = numbered([0, 1] * 4), numbered([0, 1] * 4, first=6)
    assert told(whole(splits(train, test))) == [
        "2 training images are also test images (training image 4 of class 'a' is test image 1 of "
        "class 'a'); --set dataset.duplicates=drop removes them from training"
    ]
    dropped = whole(splits(train, test), "drop")
    assert names(dropped.train) == [0, 1, 2, 3, 4, 5]
    assert dropped.test is not None
    assert names(dropped.test) == names(test)
    assert told(dropped) == []


def test_images_held_out_are_looked_at_as_well() -> None:
    # The data set's own validation images: one is a training image, another a test image.
    train, held, test = numbered([0, 1, 0]), numbered([1, 0], first=2), numbered([0, 1], first=3)
    found = whole(splits(train, test, held))
    assert told(found) == [
        "1 training image is also a validation image (training image 2 of class 'a' is validation "
        "image 1 of class 'b'); --set dataset.duplicates=drop removes them from training",
        "1 validation image is also a test image (validation image 1 of class 'a' is test image 1 "
        "of class 'a')",
    ]
    assert names(whole(splits(train, test, held), "drop").train) == [0, 1]


def test_only_images_that_are_used_count() -> None:
    train, test = numbered([0, 1] * 20), numbered([0, 1] * 20, first=20)
    few = whole(splits(train, test), train_images=4, test_images=2)
    assert all(line.split()[0] in ("1", "2") for line in told(few))
    # Test images that are not looked at decide nothing.
    untested = whole(splits(train, test), "drop", validation=4, test_images=0)
    assert untested.test is None
    assert len(untested.train.labels) == 36
