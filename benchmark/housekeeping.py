"""What lies in a folder of runs, and what of it nobody needs any more."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.errors import StoreError
from benchmark.image_cache import FOLDER as DECODED
from benchmark.lock import is_held
from benchmark.store import RUN_FILE, RunDirectory, UnreadableError
from benchmark.training.checkpoint import checkpoint_files

State = Literal["in use", "complete", "failed", "unfinished", "unreadable"]


@dataclass(frozen=True)
class RunState:
    """A run on disk: how many of its ``trials`` completed, when it was last changed, its size.

    ``changed`` is in seconds since 1970. ``failed`` means that every trial has ended and some did
    not complete.
    """

    path: Path
    state: State
    completed: int
    trials: int
    changed: float
    size_bytes: int


@dataclass(frozen=True)
class Leftovers:
    """Files and folders that can be removed, and what they take."""

    paths: tuple[Path, ...]
    size_bytes: int

    def remove(self) -> None:
        """Remove them; raises StoreError where the disk refuses."""
        for path in self.paths:
            try:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            except OSError as error:
                raise StoreError(f"{path}: cannot be removed: {error.strerror}") from error


def find_runs(parent: Path) -> list[RunState]:
    """The runs in a folder, by name; none where there is no such folder."""
    return [_state(file.parent) for file in sorted(parent.glob(f"*/{RUN_FILE}"))]


def unfinished_work(parent: Path) -> Leftovers:
    """Checkpoints of trials that have not completed, and files left half written.

    Runs that a process is at work on are left out.
    """
    paths: list[Path] = []
    for file in sorted(parent.glob(f"*/{RUN_FILE}")):
        run = file.parent
        if not is_held(run):
            paths += RunDirectory(run).temporary_files()
            paths += _needless_checkpoints(RunDirectory(run))
    return _leftovers(paths)


def decoded_data_sets(data_directory: Path) -> Leftovers:
    """The decoded data sets, which are decoded again when they are needed."""
    return _leftovers(sorted((data_directory / DECODED).glob("*")))


def _state(path: Path) -> RunState:
    files = [file for file in path.rglob("*") if file.is_file()]
    directory = RunDirectory(path)
    state: State
    try:
        description = directory.read_description()
    except UnreadableError:
        trials, completed, state = 0, 0, "unreadable"
    else:
        records, _ = directory.read_records(description.protocol.hash)
        statuses = [record.status for record in records]
        trials, completed = len(description.trials), statuses.count("completed")
        state = _judge(statuses, trials)
    return RunState(
        path=path,
        state="in use" if is_held(path) else state,
        completed=completed,
        trials=trials,
        changed=max(file.stat().st_mtime for file in files),
        size_bytes=_size(files),
    )


def _judge(statuses: Sequence[str], trials: int) -> State:
    if statuses.count("completed") == trials:
        return "complete"
    if len(statuses) < trials or "interrupted" in statuses:
        return "unfinished"
    return "failed"


def _needless_checkpoints(directory: RunDirectory) -> Iterator[Path]:
    for folder in directory.path.glob("trials/*/seed-*"):
        yield from checkpoint_files(folder)


def _leftovers(paths: Iterable[Path]) -> Leftovers:
    found = tuple(paths)
    files = [file for path in found for file in (path, *path.rglob("*")) if file.is_file()]
    return Leftovers(found, _size(files))


def _size(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files)
