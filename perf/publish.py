"""Measure, keep what was measured, and put its tables into a page."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from perf.page import MarkersError, replace_generated
from perf.processes import WorkerError


def note(line: str) -> None:
    """Print a line for whoever waits, apart from the results."""
    print(f"perf: {line}", file=sys.stderr, flush=True)


def publish(
    wanted: argparse.Namespace,
    part: str,
    measure: Callable[[argparse.Namespace], dict[str, Any]],
    write: Callable[[Mapping[str, Any]], str],
) -> int:
    """Write what ``measure`` gives to ``wanted.out`` and its tables to ``part`` of ``wanted.page``.

    Returns the exit status: 1, with a line, where a contender fails or a file cannot be used.
    """
    try:
        # Read before the long work, which would otherwise be lost on a page without markers.
        replace_generated(wanted.page.read_text(encoding="utf-8"), part, "")
        results = measure(wanted)
    except (OSError, MarkersError, WorkerError) as error:
        note(f"error: {error}")
        return 1
    wanted.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    page = wanted.page.read_text(encoding="utf-8")
    tables = write(results)
    wanted.page.write_text(replace_generated(page, part, tables), encoding="utf-8")
    print(tables)
    return 0


def publish_simulations(
    arguments: Sequence[str] | None,
    part: str,
    page: Path,
    runs: int,
    simulate: Callable[[int], str],
) -> int:
    """Put the table that ``simulate`` makes of so many runs into ``part`` of a page.

    The command line can name other ``runs``, and another page. Returns the exit status.
    """
    parser = argparse.ArgumentParser(description=f"Simulations for docs/{page.name}.")
    parser.add_argument("--runs", type=int, default=runs, help="runs of each scenario")
    parser.add_argument("--page", type=Path, default=page)
    wanted = parser.parse_args(arguments)
    text = simulate(wanted.runs)
    found = wanted.page.read_text(encoding="utf-8")
    wanted.page.write_text(replace_generated(found, part, text), encoding="utf-8")
    print(text)
    return 0
