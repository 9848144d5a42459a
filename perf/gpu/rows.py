"""Rows: printed and on disk the moment they are there."""

from __future__ import annotations

import json
import os
import statistics
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmark.files import write_atomically

Row = dict[str, Any]

ROWS = "rows.jsonl"
TABLE = "table.md"
ERRORS = "errors.txt"

TABLE_HEAD = "| part | what | status | figures | reason |\n|---|---|---|---|---|"


def make_row(
    part: str,
    what: str,
    status: str,
    figures: dict[str, Any] | None = None,
    reason: str | None = None,
) -> Row:
    """A row; ``status`` is measured, failed or skipped."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    row = {"part": part, "what": what, "status": status, "reason": reason}
    return {**row, "figures": figures or {}, "at": at}


class Results:
    """The rows in a folder: one JSON line each, and all of them as a table in Markdown.

    Rows are added to those of earlier commands there: nothing that was measured is lost.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._earlier = _earlier_rows(folder / ROWS)
        self.rows: list[Row] = []
        print(TABLE_HEAD, flush=True)

    def add(self, row: Row, traceback: str | None = None) -> None:
        """Write a row and print it."""
        self.rows.append(row)
        _append(self._folder / ROWS, json.dumps(row) + "\n")
        if traceback:
            _append(self._folder / ERRORS, f"{row['part']}: {row['what']}\n{traceback}\n")
        table = table_of([*self._earlier, *self.rows])
        write_atomically(self._folder / TABLE, table.encode())
        print(table_row(row), flush=True)

    @property
    def has_failures(self) -> bool:
        """Whether a row of this command failed."""
        return any(row["status"] == "failed" for row in self.rows)


def table_of(rows: list[Row]) -> str:
    """The rows as a table in Markdown."""
    return "\n".join([TABLE_HEAD, *map(table_row, rows)]) + "\n"


def table_row(row: Row) -> str:
    """A row of that table, on one line."""
    figures = ", ".join(f"{name} {shown(value)}" for name, value in row["figures"].items())
    cells = (row["part"], row["what"], row["status"], figures or "-", row["reason"] or "-")
    return f"| {' | '.join(_in_a_cell(cell) for cell in cells)} |"


def shown(value: Any) -> str:
    """A figure in four digits; of several their median, lowest and highest."""
    if isinstance(value, list) and value and all(isinstance(one, int | float) for one in value):
        low, high = shown(min(value)), shown(max(value))
        return f"{shown(statistics.median(value))} ({low} to {high})"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _in_a_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _append(file: Path, text: str) -> None:
    with file.open("a", encoding="utf-8") as written:
        written.write(text)
        written.flush()
        os.fsync(written.fileno())


def _earlier_rows(file: Path) -> list[Row]:
    """The rows of earlier commands; one that was cut off half way is taken off the file.

    Raises ValueError where the others are none.
    """
    if not file.exists():
        return []
    whole, end, _ = file.read_text(encoding="utf-8").rpartition("\n")
    try:
        rows = [json.loads(line) for line in whole.splitlines()]
    except ValueError as error:
        raise ValueError(f"{file.name} is not what an earlier command has left there") from error
    write_atomically(file, (whole + end).encode())
    return rows
