"""Find the first data set that can be had, from the cache or through its plugin."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmark.catalog import Offer, Shelf, dataset_chain, dataset_identity
from benchmark.datasets.cache import (
    cache_folders,
    prepared_by_one,
    read_cache,
    take_away,
    write_cache,
)
from benchmark.datasets.images import fault_in, fingerprint, kind_of
from benchmark.entries import DatasetEntry, ImageSplits
from benchmark.errors import (
    PLUGIN_FAULTS,
    BenchmarkError,
    DatasetError,
    DatasetUnavailableError,
    one_line,
)
from benchmark.protocol import Selection
from benchmark.specs import VerifiedCache


@dataclass(frozen=True)
class Dataset:
    """A data set that is at hand.

    ``fingerprint`` is the SHA-256 of the decoded images, labels and class names: it is the same
    on every machine that decoded the same. ``cache`` is None where the plugin allows no caching,
    or the cache cannot be mapped into memory. ``verified`` are the caches of it and of those that
    it wraps.
    """

    selection: Selection
    splits: ImageSplits
    fingerprint: str
    cache: Path | None
    verified: tuple[VerifiedCache, ...] = ()

    @property
    def noted(self) -> list[str]:
        """What is noted of its images, each with the data set's name."""
        return [f"{self.selection.name}: {note}" for note in self.splits.notes]


def first_available(
    selections: Sequence[Selection],
    shelf: Shelf[DatasetEntry],
    data_directory: Path,
    warn: Callable[[str], None],
) -> Dataset:
    """Load the first of the data sets that can be had.

    ``warn`` is told why others cannot, and what is noted of the one that can.

    Raises DatasetUnavailableError where none can, and DatasetError for one that is damaged.
    """
    dataset = _first_available(selections, shelf, data_directory, warn)
    for line in dataset.noted:
        warn(line)
    return dataset


def _first_available(
    selections: Sequence[Selection],
    shelf: Shelf[DatasetEntry],
    data_directory: Path,
    warn: Callable[[str], None],
) -> Dataset:
    for selection, following in itertools.pairwise(selections):
        try:
            return load_dataset(selection, shelf, data_directory)
        except DatasetUnavailableError as error:
            warn(f"{error.reason}; trying {following.name}")
    return load_dataset(selections[-1], shelf, data_directory)


def load_dataset(
    selection: Selection,
    shelf: Shelf[DatasetEntry],
    data_directory: Path,
    verified: Sequence[VerifiedCache] = (),
) -> Dataset:
    """Load a data set from the cache, or through its plugin into the cache.

    One that is wrapped is loaded first, in the same way. Of caches that have been ``verified``
    before and not changed since, the fingerprint is not worked out again.

    Raises DatasetUnavailableError where it cannot be had and DatasetError where it is damaged.
    """
    *wrappers, innermost = dataset_chain(selection, shelf)
    dataset = _load_one(innermost, shelf, data_directory, verified)
    for wrapper in reversed(wrappers):
        dataset = _load_one(wrapper, shelf, data_directory, verified, dataset)
    return dataset


def _load_one(
    selection: Selection,
    shelf: Shelf[DatasetEntry],
    data_directory: Path,
    verified: Sequence[VerifiedCache],
    wrapped: Dataset | None = None,
) -> Dataset:
    of_wrapped = wrapped.verified if wrapped else ()
    offer = shelf[selection.name]
    options = offer.entry.options.from_mapping(selection.options)
    load = functools.partial(_load_checked, offer, data_directory, options, wrapped)
    identity = _identify(offer, data_directory, options)
    if identity is None:
        splits = load()
        return Dataset(selection, splits, fingerprint(splits), None, of_wrapped)
    images = f" {wrapped.fingerprint}" if wrapped else ""
    # Other code may load other images, whatever the plugin says of them.
    identity = f"{dataset_identity(selection, shelf)}{images} {identity}"
    caches = cache_folders(data_directory, selection.name, identity)
    dataset = _find_cached(caches, selection, verified)
    if dataset is None:
        with prepared_by_one(caches[0]):
            # Another process may have prepared it while this one waited.
            dataset = _find_cached(caches, selection, verified)
            if dataset is None:
                dataset = _prepare(caches, selection, load, identity)
    return replace(dataset, verified=(*of_wrapped, *dataset.verified))


def _find_cached(
    caches: Sequence[Path], selection: Selection, verified: Sequence[VerifiedCache] = ()
) -> Dataset | None:
    for cache in caches:
        cached = read_cache(cache, verified)
        if cached is not None:
            splits, found = cached
            return Dataset(selection, splits, found.fingerprint, cache, (found,))
    return None


def _prepare(
    caches: Sequence[Path],
    selection: Selection,
    load: Callable[[], ImageSplits],
    identity: str,
) -> Dataset:
    # What cannot be read is taken away before the long work: nobody should find it meanwhile.
    for cache in caches:
        take_away(cache)
    splits = load()
    written = write_cache(caches, splits, identity)
    # On a file system that maps nothing into memory, say, what was loaded is as good.
    return _find_cached([written], selection) or Dataset(
        selection, splits, fingerprint(splits), None
    )


def _identify(offer: Offer[DatasetEntry], data_directory: Path, options: Any) -> str | None:
    """What the plugin would read; None where it cannot tell, and nothing may be cached."""
    if offer.entry.identify is None:
        return None
    with _plugin_faults_named(offer):
        identity = offer.entry.identify(data_directory, options)
        if not isinstance(identity, str):
            raise TypeError(f"identify gave {kind_of(identity)} where text is wanted")
        return identity


def _load_checked(
    offer: Offer[DatasetEntry], data_directory: Path, options: Any, wrapped: Dataset | None
) -> ImageSplits:
    images = () if wrapped is None else (wrapped.splits,)
    with _plugin_faults_named(offer):
        splits = offer.entry.load(data_directory, options, *images)
    fault = fault_in(splits)
    if fault:
        raise DatasetError(f"data set {offer.entry.name!r}: {fault}")
    return splits


@contextlib.contextmanager
def _plugin_faults_named(offer: Offer[DatasetEntry]) -> Iterator[None]:
    try:
        yield
    except BenchmarkError:
        raise
    except PLUGIN_FAULTS as error:
        raise DatasetError(
            f"data set {offer.entry.name!r} of {offer.plugin.label} cannot be loaded: "
            f"{one_line(error)}"
        ) from error
