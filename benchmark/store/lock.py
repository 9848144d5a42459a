"""One process at a time in a run's directory.

The file ``lock`` says who is at work: host, process, and since when. While it is, the system locks
that file for it, and lets go of it when the process dies, however it does. A file that nobody has
locked, but that names a process, was left by a dead one; or by one on another machine, where the
file system does not tell machines of each other's locks. The file goes when the work is done.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from benchmark.errors import StoreError
from benchmark.files import write_fault

LOCK_FILE = "lock"
# Before it is said that somebody is at work.
ATTEMPTS = 4
PAUSE_SECONDS = 0.05
# Should the file be a pipe or a link, it is neither waited for nor followed.
GUARDED = os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


class DirectoryLock:
    """The right to write to a directory; leaving the context gives it up.

    ``take_over`` takes it from a process on another machine, too, which must be dead.
    """

    def __init__(self, folder: Path, *, take_over: bool = False) -> None:
        self._file = folder / LOCK_FILE
        self._take_over = take_over
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, unless it is held already; the directory is made if there is none.

        Raises StoreError, with who holds it, where another process does, and where the disk
        refuses.
        """
        if self._descriptor is not None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = self._take()
        except OSError as error:
            raise StoreError(write_fault(self._file, error)) from error

    def _take(self) -> int:
        descriptor = self._open()
        try:
            self._check_holder(_read(descriptor))
            _write(descriptor, _this_process())
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _open(self) -> int:
        """Open the file and have the system lock it."""
        patience = ATTEMPTS
        while True:
            self._refuse_other_than_file()
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | GUARDED, 0o666)
            # Between opening and locking its holder may have removed it.
            if _lock(descriptor) and _is_at(descriptor, self._file):
                return descriptor
            holder = _read(descriptor)
            os.close(descriptor)
            patience -= 1
            if not patience:
                raise StoreError(
                    f"{self._file.parent} is in use{_described(holder)}; wait for it to end, "
                    "or give another --out"
                )
            # Somebody may only have asked whether it is held.
            time.sleep(PAUSE_SECONDS)

    def _refuse_other_than_file(self) -> None:
        # What a link leads to would be emptied, and a pipe keeps nothing.
        try:
            mode = self._file.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISREG(mode):
            raise StoreError(
                f"{self._file} is not an ordinary file, so it cannot be locked; "
                "remove it, or give another --out"
            )

    def _check_holder(self, holder: dict[str, Any]) -> None:
        if _is_elsewhere(holder) and not self._take_over:
            raise StoreError(
                f"{self._file.parent} is in use{_described(holder)}, a machine of which this one "
                "cannot tell whether it still works on it; if it does not, give --take-over"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._descriptor is None:
            return
        # While it is still locked: nobody else can have written to it. Where it cannot be removed
        # it says of a dead process that it was here.
        with suppress(OSError):
            self._file.unlink()
        os.close(self._descriptor)
        self._descriptor = None


def is_held(folder: Path) -> bool:
    """Whether a process is at work on a folder, or may be, on another machine."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDONLY | GUARDED)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False
        return not _lock(descriptor) or _is_elsewhere(_read(descriptor))
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Have the system lock an open file; False if somebody else has."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_elsewhere(holder: dict[str, Any]) -> bool:
    return bool(holder) and holder["host"] != socket.gethostname()


def _this_process() -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"host": socket.gethostname(), "process": os.getpid(), "since": now}


def _described(holder: dict[str, Any]) -> str:
    if not holder:
        return ""
    return f" by process {holder['process']} on {holder['host']} since {holder['since']}"


def _is_at(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


def _read(descriptor: int) -> dict[str, Any]:
    """Who holds the lock; nobody where the file is empty, or was cut short by a kill."""
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
    except (ValueError, RecursionError):
        return {}
    return holder if isinstance(holder, dict) and _makes_sense(holder) else {}


def _makes_sense(holder: dict[str, Any]) -> bool:
    texts = holder.get("host"), holder.get("since")
    are_texts = all(isinstance(text, str) and text.isprintable() for text in texts)
    return are_texts and isinstance(holder.get("process"), int)


def _write(descriptor: int, holder: dict[str, Any]) -> None:
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(holder).encode(), 0)
