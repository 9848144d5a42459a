"""Measure, keep what was measured, and put its tables into a page."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
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
