"""Finds image files in a folder of classes: ``folder/<class>/*``."""

from __future__ import annotations

import errno
import os
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from benchmark import DatasetError

from .image_files import ENDINGS, FORMAT_NAMES
from .left_aside import Kind, LeftAside


@dataclass(frozen=True)
class ImageClass:
    """A class: the folder that it lies in, and the names of its images."""

    folder: Path
    images: list[str]


@dataclass(frozen=True)
class Half:
    """The images to train on, those for validation or those to test on, class by class."""

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


def find_half(folder: Path, aside: LeftAside, *, of: Path) -> Half:
    """The images in the class folders of ``folder``; what is left aside is named below ``of``.

    Raises DatasetError, with the path, for a folder that cannot be read, is empty or has two
    classes of one name.
    """
    names = []
    with listed(folder) as entries:
        for entry in entries:
            if is_folder(entry) and not is_hidden(entry):
                names.append(entry.name)
            else:
                aside.add(kind_of(entry, Kind.OUTSIDE), f"{_below(of, folder)}{entry.name}")
    if not names:
        raise DatasetError(f"imagefolder: {folder}: no images (it has no class folders)")
    classes: dict[str, ImageClass] = {}
    for name in _sorted(names):
        if composed(name) in classes:
            raise DatasetError(
                f"imagefolder: {folder / name}: another folder has the same name, written with "
                "other Unicode characters (NFC or NFD); merge the two"
            )
        classes[composed(name)] = _find_class(folder / name, aside, of)
    return Half(folder, classes)


def _find_class(folder: Path, aside: LeftAside, of: Path) -> ImageClass:
    images, others = [], LeftAside()
    with listed(folder) as entries:
        for entry in entries:
            if _is_image(entry):
                images.append(entry.name)
                continue
            for found in (aside, others):
                kind = kind_of(entry, Kind.OTHER_ENDING, Kind.NESTED)
                found.add(kind, f"{_below(of, folder)}{entry.name}")
    if not images:
        only = f", only {others}" if str(others) else ""
        raise DatasetError(f"imagefolder: {folder}: no images in this class ({FORMAT_NAMES}){only}")
    return ImageClass(folder, _sorted(images))


def _is_image(entry: os.DirEntry[str]) -> bool:
    has_ending = entry.name.lower().endswith(ENDINGS)
    return has_ending and not is_hidden(entry) and not is_folder(entry)


def kind_of(entry: os.DirEntry[str], file: Kind, folder: Kind = Kind.BESIDE) -> Kind:
    """Which kind of what is left aside it is: hidden, or that of a ``file`` or of a ``folder``."""
    if is_hidden(entry):
        return Kind.HIDDEN_FOLDER if is_folder(entry) else Kind.HIDDEN_FILE
    return folder if is_folder(entry) else file


def is_hidden(entry: os.DirEntry[str]) -> bool:
    """Whether programs hide it from people: what a file browser leaves behind, for one."""
    return entry.name.startswith(".")


def is_folder(entry: os.DirEntry[str] | Path) -> bool:
    """Whether it is a folder; raises DatasetError where the system cannot say."""
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP:
            # A link to itself leads to no folder.
            return False
        # A name that is too long, or a folder above it that may not be looked into.
        raise DatasetError(f"imagefolder: {os.fspath(entry)}: {error.strerror}") from error


@contextmanager
def listed(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    """What lies in a folder; raises DatasetError where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            yield entries
    except OSError as error:
        raise DatasetError(f"imagefolder: {folder}: {error.strerror}") from error


def composed(name: str) -> str:
    """The name in NFC: a copy by way of a Mac may have it in NFD, and means the same."""
    return unicodedata.normalize("NFC", name)


def _below(root: Path, folder: Path) -> str:
    return "" if folder == root else f"{folder.relative_to(root).as_posix()}/"


def _sorted(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (composed(name), name))
