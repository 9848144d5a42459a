"""A plain text table kept within so many characters: a column folded, or laid out in parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmark.report.text_table import lay_out

NARROWEST_NAME = 12
BETWEEN_COLUMNS = len("  ")


def lay_out_within(
    width: int, rows: Sequence[Sequence[str]], headers: Sequence[str], right: Sequence[int]
) -> str:
    """Lay cells out within ``width`` characters; columns numbered in ``right`` are figures.

    If the table is too wide, the column with the longest words is folded; if that is not enough,
    there are several tables, one below the other, each of which begins with the first column.
    """
    text = lay_out(rows, headers, right=right)
    excess = _width(text) - width
    if excess <= 0 or not rows:
        return text
    widths = [max(len(row[column]) for row in rows) for column in range(len(headers))]
    words = [column for column in range(len(headers)) if column not in right]
    longest = max(words, key=lambda column: widths[column], default=None)
    if longest is not None:
        folded = {longest: max(widths[longest] - excess, NARROWEST_NAME)}
        text = lay_out(rows, headers, right=right, folded=folded)
        if _width(text) <= width:
            return text
    parts = _parts(rows, headers, width)
    return "\n\n".join(_part(columns, rows, headers, right, width) for columns in parts)


def _parts(
    rows: Sequence[Sequence[str]], headers: Sequence[str], width: int
) -> Iterator[list[int]]:
    """The columns of each table, as many as it has room for."""
    widths = [
        max(map(len, [*header.splitlines(), *(row[column] for row in rows)]), default=0)
        for column, header in enumerate(headers)
    ]
    first = min(widths[0], max(width // 3, NARROWEST_NAME))
    columns, used = [0], first
    for column in range(1, len(headers)):
        needed = BETWEEN_COLUMNS + widths[column]
        if used + needed > width and len(columns) > 1:
            yield columns
            columns, used = [0], first
        columns.append(column)
        used += needed
    yield columns


def _part(
    columns: Sequence[int],
    rows: Sequence[Sequence[str]],
    headers: Sequence[str],
    right: Sequence[int],
    width: int,
) -> str:
    return lay_out(
        [[row[column] for column in columns] for row in rows],
        [headers[column] for column in columns],
        right=[place for place, column in enumerate(columns) if column in right],
        folded={0: max(width // 3, NARROWEST_NAME)},
    )


def _width(text: str) -> int:
    return max(map(len, text.splitlines()), default=0)
