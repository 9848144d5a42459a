"""Decoded data sets on disk.

The cache of a data set is a folder of ``.npy`` files below the data directory, named after the
data set and a hash of what was read. It is mapped into memory, so a second start reads no image,
and its fingerprint is checked whenever it is read.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import platformdirs

from benchmark.entries import Images, ImageSplits
from benchmark.errors import DatasetError
from benchmark.files import folder_written_atomically, write_atomically, write_fault
from benchmark.image_splits import fault_in, fingerprint
from benchmark.progress import announce

SCHEMA = 1
INFO_FILE = "info.json"
FOLDER = "decoded"

ENVIRONMENT_VARIABLE = "BENCHMARK_DATA_DIR"


def default_data_directory() -> Path:
    """Where data sets lie: ``BENCHMARK_DATA_DIR``, else the platform's cache directory."""
    configured = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(configured) if configured else platformdirs.user_cache_path("benchmark")


def cache_folder(data_directory: Path, name: str, identity: str) -> Path:
    """Where the images of the data set ``name`` are cached that were read from ``identity``."""
    key = hashlib.sha256(f"{SCHEMA}\0{identity}".encode("utf-8", "surrogateescape")).hexdigest()
    return data_directory / FOLDER / f"{name}-{key[:16]}"


@contextlib.contextmanager
def prepared_by_one(cache: Path) -> Iterator[None]:
    """Wait for other processes of this machine that are preparing the same cache.

    The lock only spares work, since a cache is written whole or not at all: so a machine on which
    it cannot be had goes on without.
    """
    key = hashlib.sha256(os.fsencode(cache.absolute())).hexdigest()
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            file = Path(tempfile.gettempdir()) / f"benchmark-{os.getuid()}-{key[:16]}.lock"
            descriptor = os.open(file, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            held.callback(os.close, descriptor)
            _lock(descriptor, cache)
            held.callback(file.unlink, missing_ok=True)
        yield


def _lock(descriptor: int, cache: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        # Nobody may be there to read it.
        with contextlib.suppress(OSError):
            announce(f"benchmark: another process is preparing {cache}; waiting for it to be done")
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def write_cache(cache: Path, splits: ImageSplits, identity: str) -> None:
    """Write a cache, whole or not at all; raises DatasetError where the disk refuses."""
    info = {
        "schema": SCHEMA,
        "fingerprint": fingerprint(splits),
        "classes": list(splits.classes),
        "identity": hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest(),
    }
    with _told_where_written(cache), folder_written_atomically(cache) as folder:
        for name, array in _arrays(splits).items():
            numpy.save(folder / f"{name}.npy", array)
        write_atomically(folder / INFO_FILE, json.dumps(info, indent=1).encode("utf-8"))


def take_away(cache: Path) -> None:
    """Remove a damaged cache; who has it mapped keeps what is mapped."""
    if not cache.exists():
        return
    with (
        _told_where_written(cache),
        tempfile.TemporaryDirectory(dir=cache.parent, prefix=f".{cache.name}.") as aside,
        # If another process has moved it already, there is nothing left to do.
        contextlib.suppress(FileNotFoundError),
    ):
        # Moved first, so that nobody finds it half removed.
        cache.rename(Path(aside) / cache.name)


@contextlib.contextmanager
def _told_where_written(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        elsewhere = f"choose another place with --data-dir or {ENVIRONMENT_VARIABLE}"
        fault = write_fault(cache, error, full=f"or {elsewhere}", otherwise=elsewhere)
        raise DatasetError(fault) from error


def read_cache(cache: Path) -> tuple[ImageSplits, str] | None:
    """Map what is cached, or None where there is nothing or it is damaged."""
    try:
        info = json.loads((cache / INFO_FILE).read_text(encoding="utf-8"))
        wanted, classes = info["fingerprint"], tuple(info["classes"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    arrays = _map_arrays(cache)
    if arrays is None:
        return None
    splits = ImageSplits(
        train=Images(arrays["train_pixels"], arrays["train_labels"]),
        test=Images(arrays["test_pixels"], arrays["test_labels"]),
        classes=classes,
    )
    if fault_in(splits) or fingerprint(splits) != wanted:
        return None
    return splits, wanted


def _map_arrays(cache: Path) -> dict[str, numpy.ndarray[Any, Any]] | None:
    names = ("train_pixels", "train_labels", "test_pixels", "test_labels")
    try:
        # Mapped copy-on-write, so that torch may share the memory; nothing is ever written to it.
        return {
            name: numpy.load(cache / f"{name}.npy", mmap_mode="c", allow_pickle=False)
            for name in names
        }
    except Exception:
        # NumPy raises one of many kinds, EOFError and TokenError among them, depending on which
        # byte is damaged; whatever it is, the cache is built anew.
        return None


def _arrays(splits: ImageSplits) -> dict[str, numpy.ndarray[Any, Any]]:
    return {
        "train_pixels": splits.train.pixels,
        "train_labels": splits.train.labels,
        "test_pixels": splits.test.pixels,
        "test_labels": splits.test.labels,
    }
