"""Identical images in two parts of a data set, which make a model look better than it is."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy

from benchmark.entries import Images

REMEDY = "--set dataset.duplicates=drop removes them from training"


def overlap_sentences(parts: Mapping[str, Images], classes: Sequence[str]) -> Iterator[str]:
    """Of each two parts that share images how many these are, one example, and what can be done.

    The example is the class of an image and where it is among that part's images of the class,
    which are in the data set's order.
    """
    digests = {name: _digests(images) for name, images in parts.items()}
    for first, second in itertools.combinations(parts, 2):
        there = {digest: row for row, digest in reversed([*enumerate(digests[second])])}
        rows = [row for row, digest in enumerate(digests[first]) if digest in there]
        if not rows:
            continue
        example = (
            f"{_place(first, parts[first], rows[0], classes)} is "
            f"{_place(second, parts[second], there[digests[first][rows[0]]], classes)}"
        )
        remedy = f"; {REMEDY}" if first == "training" else ""
        yield f"{_count(len(rows), first, second)} ({example}){remedy}"


def rows_also_in(images: Images, others: Iterable[Images | None]) -> list[int]:
    """The rows of those images that are among the others as well, by the digests of pixels."""
    known = {digest for other in others if other is not None for digest in _digests(other)}
    return [row for row, digest in enumerate(_digests(images)) if digest in known]


def _count(count: int, first: str, second: str) -> str:
    if count == 1:
        return f"1 {first} image is also a {second} image"
    return f"{count:,} {first} images are also {second} images"


def _place(part: str, images: Images, row: int, classes: Sequence[str]) -> str:
    label = images.labels[row]
    number = int(numpy.count_nonzero(images.labels[: row + 1] == label))
    return f"{part} image {number} of class {classes[label]!r}"


def _digests(images: Images) -> list[bytes]:
    return [
        hashlib.blake2b(numpy.ascontiguousarray(image).data, digest_size=16).digest()
        for image in images.pixels
    ]
