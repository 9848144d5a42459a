"""What lies among images and is not read: how much of each kind, and the first of it."""

from __future__ import annotations

from collections import defaultdict
from enum import Enum


class Kind(Enum):
    """A kind of what is left aside, in words for one and for many."""

    HIDDEN_FILE = ("hidden file", "hidden files")
    HIDDEN_FOLDER = ("hidden folder", "hidden folders")
    OTHER_ENDING = ("file with an ending that is not read", "files with endings that are not read")
    OUTSIDE = ("file outside the class folders", "files outside the class folders")
    NESTED = ("folder inside a class folder", "folders inside class folders")
    BESIDE = ("folder beside those with images", "folders beside those with images")


class LeftAside:
    """Names of what was left aside, by its kind."""

    def __init__(self) -> None:
        self._found: dict[Kind, list[str]] = defaultdict(list)

    def add(self, kind: Kind, name: str) -> None:
        """Note something by its name below the root."""
        self._found[kind].append(name)

    @property
    def notes(self) -> list[str]:
        """A sentence for each kind that there is."""
        return [f"left aside {words}" for words in self._in_words()]

    def __str__(self) -> str:
        return ", ".join(self._in_words())

    def _in_words(self) -> list[str]:
        return [_in_words(kind, self._found[kind]) for kind in Kind if kind in self._found]


def _in_words(kind: Kind, names: list[str]) -> str:
    one, many = kind.value
    if len(names) == 1:
        return f"1 {one} ({names[0]})"
    return f"{len(names):,} {many} ({min(names)}, ...)"
