"""What of a data set trials train on, what judges them, and identical images in two parts."""

from __future__ import annotations

import numpy
import pytest
from hypothesis import given, settings, strategies as st

from benchmark.datasets.division import hold_out, trial_images, validation_size
from benchmark.entries import Images, ImageSplits
from benchmark.errors import BenchmarkError


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


def test_images_in_two_parts_are_told_and_dropped_from_the_training_side() -> None:
    train, test = numbered([0, 1] * 4), numbered([0, 1] * 4, first=6)
    kept = trial_images(
        splits(train, test), validation=None, duplicates="keep", train_images=None, test_images=None
    )
    (line,) = kept.duplicates
    assert line == (
        "2 training images are also test images (training 6 is test 0, counted from 0); "
        "--set dataset.duplicates=drop removes them from training"
    )
    dropped = trial_images(
        splits(train, test), validation=None, duplicates="drop", train_images=None, test_images=None
    )
    assert names(dropped.train) == [0, 1, 2, 3, 4, 5]
    assert dropped.test is not None
    assert names(dropped.test) == names(test)
    assert dropped.duplicates[0].endswith("; removed from training")


def test_images_held_out_are_looked_at_as_well() -> None:
    # The data set's own validation images: one is a training image, another a test image.
    train, held, test = numbered([0, 1, 0]), numbered([1, 0], first=2), numbered([0, 1], first=3)
    found = trial_images(
        splits(train, test, held),
        validation=None,
        duplicates="drop",
        train_images=None,
        test_images=0,
    )
    assert names(found.train) == [0, 1]
    assert found.test is None
    assert found.duplicates == (
        "1 training image is also a validation image (training 2 is validation 0, counted from "
        "0); removed from training",
        "1 validation image is also a test image (validation 1 is test 0, counted from 0)",
    )
