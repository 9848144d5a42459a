"""Plain text tables, laid out alike wherever one is printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tabulate

from benchmark.printable import printable_line

# tabulate would make every column two wider than its header; it reads this at each call.
tabulate.MIN_PADDING = 0

# A name is folded after these.
SEPARATORS = "_-./@ "
NARROWEST_PROSE = 20


def lay_out(
    rows: Iterable[Sequence[Any]],
    headers: Sequence[str],
    *,
    right: Iterable[int] = (),
    format: str = "simple",
    folded: Mapping[int, int] | None = None,
) -> str:
    """Lay cells out as they are written; columns numbered in ``right`` are aligned to the right.

    Those numbered in ``folded`` are folded to so many characters. Line feeds in a cell are escaped,
    so that no part of it can be taken for a row.
    """
    to_the_right = set(right)
    alignment = ["right" if i in to_the_right else "left" for i in range(len(headers))]
    widths = folded or {}
    return tabulate.tabulate(
        [
            [
                fold(cell, widths[i]) if i in widths else cell
                for i, cell in enumerate(map(_as_line, row))
            ]
            for row in rows
        ],
        headers,
        tablefmt=format,
        disable_numparse=True,
        colalign=alignment,
    )


def lay_out_prose(rows: Sequence[Sequence[str]], headers: Sequence[str], width: int) -> str:
    """Lay cells out of which the last of each row is prose, folded to keep within ``width``."""
    last = len(headers) - 1
    longest = [max(len(row[column]) for row in [*rows, headers]) for column in range(last)]
    room = width - sum(longest) - len("  ") * last
    return lay_out(rows, headers, folded={last: max(room, NARROWEST_PROSE)})


def _as_line(cell: Any) -> Any:
    return printable_line(cell).replace("\t", " ") if isinstance(cell, str) else cell


def fold(name: str, width: int) -> str:
    """Fold a name into lines of at most ``width`` characters, at its separators where it can be.

    No line has a single character, unless the width or the name leaves no choice; of the ways that
    are left, that with the fewest lines, and of those the most even one.
    """
    # The best way to fold what comes before each place, as its cost and its lines.
    best: list[tuple[_Cost, list[str]]] = [((0, 0, 0, 0), [])]
    for end in range(1, len(name) + 1):
        ways = [_with_line(*best[start], name, start, end) for start in _starts(end, width)]
        best.append(min(ways))
    return "\n".join(best[-1][1])


# Lines of a single character, folds within words, lines, and how uneven they are.
_Cost = tuple[int, int, int, int]


def _starts(end: int, width: int) -> range:
    return range(max(end - max(width, 1), 0), end)


def _with_line(
    cost: _Cost, lines: list[str], name: str, start: int, end: int
) -> tuple[_Cost, list[str]]:
    """The lines, and one more with the part of the name from ``start`` to ``end``."""
    singles, torn, count, unevenness = cost
    line = name[start:end]
    is_single = sum(character not in SEPARATORS for character in line) < 2
    is_torn = end < len(name) and name[end - 1] not in SEPARATORS
    # For a number of lines, the sum of the squares is least where they are equally long.
    cost = singles + is_single, torn + is_torn, count + 1, unevenness + len(line) ** 2
    return cost, [*lines, line]
