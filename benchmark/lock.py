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
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmark.errors import StoreError

LOCK_FILE = "lock"


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
            descriptor = self._open()
        except OSError as error:
            raise StoreError(f"{self._file}: cannot be written: {error.strerror}") from error
        try:
            self._check_holder(_read(descriptor))
            _write(descriptor, _this_process())
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _open(self) -> int:
        """Open the file and have the system lock it."""
        while True:
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = _read(descriptor)
                os.close(descriptor)
                raise StoreError(
                    f"{self._file.parent} is in use{_described(holder)}; wait for it to end, "
                    "or give another --out"
                ) from error
            # Between opening and locking its holder may have removed it.
            if _is_at(descriptor, self._file):
                return descriptor
            os.close(descriptor)

    def _check_holder(self, holder: dict[str, Any]) -> None:
        other = holder.get("host", socket.gethostname()) != socket.gethostname()
        if other and not self._take_over:
            raise StoreError(
                f"{self._file.parent} is in use{_described(holder)}, a machine of which this one "
                "cannot tell whether it still works on it; if it does not, give --take-over"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._descriptor is not None:
            # Removed while it is still locked: nobody else can have written to it.
            self._file.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None


def is_held(folder: Path) -> bool:
    """Whether a process is at work on a folder, as far as this machine can tell."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


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
    except ValueError:
        return {}
    known = isinstance(holder, dict) and {"host", "process", "since"} <= holder.keys()
    return holder if known else {}


def _write(descriptor: int, holder: dict[str, Any]) -> None:
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(holder).encode(), 0)
