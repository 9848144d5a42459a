"""Finds image files in folders: ``root/train/<class>/*`` and ``root/test/<class>/*``."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from benchmark import DatasetError

SUFFIXES = (".jpg", ".jpeg", ".png")
TEST_NAMES = ("test", "val")


class Ignored:
    """What lies among the images and is not read: how much of each kind, and the first of it."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], list[str]] = defaultdict(list)

    def add(self, noun: str, kind: str, name: str) -> None:
        """Note a ``noun`` (file or folder) of that kind, by its name below the root."""
        self._found[noun, kind].append(name)

    def __bool__(self) -> bool:
        return bool(self._found)

    def __str__(self) -> str:
        return ", ".join(
            f"{len(names):,} {noun if len(names) == 1 else f'{noun}s'} {kind} "
            f"({min(names)}{', ...' if len(names) > 1 else ''})"
            for (noun, kind), names in sorted(self._found.items())
        )


@dataclass(frozen=True)
class ImageClass:
    """A class: the folder that it lies in, and the names of its images."""

    folder: Path
    images: list[str]


@dataclass(frozen=True)
class Half:
    """The images to train on, or those to test on, class by class."""

    folder: Path
    classes: dict[str, ImageClass]

    @property
    def files(self) -> list[Path]:
        """The images of one class after those of another."""
        return [found.folder / name for found in self.classes.values() for name in found.images]

    @property
    def labels(self) -> numpy.ndarray[Any, numpy.dtype[numpy.int64]]:
        """The class of each file, as its place among the classes."""
        counts = [len(found.images) for found in self.classes.values()]
        return numpy.repeat(numpy.arange(len(counts), dtype=numpy.int64), counts)


def find_halves(root: Path) -> tuple[Half, Half, Ignored]:
    """The images to train and to test on, and what is ignored; the halves have the same classes.

    Names that begin with a dot count as not there. Raises DatasetError, with the path, for a
    folder that is missing or empty, and for classes that the halves do not share.
    """
    if not _is_folder(root):
        raise DatasetError(f"imagefolder: {root}: no such folder")
    test_names = [name for name in TEST_NAMES if _is_folder(root / name)]
    ignored = Ignored()
    train = _find_half(root / "train", ignored)
    test = _find_half(root / (test_names or TEST_NAMES)[0], ignored)
    for name in test_names[1:]:
        ignored.add("folder", f"beside {test_names[0]}", name)
    for here, there in ((train, test), (test, train)):
        for name, found in here.classes.items():
            if name not in there.classes:
                raise DatasetError(
                    f"imagefolder: {found.folder}: {there.folder} has no class {name!r}"
                )
    return train, test, ignored


def _find_half(folder: Path, ignored: Ignored) -> Half:
    if not _is_folder(folder):
        raise DatasetError(
            f"imagefolder: {folder}: no such folder "
            f"(wanted: train/CLASS/* and test/CLASS/* below {folder.parent})"
        )
    names = []
    with _visible(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                names.append(entry.name)
            else:
                ignored.add("file", "outside the class folders", f"{folder.name}/{entry.name}")
    if not names:
        raise DatasetError(f"imagefolder: {folder}: no images (it has no class folders)")
    classes: dict[str, ImageClass] = {}
    for name in _sorted(names):
        if _composed(name) in classes:
            raise DatasetError(
                f"imagefolder: {folder / name}: another folder has the same name, written with "
                "other Unicode characters (NFC or NFD); merge the two"
            )
        classes[_composed(name)] = _find_class(folder / name, ignored)
    return Half(folder, classes)


def _find_class(folder: Path, ignored: Ignored) -> ImageClass:
    images, others = [], Ignored()
    with _visible(folder) as entries:
        for entry in entries:
            name = f"{folder.parent.name}/{folder.name}/{entry.name}"
            if entry.name.lower().endswith(SUFFIXES):
                images.append(entry.name)
                continue
            for found in (ignored, others):
                if entry.is_dir():
                    found.add("folder", "inside a class folder", name)
                else:
                    found.add("file", "not named .jpg, .jpeg or .png", name)
    if not images:
        only = f", only {others}" if others else ""
        raise DatasetError(f"imagefolder: {folder}: no images in this class (JPEG or PNG){only}")
    return ImageClass(folder, _sorted(images))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        # A name that is too long, or a folder above it that may not be looked into.
        raise DatasetError(f"imagefolder: {path}: {error.strerror}") from error


@contextmanager
def _visible(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    try:
        with os.scandir(folder) as entries:
            yield (entry for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        raise DatasetError(f"imagefolder: {folder}: {error.strerror}") from error


def _sorted(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (_composed(name), name))


def _composed(name: str) -> str:
    """The name in NFC: a copy by way of a Mac may have it in NFD, and means the same."""
    return unicodedata.normalize("NFC", name)
