"""Find the first data set that can be had, check what a plugin loaded, and cache it decoded.

The cache is a folder of ``.npy`` files below the data directory, named after the data set and a
hash of what was read; it is mapped into memory, so a second start reads no image.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import platformdirs

from benchmark.catalog import Shelf
from benchmark.config import validate_options
from benchmark.entries import DatasetEntry, Images, ImageSplits
from benchmark.errors import DatasetError, DatasetUnavailableError
from benchmark.files import folder_written_atomically, write_atomically
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
    on every machine that decoded the same. ``cache`` is None where the plugin allows no caching.
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
    entry = shelf[selection.name].entry
    options = validate_options(entry.options, selection.options)
    if entry.identify is None:
        splits = _load_checked(entry, data_directory, options)
        return Dataset(selection, splits, fingerprint(splits), None)
    identity = entry.identify(data_directory, options)
    cache = _cache_folder(data_directory, entry.name, identity)
    cached = _read_cache(cache)
    if cached is None:
        splits = _load_checked(entry, data_directory, options)
        _write_cache(cache, splits, identity)
        cached = _read_cache(cache)
    if cached is None:
        raise DatasetError(f"{cache}: what was just written there cannot be read back")
    return Dataset(selection, cached[0], cached[1], cache)


def fingerprint(splits: ImageSplits) -> str:
    """SHA-256 of class names, shapes, pixels and labels, in hexadecimal."""
    digest = hashlib.sha256("\0".join(splits.classes).encode("utf-8"))
    for images in (splits.train, splits.test):
        digest.update(repr(images.pixels.shape).encode("ascii"))
        digest.update(numpy.ascontiguousarray(images.pixels).data)
        digest.update(numpy.ascontiguousarray(images.labels).data)
    return digest.hexdigest()


def _load_checked(entry: DatasetEntry, data_directory: Path, options: Any) -> ImageSplits:
    splits = entry.load(data_directory, options)
    fault = _fault_in(splits)
    if fault:
        raise DatasetError(f"data set {entry.name!r}: {fault}")
    return splits


def _fault_in(splits: Any) -> str | None:
    if not isinstance(splits, ImageSplits):
        return f"its plugin loaded a {type(splits).__name__} where ImageSplits are wanted"
    for half, images in (("training", splits.train), ("test", splits.test)):
        pixels, labels = images.pixels, images.labels
        if pixels.dtype != numpy.uint8 or pixels.ndim != 4:
            return (
                f"{half} pixels should be uint8 of N x C x H x W, not {pixels.dtype} {pixels.shape}"
            )
        if labels.dtype != numpy.int64 or labels.shape != pixels.shape[:1]:
            return f"{half} labels should be int64, one an image, not {labels.dtype} {labels.shape}"
        if not len(labels):
            return f"there are no {half} images"
        if labels.min() < 0 or labels.max() >= len(splits.classes):
            return f"a {half} label is not between 0 and {len(splits.classes) - 1}"
    if splits.train.pixels.shape[1:] != splits.test.pixels.shape[1:]:
        return "training and test images differ in size"
    return None


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
    try:
        if cache.exists():
            # It was found damaged. Who has it mapped keeps what is mapped.
            shutil.rmtree(cache)
        with folder_written_atomically(cache) as folder:
            for name, array in _arrays(splits).items():
                numpy.save(folder / f"{name}.npy", array)
            write_atomically(folder / INFO_FILE, json.dumps(info, indent=1).encode("utf-8"))
    except OSError as error:
        raise DatasetError(
            f"{cache}: cannot be written: {error.strerror or error}; "
            f"choose another place with --data-dir or {ENVIRONMENT_VARIABLE}"
        ) from error


def _read_cache(cache: Path) -> tuple[ImageSplits, str] | None:
    """Map what is cached, or None where there is nothing or it is damaged."""
    try:
        info = json.loads((cache / INFO_FILE).read_text(encoding="utf-8"))
        # Mapped copy-on-write, so that torch may share the memory; nothing is ever written to it.
        arrays = {
            name: numpy.load(cache / f"{name}.npy", mmap_mode="c", allow_pickle=False)
            for name in ("train_pixels", "train_labels", "test_pixels", "test_labels")
        }
        splits = ImageSplits(
            train=Images(arrays["train_pixels"], arrays["train_labels"]),
            test=Images(arrays["test_pixels"], arrays["test_labels"]),
            classes=tuple(info["classes"]),
        )
        if _fault_in(splits) or fingerprint(splits) != info["fingerprint"]:
            return None
        return splits, info["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _arrays(splits: ImageSplits) -> dict[str, numpy.ndarray[Any, Any]]:
    return {
        "train_pixels": splits.train.pixels,
        "train_labels": splits.train.labels,
        "test_pixels": splits.test.pixels,
        "test_labels": splits.test.labels,
    }
