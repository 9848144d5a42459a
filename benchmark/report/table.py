"""The table, for people and for programs."""

from __future__ import annotations

import csv
import html
import io
import itertools
import json
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from benchmark.entries import Column
from benchmark.errors import PLUGIN_FAULTS, one_line
from benchmark.printable import printable_line
from benchmark.report.text_table import lay_out
from benchmark.report.wide_table import lay_out_within
from benchmark.summaries import NO_FIGURE, ModelSummary, RankRange

DEFAULT_WIDTH = 80
# With these a formula begins in a spreadsheet; the latter four are full-width forms.
FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NUMBERS = re.compile(r"([-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?( |$))+")


@dataclass(frozen=True)
class Cell:
    """A figure, as JSON has it and as people read it."""

    value: Any
    text: str


class Heading(Protocol):
    """What a table needs of a column: its name, for programs, and its header, for people."""

    @property
    def name(self) -> str:
        """The key of its cells."""

    @property
    def header(self) -> str:
        """What stands above it, in one line or two."""


@dataclass(frozen=True)
class Table:
    """Rows of cells, each by its column's name."""

    columns: tuple[Heading, ...]
    rows: tuple[Mapping[str, Cell], ...]

    def sorted_by(self, column: Column) -> Table:
        """The rows ordered by a column, the best first, those without a figure last."""

        def figure(row: Mapping[str, Cell]) -> Any:
            return row[column.name].value

        known = [row for row in self.rows if figure(row) is not None]
        unknown = [row for row in self.rows if figure(row) is None]
        known.sort(key=figure, reverse=column.better == "higher")
        return replace(self, rows=(*known, *unknown))

    def headed(self, headers: Mapping[str, str]) -> Table:
        """The same, with other headers for the columns of those names."""
        columns = (
            replace(column, header=headers[column.name])
            if isinstance(column, Column) and column.name in headers
            else column
            for column in self.columns
        )
        return replace(self, columns=tuple(columns))

    def with_columns(self, columns: Sequence[Heading]) -> Table:
        """Those of the columns that it has, in that order."""
        return replace(self, columns=tuple(column for column in columns if column in self.columns))


def tabulate(
    summaries: Iterable[ModelSummary],
    columns: Iterable[Column],
    warn: Callable[[str], None],
    ranks: Callable[[], Sequence[RankRange | None]] = tuple,
) -> Table:
    """Work out every cell, model by model: no more than one model's records are needed at a time.

    ``ranks`` gives each row's when all summaries have passed. A column that raises for one of the
    models is left out, and ``warn`` gets a line that says why.
    """
    wanted = [*dict.fromkeys(columns)]
    sound = dict.fromkeys(wanted)
    rows: list[dict[str, Cell]] = []
    without_records = []
    for summary in summaries:
        rows.append({})
        _fill(rows[-1], summary, [c for c in sound if not c.needs_rank], sound, warn)
        without_records.append(replace(summary, records=()))
    for row, summary, rank in itertools.zip_longest(rows, without_records, ranks()):
        ranked = replace(summary, rank=rank)
        _fill(row, ranked, [c for c in sound if c.needs_rank], sound, warn)
    return Table(tuple(sound), tuple(rows))


def _fill(
    row: dict[str, Cell],
    summary: ModelSummary,
    columns: Iterable[Column],
    sound: dict[Column, None],
    warn: Callable[[str], None],
) -> None:
    """Work out some cells of a row; a column that raises is no longer among the sound ones."""
    for column in columns:
        try:
            row[column.name] = _cell(summary, column)
        except PLUGIN_FAULTS as error:
            del sound[column]
            warn(f"column {column.name!r} is left out: {one_line(error)}")


def render(
    table: Table, format: str, caption: str = "", width: int = DEFAULT_WIDTH, verdict: str = ""
) -> str:
    """Write the table, where the format has room for it under its caption and above its verdict.

    ``simple`` is kept within ``width`` characters.
    """
    if format == "json":
        return json.dumps([row_values(table, row) for row in table.rows], indent=1)
    if format == "csv":
        return _csv(table)
    parts = [prose(caption, format, width), _for_people(table, format, width)]
    return between(format).join(filter(None, [*parts, prose(verdict, format, width)]))


def _cell(summary: ModelSummary, column: Column) -> Cell:
    value = column.value(summary)
    json.dumps(plain(value))
    return Cell(plain(value), _text(value) if column.text is None else column.text(summary))


def row_values(table: Table, row: Mapping[str, Cell]) -> dict[str, Any]:
    """A row's values by their column's name, as JSON has them."""
    return {column.name: row[column.name].value for column in table.columns}


def plain(value: Any) -> Any:
    """The value as JSON has it, which has no word for a number that is none."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv(table: Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in table.columns])
    for row in table.rows:
        writer.writerow([_harmless(_flat(value)) for value in row_values(table, row).values()])
    return text.getvalue().rstrip("\n")


def _harmless(value: Any) -> Any:
    """The value, written so that a spreadsheet takes no text for a formula, or for several rows.

    As OWASP advises ("CSV injection"), what begins like a formula is put behind a single quotation
    mark. Numbers are no formulas.
    """
    if not isinstance(value, str):
        return value
    line = printable_line(value)
    is_formula = line.lstrip().startswith(FORMULA_STARTS) and not _NUMBERS.fullmatch(line)
    return f"'{line}" if is_formula or line.startswith("\t") else line


def _flat(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _for_people(table: Table, format: str, width: int) -> str:
    headers = [column.header for column in table.columns]
    if format != "simple":
        headers = [header.replace("\n", " ") for header in headers]
    cells = [[row[column.name] for column in table.columns] for row in table.rows]
    rows = [[cell.text for cell in row] for row in cells]
    numeric = [
        index for index in range(len(headers)) if any(_is_number(row[index].value) for row in cells)
    ]
    if format == "simple":
        return lay_out_within(width, rows, headers, numeric)
    return lay_out(rows, headers, right=numeric, format=format)


def _text(value: Any) -> str:
    if value is None:
        return NO_FIGURE
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(_flat(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def prose(text: str, format: str, width: int) -> str:
    """Lines of prose as a format has them."""
    if not text:
        return ""
    lines = text.splitlines()
    if format == "html":
        return "\n".join(f"<p>{html.escape(line)}</p>" for line in lines)
    if format == "latex":
        return "\n".join(f"% {line}" for line in lines)
    if format == "github":
        # In Markdown, lines without one between them are one paragraph, and * begins a list.
        return "\n\n".join(re.sub(r"^\*", r"\\*", line) for line in lines)
    return "\n".join(textwrap.fill(line, width) for line in lines)


def between(format: str) -> str:
    """What stands between tables and prose."""
    return "\n" if format in ("html", "latex") else "\n\n"
