"""A run's table as somebody asks for it: which columns, in which order and format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.analysis import summarize
from benchmark.catalog import Catalog
from benchmark.entries import Column
from benchmark.errors import BenchmarkError
from benchmark.printable import printable
from benchmark.records import TrialRecord
from benchmark.report.caption import Coverage, write_caption
from benchmark.report.formats import FORMATS, FORMATS_FOR_PROGRAMS
from benchmark.report.table import DEFAULT_WIDTH, Table, render, row_values, tabulate
from benchmark.spelling import did_you_mean
from benchmark.store import RunDescription, Version


@dataclass(frozen=True)
class RunTable:
    """The table of a run: ``str()`` is what the command line prints, ``len()`` counts its rows."""

    table: Table
    format: str
    caption: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Each row's values by their column's name, as the format ``json`` has them."""
        return [row_values(self.table, row) for row in self.table.rows]

    def text(self, width: int = DEFAULT_WIDTH) -> str:
        """The table in its format, ``simple`` within ``width`` characters."""
        return printable(render(self.table, self.format, self.caption, width))

    def __len__(self) -> int:
        return len(self.table.rows)

    def __str__(self) -> str:
        return self.text()

    # As an interpreter shows what a line of it gave.
    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The table as Jupyter shows it."""
        return printable(render(self.table, "html", self.caption))


@dataclass(frozen=True)
class TableView:
    """How a table is shown: its format, its columns, and the one its rows are sorted by."""

    format: str
    columns: tuple[Column, ...]
    sort: Column | None

    @classmethod
    def choose(
        cls, catalog: Catalog, format: str, columns: Sequence[str] | None, sort: str | None
    ) -> TableView:
        """Look the columns up, by default those that the format is for.

        Raises UnknownNameError for a column, BenchmarkError for a format that there is not.
        """
        if format not in FORMATS:
            known = f" (there are: {', '.join(FORMATS)})"
            raise BenchmarkError(
                f"no such format {format!r}{did_you_mean(format, FORMATS) or known}"
            )
        sort_column = None if sort is None else catalog.columns[sort].entry
        return cls(format, tuple(_columns(catalog, format, columns)), sort_column)

    def table(
        self,
        records: Iterable[TrialRecord],
        description: RunDescription | None,
        versions: Sequence[Version],
        warn: Callable[[str], None],
        note: str = "",
    ) -> RunTable:
        """Make the table of records, with a caption if it is known what was run.

        They are to come in the order of ``versions``; no more than one's are held at a time.
        """
        coverage = Coverage()
        planned = {
            (variant.model, variant.identity): variant
            for variant in (description.variants if description else ())
        }
        keys = [(version.label, version.identity) for version in versions]
        distinctions = dict(zip(keys, (version.distinction for version in versions), strict=True))
        shown = [planned[key] for key in keys if key in planned]
        summaries = coverage.noting(summarize(records, shown, warn, distinctions))
        table = tabulate(summaries, filter(None, [*self.columns, self.sort]), warn)
        if self.sort is not None and self.sort in table.columns:
            table = table.sorted_by(self.sort)
        caption = write_caption(description, coverage) if description else ""
        caption = "\n".join(filter(None, [caption, note]))
        return RunTable(table.with_columns(self.columns), self.format, caption)


def _columns(catalog: Catalog, format: str, names: Sequence[str] | None) -> list[Column]:
    if names is not None:
        return [catalog.columns[name].entry for name in _checked(names)]
    every = [offer.entry for offer in catalog.columns.unchosen]
    if format in FORMATS_FOR_PROGRAMS:
        return every
    return [column for column in every if column.shown]


def _checked(names: Sequence[str]) -> Sequence[str]:
    if isinstance(names, str):
        raise BenchmarkError(f"columns: should be a list of names, got {names!r}")
    if not names:
        raise BenchmarkError("columns: should name at least one")
    for name in names:
        if names.count(name) > 1:
            raise BenchmarkError(f"columns: names {name!r} twice")
    return names
