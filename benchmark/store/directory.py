"""A run's directory: what was asked for, and a record of every trial.

The directory is the truth; everything shown of a run is read from it::

    run.json                                           what was asked for, the protocol, the machine
    trials/<label>/<identity>/seed-<n>/trial.json      the record, written once, atomically
    trials/<label>/<identity>/seed-<n>/history.jsonl   one line an epoch, appended

Beside them lie, of a completed trial, ``predictions.npy`` and ``weights.safetensors``.

Each state of a variant has a folder of its own below its label's, named by its identity.
"""

from __future__ import annotations

import glob
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from benchmark.errors import StoreError
from benchmark.files import (
    UnreadableError,
    in_a_line,
    is_there,
    parse_json,
    read_bounded,
    remove,
    write_atomically,
    write_fault,
)
from benchmark.plain_data import canonical_json
from benchmark.protocol import Protocol
from benchmark.records import (
    SCHEMA,
    EpochRecord,
    TrialRecord,
)
from benchmark.soundness import fault_in_description, fault_in_record
from benchmark.specs import (
    PlannedVariant,
    TrialKey,
)
from benchmark.store.description import RunDescription

RUN_FILE = "run.json"
RECORD_FILE = "trial.json"
HISTORY_FILE = "history.jsonl"
APPENDED_FILES = (HISTORY_FILE, "log.txt")
# A hundred thousand epochs have a third of it.
LARGEST_FILE_BYTES = 64 * 2**20
SEAL = re.compile(rb'\{"checksum":"([0-9a-f]{64})",')

Content = TypeVar("Content", bound=BaseModel)


@dataclass(frozen=True)
class RunDirectory:
    """One run on disk. Its methods raise StoreError where the disk refuses."""

    path: Path

    @classmethod
    def of(cls, parent: Path, name: str, protocol: Protocol) -> RunDirectory:
        """The directory of the run of that name and protocol below ``parent``."""
        return cls(parent / f"{name}-{protocol.hash[:8]}")

    def trial_directory(self, key: TrialKey) -> Path:
        """The folder of one trial."""
        return self.path / "trials" / key.model / key.identity / f"seed-{key.seed}"

    def write_description(self, description: RunDescription) -> None:
        """Write what is run, adding to the variants that earlier commands asked for."""
        whole = description.added_to(self._earlier_variants())
        content = whole.model_dump(mode="json", by_alias=True)
        # Indented, for people.
        text = json.dumps(content, indent=1, allow_nan=False)
        self._write(self.path / RUN_FILE, _sealed(text.encode("utf-8")))

    def _earlier_variants(self) -> tuple[PlannedVariant, ...]:
        try:
            return self.read_description().variants
        except (StoreError, UnreadableError):
            # There is none, or none to be read: the new one takes its place.
            return ()

    def read_description(self) -> RunDescription:
        """Read what was run.

        Raises StoreError where this is no run directory, UnreadableError where the file is damaged.
        """
        file = self.path / RUN_FILE
        if is_there(self.path) and not self.path.is_dir():
            raise StoreError(f"{self.path}: a file, not the directory of a run")
        if not self.path.is_dir():
            raise StoreError(f"{self.path}: no such folder")
        if not is_there(file):
            raise StoreError(f"{self.path}: not a run directory (there is no {RUN_FILE} in it)")
        description = _read(file, RunDescription)
        _refuse_nonsense(
            fault_in_description(
                description.variants, description.protocol, description.environment
            )
        )
        return description

    def write_record(self, record: TrialRecord) -> None:
        """Write a trial's record; a crash leaves the old one or the new one."""
        content = record.model_dump(mode="json", by_alias=True)
        file = self.trial_directory(record.key) / RECORD_FILE
        self._write(file, _sealed(canonical_json(content)))

    def read_record(self, key: TrialKey) -> TrialRecord | None:
        """Read one record, None where there is none; raises UnreadableError."""
        file = self.trial_directory(key) / RECORD_FILE
        return self._record(file) if is_there(file) else None

    def versions(self, label: str) -> list[str]:
        """The identities with which a label has records, in order."""
        folders = self.path.glob(f"trials/{glob.escape(label)}/*")
        return sorted(folder.name for folder in folders if any(folder.glob(f"*/{RECORD_FILE}")))

    def labels(self) -> list[str]:
        """The labels of which there are folders, in order."""
        return sorted(folder.name for folder in self.path.glob("trials/*"))

    def read_records(
        self,
        protocol: str | None,
        warn: Callable[[str], None],
        versions: Iterable[tuple[str, str]],
    ) -> Iterator[TrialRecord]:
        """Read the records of versions, each a label and an identity, one at a time, in order.

        Only those made under the protocol of that hash (None: under most records'). Those that
        cannot be read are left out, and ``warn`` gets a line about each.
        """
        files = [file for version in versions for file in self._record_files(*version)]
        protocol = protocol or self._commonest_protocol(files)
        for file in files:
            try:
                record = self._record(file, protocol)
            except UnreadableError as error:
                warn(f"{file} is left out: {error}")
            else:
                yield record

    def _commonest_protocol(self, files: Iterable[Path]) -> str | None:
        found: Counter[str] = Counter()
        for file in files:
            with suppress(UnreadableError):
                found[self._record(file).protocol] += 1
        return found.most_common(1)[0][0] if found else None

    def _record_files(self, label: str, identity: str) -> list[Path]:
        folder = self.path / "trials" / label / identity
        files = (trial / RECORD_FILE for trial in folder.glob("seed-*"))
        return sorted(filter(is_there, files), key=_seed)

    def start_trial(self, key: TrialKey, *, keep: bool) -> None:
        """Make a trial's folder, without a record, and empty unless an attempt is continued."""
        folder = self.trial_directory(key)
        with _disk_faults(folder):
            if folder.is_symlink() and not keep:
                # What it leads to is nobody's to empty.
                folder.unlink()
            folder.mkdir(parents=True, exist_ok=True)
            for path in [*folder.iterdir()]:
                if path.name == RECORD_FILE or not keep:
                    remove(path)

    def remove_obstacles(self, key: TrialKey) -> list[Path]:
        """Remove what stands in the place of a trial's history or log and is no ordinary file."""
        places = [self.trial_directory(key) / name for name in APPENDED_FILES]
        obstacles = [place for place in places if is_there(place) and not place.is_file()]
        for obstacle in obstacles:
            with _disk_faults(obstacle):
                remove(obstacle)
        return obstacles

    def temporary_files(self) -> list[Path]:
        """What is being written, or was half written when a kill came."""
        return [*self.path.glob(".*.tmp"), *self.path.glob("trials/*/*/seed-*/.*.tmp")]

    def remove_temporary_files(self) -> None:
        """Remove what kills have left; only for who holds the directory's lock."""
        with _disk_faults(self.path):
            for left_by_a_kill in self.temporary_files():
                remove(left_by_a_kill)

    def write_history(self, key: TrialKey, epochs: Sequence[EpochRecord]) -> None:
        """Write a trial's history anew."""
        lines = "".join(epoch.model_dump_json() + "\n" for epoch in epochs)
        file = self.trial_directory(key) / HISTORY_FILE
        with _disk_faults(file):
            write_atomically(file, lines.encode("utf-8"))

    def append_epoch(self, key: TrialKey, epoch: EpochRecord) -> None:
        """Add an epoch to a trial's history."""
        file = self.trial_directory(key) / HISTORY_FILE
        with _disk_faults(file), file.open("a", encoding="utf-8") as lines:
            lines.write(epoch.model_dump_json() + "\n")

    def _record(self, file: Path, protocol: str | None = None) -> TrialRecord:
        """Read a record, of that protocol if one is given; raises UnreadableError."""
        record = _read(file, TrialRecord)
        if self.trial_directory(record.key) != file.parent:
            other = in_a_line(f"{record.key}, version {record.identity}")
            raise UnreadableError(f"it is the record of another trial ({other})")
        if protocol is not None and record.protocol != protocol:
            raise UnreadableError("it was made under another protocol")
        _refuse_nonsense(fault_in_record(record))
        return record.lying_in(file.parent)

    def _write(self, file: Path, data: bytes) -> None:
        if file.is_dir():
            raise StoreError(f"{file} is a folder, not a file; remove it, or give another --out")
        with _disk_faults(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, data)


@contextmanager
def _disk_faults(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(write_fault(path, error)) from error


def _refuse_nonsense(fault: str | None) -> None:
    if fault is not None:
        raise UnreadableError(f"it makes no sense: {fault}")


def _read(file: Path, content_type: type[Content]) -> Content:
    """Read a sealed file; raises UnreadableError where it is not as it was written."""
    text = _unsealed(read_bounded(file, LARGEST_FILE_BYTES))
    try:
        return content_type.model_validate_json(text)
    except ValidationError as error:
        _refuse_newer(parse_json(text))
        raise UnreadableError(_first_fault(error)) from error


def _sealed(text: bytes) -> bytes:
    """A JSON object with the checksum of its text put first in it."""
    checksum = hashlib.sha256(text).hexdigest().encode()
    return b'{"checksum":"%s",%s\n' % (checksum, text.removeprefix(b"{"))


def _unsealed(data: bytes) -> bytes:
    """The text that was sealed; raises UnreadableError where it has been changed since."""
    found = SEAL.match(data)
    if found is not None:
        text = b"{" + data[found.end() :].removesuffix(b"\n")
        if hashlib.sha256(text).hexdigest().encode() == found[1]:
            return text
    content = parse_json(data)
    if not isinstance(content, dict):
        raise UnreadableError("it is damaged: not a JSON object")
    _refuse_newer(content)
    raise UnreadableError("it was altered: its checksum does not match")


def _refuse_newer(content: dict[str, Any]) -> None:
    schema = content.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise UnreadableError(
            f"it was written by a newer version (schema {schema}, this one reads up to {SCHEMA})"
        )


def _seed(file: Path) -> int:
    seed = file.parent.name.removeprefix("seed-")
    return int(seed) if seed.isdecimal() else -1


def _first_fault(error: ValidationError) -> str:
    detail = error.errors()[0]
    return in_a_line(f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}")
