"""Rows beside one another: tables of differences and ratios, and sentences to quote."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.analysis import ComparedGroup, Verdict
from benchmark.printable import printable, printable_line
from benchmark.report.caption import training_text
from benchmark.report.comparison_columns import (
    ACCURACY,
    COST,
    FOR_PROGRAMS,
    TIME_TO,
    ComparisonColumn,
)
from benchmark.report.formats import FORMATS_FOR_PROGRAMS
from benchmark.report.sentences import difference_sentence
from benchmark.report.table import DEFAULT_WIDTH, Table, render, row_values


@dataclass(frozen=True)
class Comparison:
    """A comparison: ``str()`` is what the command line prints, ``len()`` counts its rows.

    Its ``groups`` are of one protocol each, unless protocols were to be mixed; ``verdicts`` are
    those of the gates, in each row.
    """

    groups: tuple[ComparedGroup, ...]
    format: str
    verdicts: tuple[Verdict, ...] = ()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Each row's figures by their name, as the format ``json`` has them."""
        table = self._for_programs()
        return [row_values(table, row) for row in table.rows]

    @property
    def sentences(self) -> list[str]:
        """What can be quoted: one for each row that is compared with another."""
        return [sentence for group in self.groups for sentence in _sentences(group)]

    def text(self, width: int = DEFAULT_WIDTH) -> str:
        """The comparison in its format, ``simple`` within ``width`` characters."""
        if self.format in FORMATS_FOR_PROGRAMS:
            return printable(render(self._for_programs(), self.format))
        return self._for_people(self.format, width)

    def __len__(self) -> int:
        return sum(len(group.rows) for group in self.groups)

    def __str__(self) -> str:
        return self.text()

    # As an interpreter shows what a line of it gave.
    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The comparison as Jupyter shows it."""
        return self._for_people("html", DEFAULT_WIDTH)

    def _for_programs(self) -> Table:
        return _table(FOR_PROGRAMS, self.groups)

    def _for_people(self, format: str, width: int) -> str:
        parts = [part for group in self.groups for part in _parts(group, format, width)]
        if self.verdicts:
            parts.append(_as_list(self.verdicts, format))
        return printable(("\n" if format in ("html", "latex") else "\n\n").join(parts))


def _table(columns: Sequence[ComparisonColumn], groups: Sequence[ComparedGroup]) -> Table:
    rows = (row for group in groups for row in group.rows)
    return Table(
        tuple(columns), tuple({column.name: column.cell(row) for column in columns} for row in rows)
    )


def _parts(group: ComparedGroup, format: str, width: int) -> Iterator[str]:
    caption = f"{training_text(group.rows[0].contender.protocol)}."
    yield render(_table(ACCURACY, [group]), format, caption, width)
    yield render(_table(COST, [group]), format, "", width)
    yield render(_table(TIME_TO, [group]), format, "", width, "\n".join(_sentences(group)))


def _sentences(group: ComparedGroup) -> Iterator[str]:
    for row in group.rows:
        if row.reference is not None and row.difference is not None:
            yield difference_sentence(row.contender.name, row.reference.name, row.difference)


def _as_list(verdicts: Sequence[Verdict], format: str) -> str:
    """A line for each, however long it is: for people, and for programs that look for one."""
    lines = [printable_line(str(verdict)) for verdict in verdicts]
    if format == "html":
        return "\n".join(["<ul>", *(f"<li>{html.escape(line)}</li>" for line in lines), "</ul>"])
    start = {"github": "- ", "latex": "% "}.get(format, "")
    return "\n".join(f"{start}{line}" for line in lines)
