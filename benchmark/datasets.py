"""Find the first data set that can be had, check what a plugin loaded, and cache it decoded.

The cache is a folder of ``.npy`` files below the data directory, named after the data set and a
hash of what was read; it is mapped into memory, so a second start reads no image.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import platformdirs

from benchmark.catalog import Offer, Shelf
from benchmark.config import validate_options
from benchmark.entries import DatasetEntry, Images, ImageSplits
from benchmark.errors import BenchmarkError, DatasetError, DatasetUnavailableError, one_line
from benchmark.files import folder_written_atomically, write_atomically
from benchmark.plugin_manager import PLUGIN_FAULTS
from benchmark.records import Selection

ENVIRONMENT_VARIABLE = "BENCHMARK_DATA_DIR"
CACHE_SCHEMA = 1
INFO_FILE = "info.json"
CACHE_FOLDER = "decoded"


def default_data_directory() -> Path:
    """Where data sets lie: ``BENCHMARK_DATA_DIR``, else the platform's cache directory."""
    configured = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(configured) if configured else platformdirs.user_cache_path("benchmark")


@dataclass(frozen=True)
class Dataset:
    """A data set that is at hand.

    ``fingerprint`` is the SHA-256 of the decoded images, labels and class names: it is the same
    on every machine that decoded the same. ``cache`` is None where the plugin allows no caching,
    or the cache cannot be mapped into memory.
    """

    selection: Selection
    splits: ImageSplits
    fingerprint: str
    cache: Path | None


def first_available(
    selections: Sequence[Selection],
    shelf: Shelf[DatasetEntry],
    data_directory: Path,
    warn: Callable[[str], None],
) -> Dataset:
    """Load the first of the data sets that can be had; ``warn`` is told why others cannot.

    Raises DatasetUnavailableError where none can, and DatasetError for one that is damaged.
    """
    for selection, following in itertools.pairwise(selections):
        try:
            return load_dataset(selection, shelf, data_directory)
        except DatasetUnavailableError as error:
            warn(f"{error.reason}; trying {following.name}")
    return load_dataset(selections[-1], shelf, data_directory)


def load_dataset(selection: Selection, shelf: Shelf[DatasetEntry], data_directory: Path) -> Dataset:
    """Load a data set from the cache, or through its plugin into the cache.

    Raises DatasetUnavailableError where it cannot be had and DatasetError where it is damaged.
    """
    offer = shelf[selection.name]
    options = validate_options(offer.entry.options, selection.options)
    identity = _identify(offer, data_directory, options)
    if identity is None:
        splits = _load_checked(offer, data_directory, options)
        return Dataset(selection, splits, fingerprint(splits), None)
    cache = _cache_folder(data_directory, selection.name, identity)
    cached = _read_cache(cache)
    if cached is None:
        # What cannot be read is taken away before the long work, not after it: by then another
        # process may have put a sound cache there.
        _take_away(cache)
        splits = _load_checked(offer, data_directory, options)
        _write_cache(cache, splits, identity)
        cached = _read_cache(cache)
        if cached is None:
            # A file system that maps nothing into memory, say: what was loaded is as good.
            return Dataset(selection, splits, fingerprint(splits), None)
    return Dataset(selection, cached[0], cached[1], cache)


def fingerprint(splits: ImageSplits) -> str:
    """SHA-256 of class names, shapes, pixels and labels, in hexadecimal."""
    # A folder's name need not be UTF-8, and neither then need its class's.
    digest = hashlib.sha256("\0".join(splits.classes).encode("utf-8", "surrogateescape"))
    for images in (splits.train, splits.test):
        digest.update(repr(images.pixels.shape).encode("ascii"))
        digest.update(numpy.ascontiguousarray(images.pixels).data)
        digest.update(numpy.ascontiguousarray(images.labels).data)
    return digest.hexdigest()


def _identify(offer: Offer[DatasetEntry], data_directory: Path, options: Any) -> str | None:
    """What the plugin would read; None where it cannot tell, and nothing may be cached."""
    if offer.entry.identify is None:
        return None
    with _plugin_faults_told(offer):
        identity = offer.entry.identify(data_directory, options)
        if not isinstance(identity, str):
            raise TypeError(f"identify gave {_kind(identity)} where text is wanted")
        return identity


def _load_checked(offer: Offer[DatasetEntry], data_directory: Path, options: Any) -> ImageSplits:
    with _plugin_faults_told(offer):
        splits = offer.entry.load(data_directory, options)
    fault = _fault_in(splits)
    if fault:
        raise DatasetError(f"data set {offer.entry.name!r}: {fault}")
    return splits


@contextlib.contextmanager
def _plugin_faults_told(offer: Offer[DatasetEntry]) -> Iterator[None]:
    try:
        yield
    except BenchmarkError:
        raise
    except PLUGIN_FAULTS as error:
        raise DatasetError(
            f"data set {offer.entry.name!r} of {offer.plugin.label} cannot be loaded: "
            f"{one_line(error)}"
        ) from error


def _fault_in(splits: Any) -> str | None:
    if not isinstance(splits, ImageSplits):
        return f"its plugin loaded {_kind(splits)} where ImageSplits are wanted"
    classes = splits.classes
    if not isinstance(classes, tuple | list) or not all(isinstance(name, str) for name in classes):
        return f"its classes should be a tuple of names, not {classes!r}"
    for half, images in (("training", splits.train), ("test", splits.test)):
        fault = _fault_in_half(half, images, len(classes))
        if fault:
            return fault
    if splits.train.pixels.shape[1:] != splits.test.pixels.shape[1:]:
        return "training and test images differ in size"
    return None


def _fault_in_half(half: str, images: Any, classes: int) -> str | None:
    if not isinstance(images, Images):
        return f"its {half} half is {_kind(images)} where Images are wanted"
    pixels, labels = images.pixels, images.labels
    if not _is_array(pixels, numpy.uint8) or pixels.ndim != 4:
        return f"{half} pixels should be uint8 of N x C x H x W, not {_kind(pixels)}"
    if not _is_array(labels, numpy.int64) or labels.shape != pixels.shape[:1]:
        return f"{half} labels should be int64, one an image, not {_kind(labels)}"
    if not pixels.size:
        return f"there are no {half} images"
    if labels.min() < 0 or labels.max() >= classes:
        return f"a {half} label is not between 0 and {classes - 1}"
    return None


def _is_array(value: Any, dtype: type[numpy.generic]) -> bool:
    return isinstance(value, numpy.ndarray) and value.dtype == dtype


def _kind(value: Any) -> str:
    if isinstance(value, numpy.ndarray):
        return f"{value.dtype} {value.shape}"
    return f"a {type(value).__name__}"


def _cache_folder(data_directory: Path, name: str, identity: str) -> Path:
    key = hashlib.sha256(
        f"{CACHE_SCHEMA}\0{identity}".encode("utf-8", "surrogateescape")
    ).hexdigest()
    return data_directory / CACHE_FOLDER / f"{name}-{key[:16]}"


def _write_cache(cache: Path, splits: ImageSplits, identity: str) -> None:
    info = {
        "schema": CACHE_SCHEMA,
        "fingerprint": fingerprint(splits),
        "classes": list(splits.classes),
        "identity": hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest(),
    }
    with _told_where_written(cache), folder_written_atomically(cache) as folder:
        for name, array in _arrays(splits).items():
            numpy.save(folder / f"{name}.npy", array)
        write_atomically(folder / INFO_FILE, json.dumps(info, indent=1).encode("utf-8"))


def _take_away(cache: Path) -> None:
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
        raise DatasetError(
            f"{cache}: cannot be written: {error.strerror or error}; "
            f"choose another place with --data-dir or {ENVIRONMENT_VARIABLE}"
        ) from error


def _read_cache(cache: Path) -> tuple[ImageSplits, str] | None:
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
    if _fault_in(splits) or fingerprint(splits) != wanted:
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
