"""A contender's process: ``python -m perf.worker NAME WORKLOAD``, started by ``perf.processes``."""

from __future__ import annotations

import importlib
import os
import sys

from perf.turns import Turns
from perf.workload import Workload


def main() -> None:
    """Train blocks until no more are wanted."""
    name, text = sys.argv[1:]
    # Libraries print what they like; the line to the parent has to stay clean of it.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    contender = importlib.import_module(f"perf.contenders.{name}")
    contender.contend(Workload.from_json(text), Turns(sys.stdin, replies))


if __name__ == "__main__":
    main()
