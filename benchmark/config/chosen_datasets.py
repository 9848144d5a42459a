"""Which data sets a config chooses, and what it says becomes of images that are there twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from benchmark.catalog import Shelf
from benchmark.config.checker import Checker
from benchmark.config.strict_yaml import Location
from benchmark.entries import DatasetEntry
from benchmark.protocol import (
    ChosenDataset,
    Duplicates,
)
from benchmark.spelling import did_you_mean

KEY = "duplicates"


def chosen_datasets(
    checker: Checker, shelf: Shelf[DatasetEntry]
) -> tuple[ChosenDataset, ...] | None:
    """Read one data set or a list of them; None where the key is not there."""
    if "dataset" not in checker.document.data:
        return None
    raw = checker.document.data["dataset"]
    if raw == []:
        checker.fault(("dataset",), "should name at least one")
    if not isinstance(raw, list):
        found = [_chosen(checker, ("dataset",), raw, shelf)]
    else:
        found = [_chosen(checker, ("dataset", i), item, shelf) for i, item in enumerate(raw)]
    return tuple(dataset for dataset in found if dataset is not None)


def _chosen(
    checker: Checker, location: Location, raw: Any, shelf: Shelf[DatasetEntry]
) -> ChosenDataset | None:
    duplicates: Duplicates = "keep"
    if isinstance(raw, Mapping) and KEY in raw:
        duplicates = raw[KEY]
        if duplicates not in (known := get_args(Duplicates)):
            hint = did_you_mean(str(duplicates), known)
            checker.fault(
                (*location, KEY), f"should be {' or '.join(known)}, got {duplicates!r}{hint}"
            )
            return None
        raw = {key: value for key, value in raw.items() if key != KEY}
    selection = checker.entry(location, raw, shelf)
    if selection is None:
        return None
    return ChosenDataset(**dict(selection), duplicates=duplicates)
