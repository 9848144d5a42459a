"""Which rows are compared: runs and rows of them, as they are written on the command line.

``RUN`` is a run's directory, ``RUN:label`` and ``RUN:label@identity`` are rows of it. What there is
as a folder is a folder, whatever colons its path has.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from benchmark.analysis import Contender, contender_of, look_confidence, summarize
from benchmark.errors import StoreError
from benchmark.files import UnreadableError, is_there, usable_folder
from benchmark.specs import TrialKey
from benchmark.spelling import did_you_mean
from benchmark.store import (
    RUN_FILE,
    Records,
    RunDescription,
    RunDirectory,
    Version,
    Versions,
    version_of,
)


@dataclass(frozen=True)
class Source:
    """A run from which rows are taken; of ``trials`` alone where they are given."""

    directory: RunDirectory
    description: RunDescription
    trials: Set[TrialKey] | None = None

    @classmethod
    def open(cls, path: Path) -> Source:
        """The run in a directory; raises StoreError where there is none, or a damaged one."""
        directory = RunDirectory(path)
        try:
            return cls(directory, directory.read_description())
        except UnreadableError as error:
            raise StoreError(
                f"{path / RUN_FILE}: {error}; 'benchmark run' with the run's config writes it "
                "anew, and trains nothing twice"
            ) from error
        except StoreError as error:
            raise StoreError(f"{error}{_nearest_run(path)}") from error

    @cached_property
    def path(self) -> Path:
        """The run's directory, the same however it was written."""
        return self.directory.path.resolve()

    @cached_property
    def versions(self) -> Versions:
        """What there is of its variants."""
        return Versions(self.directory, self.description)

    def present(self) -> list[Row]:
        """What each label stands for now."""
        if self.trials is not None:
            return [Row(self, version_of(variant)) for variant in self.description.present]
        return [Row(self, version) for version in self.versions.present()]

    def named(self, texts: Sequence[str], origin: str) -> list[Row]:
        """The rows that texts name; raises StoreError, ``origin`` before the text."""
        return [Row(self, version) for version in self.versions.named(texts, origin)]

    def contenders(
        self, versions: Sequence[Version], warn: Callable[[str], None]
    ) -> list[Contender]:
        """What is needed of these versions' records, which are read one version at a time."""
        keys = [(version.label, version.identity) for version in versions]
        distinctions = {key: item.distinction for key, item in zip(keys, versions, strict=True)}
        planned = {(item.model, item.identity): item for item in self.description.variants}
        records = Records(self.directory, self.description, versions, warn, self.trials)
        summaries = summarize(
            records, [planned[key] for key in keys if key in planned], warn, distinctions
        )
        protocol = self.description.protocol
        confidence = look_confidence(len(self.description.looks))
        controls = {item.model: item.control_of for item in self.description.variants}
        return [
            contender_of(summary, self.path, protocol, confidence, controls.get(summary.model))
            for summary in summaries
        ]


@dataclass(frozen=True)
class Row:
    """One version of a label in one run."""

    source: Source
    version: Version

    @property
    def key(self) -> tuple[Path, str, str]:
        """What tells it from all others."""
        return self.source.path, self.version.label, self.version.identity


@dataclass(frozen=True)
class Argument:
    """A run, and the row of it that was named, if one was."""

    source: Source
    label: str | None = None

    @classmethod
    def read(cls, written: str, origin: str = "") -> Argument:
        """Read ``RUN``, ``RUN:label`` or ``RUN:label@identity``; raises BenchmarkError."""
        path = usable_folder(written, f"{origin}{written}" or "RUN")
        head, _, label = written.rpartition(":")
        if path.is_dir() or not head or not label:
            return cls(Source.open(path))
        return cls(Source.open(usable_folder(head, f"{origin}{written}")), label)

    def rows(self) -> list[Row]:
        """The row that is named, or what each label of the run stands for now."""
        if self.label is None:
            return self.source.present()
        return self.source.named([self.label], f"{self.source.directory.path}:")


def rows_of(arguments: Sequence[Argument], models: Sequence[str] | None = None) -> list[Row]:
    """The rows of all arguments, each once; of whole runs those that ``models`` name, if any.

    Raises StoreError for a name that none of the runs has.
    """
    whole = [argument.source for argument in arguments if argument.label is None]
    chosen = [row for text in models or () for row in named_in(whole, text, "-m ")]
    found: list[Row] = []
    for argument in arguments:
        if argument.label is None and models is not None:
            found += [row for row in chosen if row.source is argument.source]
        else:
            found += argument.rows()
    return each_once(found)


def named_in(sources: Sequence[Source], text: str, origin: str) -> list[Row]:
    """The rows that a text names in any of the runs; raises StoreError where it names none."""
    found: list[Row] = []
    fault: StoreError | None = None
    for source in sources:
        try:
            found += source.named([text], origin)
        except StoreError as error:
            fault = fault or error
    if fault is not None and not found:
        raise fault
    return found


def each_once(rows: Iterable[Row]) -> list[Row]:
    """The same rows, none of them twice, in their order."""
    return [*{row.key: row for row in reversed([*rows])}.values()][::-1]


def read_contenders(
    rows: Sequence[Row], warn: Callable[[str], None]
) -> dict[tuple[Path, str, str], list[Contender]]:
    """The contenders of each row, by its key, under names of which none is another's.

    A row is one, unless its records are of several networks. It is called as in the table; where
    rows of several runs would have one name, the run's is before it, as in ``RUN:label``.
    """
    by_run: dict[Path, list[Row]] = {}
    for row in rows:
        by_run.setdefault(row.source.path, []).append(row)
    found: dict[tuple[Path, str, str], list[Contender]] = {row.key: [] for row in rows}
    for path, of_run in by_run.items():
        source = of_run[0].source
        for contender in source.contenders([row.version for row in of_run], warn):
            found[path, contender.label, contender.variant.identity].append(contender)
    counts = Counter(contender.name for group in found.values() for contender in group)
    run_names = short_names([*by_run])
    return {
        key: [
            replace(item, name=f"{run_names[item.run]}:{item.name}")
            if counts[item.name] > 1
            else item
            for item in group
        ]
        for key, group in found.items()
    }


def short_names(paths: Sequence[Path]) -> Mapping[Path, str]:
    """Of each path the part in which it differs from the others."""
    parts = [path.parts for path in paths]
    start = _alike_from_the_start(parts)
    end = _alike_from_the_start([item[start:][::-1] for item in parts])
    return {
        path: os.path.join("", *item[start : len(item) - end]) or path.name
        for path, item in zip(paths, parts, strict=True)
    }


def _alike_from_the_start(sequences: Sequence[Sequence[str]]) -> int:
    """How many items all have in common before they differ."""
    alike = itertools.takewhile(lambda items: len({*items}) == 1, zip(*sequences, strict=False))
    return sum(1 for _ in alike)


def _nearest_run(path: Path) -> str:
    """A hint at a run of a similar name in the same folder, if nothing is at ``path``."""
    if is_there(path) or not path.parent.is_dir():
        return ""
    runs = [item.name for item in path.parent.iterdir() if is_there(item / RUN_FILE)]
    return did_you_mean(path.name, runs)
