"""What lies in a folder of runs, and what of it nobody needs any more."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.analysis import summarize
from benchmark.datasets import decoded_folder
from benchmark.errors import StoreError
from benchmark.files import UnreadableError, is_there, remove
from benchmark.records import (
    UNFINISHED,
    WEIGHTS_FILE,
)
from benchmark.store.directory import RUN_FILE, RunDirectory
from benchmark.store.lock import DirectoryLock, is_held
from benchmark.store.versions import Versions
from benchmark.summaries import ModelSummary
from benchmark.training import checkpoint_files

State = Literal["in use", "complete", "failed", "unfinished", "unreadable"]


@dataclass(frozen=True)
class RunState:
    """A run on disk: how many of its ``trials`` completed, when it was last changed, its size.

    ``weights_bytes`` are those of it that kept weights take.

    ``changed`` is in seconds since 1970. ``failed`` means that every trial has ended and some did
    not complete.
    """

    path: Path
    state: State
    completed: int
    trials: int
    changed: float
    size_bytes: int
    weights_bytes: int


def find_runs(parent: Path, warn: Callable[[str], None]) -> list[RunState]:
    """The runs in a folder, by name; none where there is no such folder.

    ``warn`` gets a line about each file that cannot be read. Raises StoreError where the folder
    cannot be.
    """
    try:
        folders = sorted(parent.iterdir()) if parent.exists() else []
    except OSError as error:
        raise StoreError(f"{parent}: cannot be read: {error.strerror}") from error
    return [_state(folder, warn) for folder in folders if is_there(folder / RUN_FILE)]


def unfinished_work(run: Path) -> list[Path]:
    """A run's checkpoints, of trials that have not completed, and what was left half written."""
    checkpoints = [
        file for folder in run.glob("trials/*/*/seed-*") for file in checkpoint_files(folder)
    ]
    return [*RunDirectory(run).temporary_files(), *checkpoints]


def kept_weights(run: Path) -> list[Path]:
    """The files with the weights of a run's completed trials."""
    return sorted(run.glob(f"trials/*/*/seed-*/{WEIGHTS_FILE}"))


def remove_from(run: Path, find: Callable[[Path], list[Path]]) -> None:
    """Remove what ``find`` finds in a run.

    Raises StoreError where a process is at work on the run, and where the disk refuses.
    """
    with DirectoryLock(run) as lock:
        lock.acquire()
        remove_all(find(run))


def decoded_data_sets(data_directory: Path) -> list[Path]:
    """The decoded data sets, which are decoded again when they are needed."""
    # One that is being decoded has a name with a dot.
    return sorted(decoded_folder(data_directory).glob("[!.]*"))


def remove_all(paths: Iterable[Path]) -> None:
    """Remove files and folders; raises StoreError where the disk refuses."""
    for path in paths:
        try:
            remove(path)
        except OSError as error:
            raise StoreError(f"{path}: cannot be removed: {error.strerror}") from error


def size_bytes(paths: Iterable[Path]) -> int:
    """What files and folders take on disk."""
    return sum(status.st_size for path in paths for status in _files(path))


def _state(path: Path, warn: Callable[[str], None]) -> RunState:
    files = [*_files(path)]
    directory = RunDirectory(path)
    tally = _Tally()
    state: State
    try:
        description = directory.read_description()
    except UnreadableError as error:
        warn(f"{path / RUN_FILE} cannot be used: {error}")
        state = "unreadable"
    else:
        # What cannot be read counts as not there.
        versions = Versions(directory, description).present()
        records = directory.read_records(
            description.protocol.hash,
            warn,
            [(version.label, version.identity) for version in versions],
        )
        tally.add_all(summarize(records, description.present))
        state = tally.state
    return RunState(
        path=path,
        state="in use" if is_held(path) else state,
        completed=tally.completed,
        trials=tally.planned,
        changed=max((file.st_mtime for file in files), default=0.0),
        size_bytes=sum(file.st_size for file in files),
        weights_bytes=size_bytes(kept_weights(path)),
    )


@dataclass
class _Tally:
    """A run's trials in numbers, as the table's rows have them.

    Of a variant with several rows only that with the most trials counts.
    """

    planned: int = 0
    ended: int = 0
    completed: int = 0
    has_unfinished: bool = False

    def add_all(self, summaries: Iterable[ModelSummary]) -> None:
        for _, rows in itertools.groupby(summaries, key=lambda summary: summary.model):
            summary = max(rows, key=lambda row: (len(row.completed), len(row.records)))
            self.planned += summary.planned
            self.ended += len(summary.records)
            self.completed += len(summary.completed)
            self.has_unfinished |= any(r.status in UNFINISHED for r in summary.records)

    @property
    def state(self) -> State:
        if self.completed == self.planned:
            return "complete"
        return "unfinished" if self.ended < self.planned or self.has_unfinished else "failed"


def _files(path: Path) -> Iterator[os.stat_result]:
    """What the system says of each file; a run at work makes some and removes them any time."""
    for file in (path, *path.rglob("*")):
        with suppress(OSError):
            if file.is_file():
                yield file.stat()
