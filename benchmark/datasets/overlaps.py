"""Identical images in two parts of a data set, which make a model look better than it is."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy

from benchmark.entries import Images
from benchmark.records import Duplicates


@dataclass(frozen=True)
class Overlap:
    """The images of one part that another has as well: ``rows`` in the first, one each in ``of``.

    Both count from 0.
    """

    first: str
    second: str
    rows: tuple[int, ...]
    of: tuple[int, ...]

    def sentence(self, duplicates: Duplicates) -> str:
        """How many there are, one example, and what is done about them or can be."""
        count = len(self.rows)
        found = (
            f"1 {self.first} image is also a {self.second} image"
            if count == 1
            else f"{count:,} {self.first} images are also {self.second} images"
        )
        example = f"{self.first} {self.rows[0]} is {self.second} {self.of[0]}, counted from 0"
        if self.first != "training":
            return f"{found} ({example})"
        them = "it" if count == 1 else "them"
        if duplicates == "drop":
            return f"{found} ({example}); removed from training"
        return f"{found} ({example}); --set dataset.duplicates=drop removes {them} from training"


def find_overlaps(parts: Mapping[str, Images]) -> list[Overlap]:
    """The identical images of each two parts, by the digests of their pixels."""
    digests = {name: _digests(images) for name, images in parts.items()}
    overlaps = []
    for first, second in itertools.combinations(parts, 2):
        there = {digest: row for row, digest in reversed([*enumerate(digests[second])])}
        rows = [(row, there[d]) for row, d in enumerate(digests[first]) if d in there]
        if rows:
            own, others = zip(*rows, strict=True)
            overlaps.append(Overlap(first, second, own, others))
    return overlaps


def _digests(images: Images) -> list[bytes]:
    return [
        hashlib.blake2b(numpy.ascontiguousarray(image).data, digest_size=16).digest()
        for image in images.pixels
    ]
