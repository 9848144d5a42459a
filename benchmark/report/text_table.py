"""Plain text tables, laid out alike wherever one is printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import tabulate

from benchmark.printable import printable_line

# tabulate would make every column two wider than its header; it reads this at each call.
tabulate.MIN_PADDING = 0


def lay_out(
    rows: Iterable[Sequence[Any]],
    headers: Sequence[str],
    *,
    right: Iterable[int] = (),
    format: str = "simple",
    first_width: int | None = None,
) -> str:
    """Lay cells out as they are written; columns numbered in ``right`` are aligned to the right.

    Where ``first_width`` is given, the first column is folded to that many characters. Line feeds
    in a cell are escaped, so that no part of it can be taken for a row.
    """
    to_the_right = set(right)
    alignment = ["right" if i in to_the_right else "left" for i in range(len(headers))]
    return tabulate.tabulate(
        [[_as_line(cell) for cell in row] for row in rows],
        headers,
        tablefmt=format,
        disable_numparse=True,
        colalign=alignment,
        maxcolwidths=None if first_width is None else [first_width] + [None] * (len(headers) - 1),
    )


def _as_line(cell: Any) -> Any:
    return printable_line(cell).replace("\t", " ") if isinstance(cell, str) else cell
