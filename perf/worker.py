"""A contender's process: ``python -m perf.worker NAME WORKLOAD``, started by ``perf.processes``.

A name is that of a module in ``perf.contenders``, or ``choices:`` and one of those.
"""

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
    module, *choice = name.split(":")
    contender = importlib.import_module(f"perf.contenders.{module}")
    contender.contend(Workload.from_json(text), Turns(sys.stdin, replies), *choice)


if __name__ == "__main__":
    main()
