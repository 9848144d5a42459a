"""Decoded data sets on disk.

The cache of a data set is a folder of ``.npy`` files, named after the data set and a hash of what
was read. It lies below the data directory or, where that may only be read, below the platform's
cache directory: data that is given and data that is cached need not lie in one place. It is mapped
into memory, so a second start reads no image, and its fingerprint is checked whenever it is read;
but for the trials of a run, as long as the files are those that the run has checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import filelock
import numpy
import platformdirs

from benchmark.datasets.images import fault_in, fingerprint
from benchmark.entries import Images, ImageSplits
from benchmark.errors import DatasetError
from benchmark.files import (
    folder_written_atomically,
    is_read_only,
    usable_folder,
    write_atomically,
    write_fault,
)
from benchmark.progress import announce
from benchmark.specs import FileState, VerifiedCache

SCHEMA = 2
INFO_FILE = "info.json"
FOLDER = "decoded"
# The last has files only where the data set has such images.
HALVES = ("train", "test", "validation")

ENVIRONMENT_VARIABLE = "BENCHMARK_DATA_DIR"
CACHE_VARIABLE = "BENCHMARK_CACHE_DIR"


def default_data_directory() -> Path:
    """Where data sets lie: ``BENCHMARK_DATA_DIR``, else the platform's cache directory."""
    return _named_by(ENVIRONMENT_VARIABLE) or platformdirs.user_cache_path("benchmark")


def decoded_folders(data_directory: Path) -> list[Path]:
    """Where decoded data sets are looked for, and written to the first that can be written to.

    That is ``BENCHMARK_CACHE_DIR``, else the data directory and the platform's cache directory.
    """
    chosen = _named_by(CACHE_VARIABLE)
    parents = [chosen] if chosen else [data_directory, platformdirs.user_cache_path("benchmark")]
    return list(dict.fromkeys(parent / FOLDER for parent in parents))


def decoded_folder(data_directory: Path) -> Path:
    """The one that would be written to, as far as the permissions tell."""
    folders = decoded_folders(data_directory)
    return next((folder for folder in folders if _may_be_written_to(folder)), folders[-1])


def _named_by(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return usable_folder(value, f"{variable}: {value}") if value else None


def _may_be_written_to(folder: Path) -> bool:
    # Unlike those of Path, this does not raise where a folder above may not be looked into.
    nearest = next(p for p in (folder, *folder.absolute().parents) if os.path.exists(p))  # noqa: PTH110
    effective = os.access in os.supports_effective_ids
    return os.access(nearest, os.W_OK | os.X_OK, effective_ids=effective)


def cache_folders(data_directory: Path, name: str, identity: str) -> list[Path]:
    """Where the images of the data set ``name`` that were read from ``identity`` may be cached."""
    key = hashlib.sha256(f"{SCHEMA}\0{identity}".encode("utf-8", "surrogateescape")).hexdigest()
    return [folder / f"{name}-{key[:16]}" for folder in decoded_folders(data_directory)]


@contextlib.contextmanager
def prepared_by_one(cache: Path) -> Iterator[None]:
    """Wait for other processes of this machine that are preparing the same cache.

    The lock only spares work, since a cache is written whole or not at all: so a machine on which
    it cannot be had goes on without.
    """
    key = hashlib.sha256(os.fsencode(cache.absolute())).hexdigest()
    file = Path(tempfile.gettempdir()) / f"benchmark-{os.getuid()}-{key[:16]}.lock"
    lock = filelock.FileLock(file, mode=0o600)
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            _acquire(lock, cache)
            held.callback(lock.release)
            held.callback(file.unlink, missing_ok=True)
        yield


def _acquire(lock: filelock.BaseFileLock, cache: Path) -> None:
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        # Nobody may be there to read it.
        with contextlib.suppress(OSError):
            announce(f"benchmark: another process is preparing {cache}; waiting for it to be done")
        lock.acquire()


def write_cache(caches: Sequence[Path], splits: ImageSplits, identity: str) -> Path:
    """Write to the first place that does not refuse, whole or not at all; returns that.

    Raises DatasetError where all refuse, or a disk fails.
    """
    cache, *others = caches
    try:
        _write(cache, splits, identity)
    except OSError as error:
        if not others or not is_read_only(error):
            raise _not_written(cache, error) from error
        written = write_cache(others, splits, identity)
        announce(
            f"benchmark: {cache.parent}: cannot be written to ({error.strerror}); "
            f"decoded images are kept in {written.parent}"
        )
        return written
    return cache


def _write(cache: Path, splits: ImageSplits, identity: str) -> None:
    info = {
        "schema": SCHEMA,
        "fingerprint": fingerprint(splits),
        "classes": list(splits.classes),
        "notes": list(splits.notes),
        "identity": hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest(),
    }
    with folder_written_atomically(cache) as folder:
        for name, array in _arrays(splits).items():
            numpy.save(folder / f"{name}.npy", array)
        sealed = {**info, "checksum": _checksum(info)}
        write_atomically(folder / INFO_FILE, json.dumps(sealed, indent=1).encode("utf-8"))


def _checksum(info: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(info, sort_keys=True).encode("utf-8")).hexdigest()


def take_away(cache: Path) -> None:
    """Remove a damaged cache unless it may only be read; who has it mapped keeps what is mapped.

    Raises DatasetError where the disk fails.
    """
    if not cache.exists():
        return
    try:
        # Moved first, so that nobody finds it half removed.
        with tempfile.TemporaryDirectory(dir=cache.parent, prefix=f".{cache.name}.") as aside:
            cache.rename(Path(aside) / cache.name)
    except FileNotFoundError:
        # Another process has moved it already.
        pass
    except OSError as error:
        if not is_read_only(error):
            raise _not_written(cache, error) from error


def _not_written(cache: Path, error: OSError) -> DatasetError:
    elsewhere = f"choose another place for decoded images with {CACHE_VARIABLE}"
    return DatasetError(write_fault(cache, error, full=f"or {elsewhere}", otherwise=elsewhere))


def read_cache(
    cache: Path, verified: Sequence[VerifiedCache] = ()
) -> tuple[ImageSplits, VerifiedCache] | None:
    """Map what is cached, or None where there is nothing or it is damaged.

    Its fingerprint is worked out unless the cache is among those ``verified``.
    """
    try:
        # Before the images are read: a change that comes later is one that nobody has verified.
        files = _file_states(cache)
        info = json.loads((cache / INFO_FILE).read_text(encoding="utf-8"))
        checksum = info.pop("checksum")
        wanted, classes, notes = info["fingerprint"], tuple(info["classes"]), tuple(info["notes"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    arrays = _map_arrays(cache)
    if arrays is None or _checksum(info) != checksum:
        return None
    train, test, *held_out = (
        Images(arrays[f"{half}_pixels"], arrays[f"{half}_labels"])
        for half in HALVES
        if f"{half}_pixels" in arrays
    )
    splits = ImageSplits(train, test, classes, next(iter(held_out), None), notes)
    found = VerifiedCache(folder=cache.absolute(), fingerprint=wanted, files=files)
    if fault_in(splits) or (found not in verified and fingerprint(splits) != wanted):
        return None
    return splits, found


def _file_states(folder: Path) -> tuple[FileState, ...]:
    return tuple(map(_file_state, sorted(folder.iterdir())))


def _file_state(file: Path) -> FileState:
    found = file.stat()
    return FileState(
        name=file.name,
        size_bytes=found.st_size,
        inode=found.st_ino,
        changed_nanoseconds=found.st_mtime_ns,
        inode_changed_nanoseconds=found.st_ctime_ns,
    )


def _map_arrays(cache: Path) -> dict[str, numpy.ndarray[Any, Any]] | None:
    has_validation = (cache / "validation_pixels.npy").exists()
    halves = HALVES if has_validation else HALVES[:2]
    try:
        # Mapped copy-on-write, so that torch may share the memory; nothing is ever written to it.
        return {
            name: numpy.load(cache / f"{name}.npy", mmap_mode="c", allow_pickle=False)
            for half in halves
            for name in (f"{half}_pixels", f"{half}_labels")
        }
    except Exception:
        # NumPy raises one of many kinds, EOFError and TokenError among them, depending on which
        # byte is damaged; whatever it is, the cache is built anew.
        return None


def _arrays(splits: ImageSplits) -> dict[str, numpy.ndarray[Any, Any]]:
    halves = zip(HALVES, (splits.train, splits.test, splits.validation), strict=True)
    return {
        f"{half}_{part}": getattr(images, part)
        for half, images in halves
        if images is not None
        for part in ("pixels", "labels")
    }
