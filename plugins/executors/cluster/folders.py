"""A trial's folder on two machines: what changes on a node is sent to the driver.

So a run needs no file system that all machines share, and does the same where there is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmark import StoreError
from benchmark.files import write_atomically, write_fault

# Which file it is, as of when, and how long. A file that is renamed keeps it.
Signature = tuple[int, int, int]


@dataclass(frozen=True)
class Changes:
    """What has changed in a folder: the files that have new names, and those written since."""

    renamed: Mapping[str, str]
    written: Mapping[str, bytes]


class WatchedFolder:
    """A folder that is looked through for changes. Hidden files, being written, are left out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Signature] = {}

    def changes(self) -> Changes:
        """What has changed since the last time; at first, all there is."""
        known = dict(_signatures(self._folder))
        renamed = _renamed(self._known, known)
        new_names = {*renamed.values()}
        written = {}
        for name, signature in [*known.items()]:
            if self._known.get(name) == signature or name in new_names:
                continue
            try:
                written[name] = (self._folder / name).read_bytes()
            except FileNotFoundError:
                # The running trial has just moved it: it is found next time.
                del known[name]
        self._known = known
        return Changes(renamed, written)


def _renamed(before: Mapping[str, Signature], now: Mapping[str, Signature]) -> dict[str, str]:
    """The files that have another name now, but none whose new name was another's."""
    names = {signature: name for name, signature in before.items()}
    moved = {
        names[signature]: name
        for name, signature in now.items()
        if signature in names and now.get(names[signature]) != signature
    }
    return {former: name for former, name in moved.items() if name not in moved}


def apply(changes: Changes, folder: Path) -> None:
    """Change a folder in the same way, each file whole or not at all.

    Raises StoreError where the disk refuses, and ValueError for a name that leads elsewhere.
    """
    try:
        for former, name in changes.renamed.items():
            _inside(folder, former).replace(_made_room(folder, name))
        for name, content in changes.written.items():
            write_atomically(_made_room(folder, name), content)
    except OSError as error:
        raise StoreError(write_fault(folder, error)) from error


def _made_room(folder: Path, name: str) -> Path:
    path = _inside(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{name!r} is not in {folder}")
    return path


def _signatures(folder: Path) -> Iterator[tuple[str, Signature]]:
    for path in sorted(folder.rglob("*")):
        if path.name.startswith(".") or path.is_symlink() or not path.is_file():
            continue
        with suppress(FileNotFoundError):
            state = path.stat()
            signature = (state.st_ino, state.st_mtime_ns, state.st_size)
            yield str(path.relative_to(folder)), signature
