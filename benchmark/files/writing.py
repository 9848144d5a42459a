"""Writing to disk so that a reader sees the old content or the new, never a part."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.errors import is_full, system_fault
from benchmark.files.reading import UnreadableError, is_there, opened

# Lines may be long, but nobody reads more than this of the last ones.
LARGEST_END_BYTES = 2**14

_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}
RESUMES = "and the same command resumes from the checkpoint"


def is_read_only(error: OSError) -> bool:
    """Whether an attempt to write failed because the place may only be read."""
    return error.errno in _READ_ONLY


def write_fault(path: Path, error: OSError, *, full: str = RESUMES, otherwise: str = "") -> str:
    """Say that a file cannot be written, why, and what to do where the disk is full or is not."""
    fault = f"{path}: cannot be written: {system_fault(error)}"
    if is_full(error):
        return f"{fault}; make room in {path.parent}, {full}"
    return f"{fault}; {otherwise}" if otherwise else fault


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Replace the file at ``path``; on any failure the old file stays and nothing else is left.

    Raises OSError (a full disk, a folder that cannot be written).
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file to write, and put it in place of ``path`` when that has succeeded.

    Raises OSError (a full disk, a folder that cannot be written).
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        os.close(descriptor)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise


def remove(path: Path) -> None:
    """Remove a file, a folder with all that is in it, or a link; raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a text file, none where there is no such file; raises OSError.

    Where there is something else in its place, a line says what.
    """
    if not is_there(path):
        return []
    try:
        with opened(path) as file:
            file.seek(max(os.fstat(file.fileno()).st_size - LARGEST_END_BYTES, 0))
            text = file.read(LARGEST_END_BYTES).decode("utf-8", errors="replace")
    except UnreadableError as error:
        return [f"{path}: {error}"]
    return text.splitlines()[-count:]


@contextmanager
def folder_written_atomically(path: Path) -> Iterator[Path]:
    """Give a temporary folder to fill, and move it to ``path`` when that has succeeded.

    Where another process has put ``path`` there first, its folder stays and ours goes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        try:
            temporary.rename(path)
        except OSError:
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _umask() -> int:
    # The mask can only be read by setting it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
