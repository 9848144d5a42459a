"""The table, for people and for programs."""

from __future__ import annotations

import csv
import html
import io
import json
import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from benchmark.analysis.summary import ModelSummary
from benchmark.entries import Column
from benchmark.errors import one_line
from benchmark.plugin import PLUGIN_FAULTS
from benchmark.report.text_table import lay_out

DEFAULT_WIDTH = 80
NARROWEST_NAME = 12
NO_FIGURE = "-"


def render(
    summaries: Sequence[ModelSummary],
    columns: Sequence[Column],
    format: str,
    caption: str = "",
    width: int = DEFAULT_WIDTH,
) -> str:
    """Write the table, under its caption where the format has room for one.

    ``simple`` is kept within ``width`` characters by folding the first column.
    """
    if format == "json":
        return json.dumps([_row(summary, columns) for summary in summaries], indent=1)
    if format == "csv":
        return _csv(summaries, columns)
    body = _for_people(summaries, columns, format, width)
    return _captioned(body, caption, format, width)


def sound_columns(
    columns: Sequence[Column], summaries: Sequence[ModelSummary], warn: Callable[[str], None]
) -> list[Column]:
    """Leave out the columns that raise for one of the rows; ``warn`` is told why."""
    sound = []
    for column in columns:
        try:
            for summary in summaries:
                json.dumps(_plain(column.value(summary)))
                _text(summary, column)
        except PLUGIN_FAULTS as error:
            warn(f"column {column.name!r} is left out: {one_line(error)}")
        else:
            sound.append(column)
    return sound


def sort_summaries(summaries: Sequence[ModelSummary], column: Column) -> list[ModelSummary]:
    """Order rows by a column, the best first, rows without a figure last."""
    known = [summary for summary in summaries if column.value(summary) is not None]
    unknown = [summary for summary in summaries if column.value(summary) is None]
    return sorted(known, key=column.value, reverse=column.better == "higher") + unknown


def _row(summary: ModelSummary, columns: Sequence[Column]) -> dict[str, Any]:
    return {column.name: _plain(column.value(summary)) for column in columns}


def _plain(value: Any) -> Any:
    # JSON has no word for a number that is none.
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv(summaries: Sequence[ModelSummary], columns: Sequence[Column]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in columns])
    for summary in summaries:
        values = _row(summary, columns).values()
        writer.writerow([_flat(value) for value in values])
    return text.getvalue().rstrip("\n")


def _flat(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _for_people(
    summaries: Sequence[ModelSummary], columns: Sequence[Column], format: str, width: int
) -> str:
    headers = [column.header for column in columns]
    if format != "simple":
        headers = [header.replace("\n", " ") for header in headers]
    rows = [[_text(summary, column) for column in columns] for summary in summaries]
    numeric = [
        index
        for index, column in enumerate(columns)
        if any(_is_number(column.value(summary)) for summary in summaries)
    ]
    table = lay_out(rows, headers, right=numeric, format=format)
    excess = max(map(len, table.splitlines()), default=0) - width
    if format != "simple" or excess <= 0 or not rows:
        return table
    folded = max(max(len(row[0]) for row in rows) - excess, NARROWEST_NAME)
    return lay_out(rows, headers, right=numeric, first_width=folded)


def _text(summary: ModelSummary, column: Column) -> str:
    if column.text is not None:
        return column.text(summary)
    value = column.value(summary)
    if value is None:
        return NO_FIGURE
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(_flat(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _captioned(body: str, caption: str, format: str, width: int) -> str:
    if not caption:
        return body
    if format == "html":
        return f"<p>{html.escape(caption)}</p>\n{body}"
    if format == "latex":
        return "\n".join(f"% {line}" for line in caption.splitlines()) + f"\n{body}"
    paragraphs = [textwrap.fill(line, width) for line in caption.splitlines()]
    return "\n".join(paragraphs) + f"\n\n{body}"
