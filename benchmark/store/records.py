"""The records of a run as a sequence, each read when it is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from typing import overload

from benchmark.errors import StoreError
from benchmark.files import UnreadableError
from benchmark.records import TrialRecord
from benchmark.specs import TrialKey
from benchmark.store.description import RunDescription
from benchmark.store.directory import RunDirectory
from benchmark.store.versions import Version


class Records(Sequence[TrialRecord]):
    """The records of some versions of a run's variants, variant by variant, seed by seed.

    A run may have more than there is memory for. Those that cannot be read are left out, and
    ``warn`` gets a line about each. Where ``trials`` is given, records of other trials are left out
    without one.
    """

    def __init__(
        self,
        directory: RunDirectory,
        description: RunDescription | None,
        versions: Sequence[Version],
        warn: Callable[[str], None],
        trials: Set[TrialKey] | None = None,
    ) -> None:
        self._directory = directory
        self._protocol = description.protocol.hash if description else None
        self._versions = versions
        self._warn = warn
        self._trials = trials
        self._keys: Sequence[TrialKey] | None = None

    def __iter__(self) -> Iterator[TrialRecord]:
        if self._keys is not None:
            yield from map(self._read, self._keys)
            return
        versions = [(version.label, version.identity) for version in self._versions]
        for record in self._directory.read_records(self._protocol, self._warn, versions):
            if self._trials is None or record.key in self._trials:
                yield record

    def __len__(self) -> int:
        return len(self._known_keys())

    @overload
    def __getitem__(self, index: int) -> TrialRecord: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[TrialRecord]: ...

    def __getitem__(self, index: int | slice) -> TrialRecord | Sequence[TrialRecord]:
        keys = self._known_keys()
        if not isinstance(index, slice):
            return self._read(keys[index])
        part = Records(self._directory, None, self._versions, self._warn, self._trials)
        part._keys = keys[index]
        return part

    def __repr__(self) -> str:
        return f"<{len(self)} records of {self._directory.path}>"

    def _known_keys(self) -> Sequence[TrialKey]:
        """The trials that have a record that can be read; all are read once to find them."""
        if self._keys is None:
            self._keys = [record.key for record in self]
        return self._keys

    def _read(self, key: TrialKey) -> TrialRecord:
        try:
            record = self._directory.read_record(key)
        except UnreadableError as error:
            raise StoreError(f"the record of {key} cannot be read: {error}") from error
        if record is None:
            raise StoreError(f"the record of {key} is no longer there")
        return record
