"""Rows beside one another: tables of differences and ratios, and sentences to quote."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.analysis import ComparedGroup, Verdict, protocol_differences
from benchmark.printable import printable, printable_line
from benchmark.report.comparison_captions import (
    accuracy_caption,
    cost_caption,
    time_to_caption,
)
from benchmark.report.comparison_columns import (
    COST,
    FOR_PROGRAMS,
    TIME_TO,
    ComparisonColumn,
    accuracy_columns,
)
from benchmark.report.comparison_sentences import group_sentences, judged_by
from benchmark.report.formats import FORMATS, FORMATS_FOR_PROGRAMS
from benchmark.report.methods import latex_text, methods_paragraph
from benchmark.report.run_table import checked_word
from benchmark.report.table import DEFAULT_WIDTH, Table, between, prose, render, row_values


@dataclass(frozen=True)
class Comparison:
    """A comparison: ``str()`` is what the command line prints, ``len()`` counts its rows.

    Its ``groups`` are of one protocol each, unless protocols were to be mixed; ``verdicts`` are
    those of the gates, in each row.
    """

    groups: tuple[ComparedGroup, ...]
    format: str
    verdicts: tuple[Verdict, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a format that there is not, with a BenchmarkError."""
        checked_word("format", self.format, FORMATS)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Each row's figures by their name, as the format ``json`` has them."""
        table = _table(FOR_PROGRAMS, self.groups)
        return [row_values(table, row) for row in table.rows]

    @property
    def sentences(self) -> list[str]:
        """What can be quoted: one for each row that is compared, and one about the Pareto front."""
        return [sentence for group in self.groups for sentence in group_sentences(group)]

    @property
    def methods(self) -> str:
        """A paragraph for the methods section of a paper, for each table; LaTeX in that format."""
        text = "\n\n".join(map(methods_paragraph, self.groups))
        return printable(latex_text(text) if self.format == "latex" else text)

    def text(self, width: int = DEFAULT_WIDTH) -> str:
        """The comparison in its format, ``simple`` within ``width`` characters."""
        if self.format in FORMATS_FOR_PROGRAMS:
            return printable(render(_table(FOR_PROGRAMS, self.groups), self.format))
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

    def _for_people(self, format: str, width: int) -> str:
        parts = [prose(self._heading(), format, width)]
        for group in self.groups:
            parts += _parts(group, format, width)
        parts.append(_as_list(self.verdicts, format))
        return printable(between(format).join(filter(None, parts)))

    def _heading(self) -> str:
        """What differs where each protocol has tables of its own."""
        if len(self.groups) == 1:
            return ""
        differences = protocol_differences([group.protocol for group in self.groups])
        return (
            f"The rows come from {len(self.groups)} protocols and are compared only within each: "
            f"{', '.join(differences)} (--allow-mixed shows them side by side)."
        )


def _table(columns: Sequence[ComparisonColumn], groups: Sequence[ComparedGroup]) -> Table:
    rows = (row for group in groups for row in group.rows)
    return Table(
        tuple(columns), tuple({column.name: column.cell(row) for column in columns} for row in rows)
    )


def _parts(group: ComparedGroup, format: str, width: int) -> Iterator[str]:
    columns = accuracy_columns(judged_by(group))
    yield render(_table(columns, [group]), format, accuracy_caption(group), width)
    yield render(_table(COST, [group]), format, cost_caption(group), width)
    if group.accuracy is not None:
        yield render(_table(TIME_TO, [group]), format, time_to_caption(group), width)
    yield prose("\n".join(group_sentences(group)), format, width)


def _as_list(verdicts: Sequence[Verdict], format: str) -> str:
    """A line for each, however long it is: for people, and for programs that look for one."""
    if not verdicts:
        return ""
    lines = [printable_line(str(verdict)) for verdict in verdicts]
    if format == "html":
        return "\n".join(["<ul>", *(f"<li>{html.escape(line)}</li>" for line in lines), "</ul>"])
    start = {"github": "- ", "latex": "% "}.get(format, "")
    return "\n".join(f"{start}{line}" for line in lines)
