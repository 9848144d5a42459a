"""Data sets that are made of others: which one a selection wraps, and the code of them all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from benchmark.catalog.identity import code_identity
from benchmark.catalog.shelves import Shelf
from benchmark.entries import DatasetEntry
from benchmark.errors import DatasetError
from benchmark.plain_data import canonical_json
from benchmark.protocol import (
    IDENTITY_LENGTH,
    Selection,
)


def dataset_chain(selection: Selection, shelf: Shelf[DatasetEntry]) -> list[Selection]:
    """A data set, the one that it wraps, the one that this wraps, down to one that wraps none.

    Raises UnknownNameError for a name that is not offered, and DatasetError where the option for
    the wrapped data set is left empty.
    """
    chain = [selection]
    key = ""
    while option := shelf[chain[-1].name].entry.wraps:
        key = f"{key}.{option}".removeprefix(".")
        given = chain[-1].options.get(option)
        if given is None:
            raise DatasetError(
                f"data set {chain[-1].name!r} wraps another one, and its option {option!r} does "
                f"not say which: --set dataset.{key}=NAME, for 'benchmark data' --set {key}=NAME"
            )
        chain.append(_selection(given))
    return chain


def dataset_identity(selection: Selection, shelf: Shelf[DatasetEntry]) -> str:
    """The identity of a data set's code, and of the code of those that it wraps.

    Raises as ``dataset_chain`` does.
    """
    offers = [shelf[link.name] for link in dataset_chain(selection, shelf)]
    identities = [code_identity(offer.entry, offer.plugin) for offer in offers]
    if len(identities) == 1:
        return identities[0]
    return hashlib.sha256(canonical_json({"wrapped": identities})).hexdigest()[:IDENTITY_LENGTH]


def _selection(given: str | Mapping[str, Any]) -> Selection:
    """What is written as a name, or as a mapping with a name and options."""
    if isinstance(given, str):
        return Selection(name=given)
    options = {key: value for key, value in given.items() if key != "name"}
    return Selection(name=given["name"], options=options)
