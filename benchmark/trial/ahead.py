"""What a process can do before it is told which trial it is for."""

from __future__ import annotations

import importlib

from benchmark.catalog import core_identity

# PyTorch imports the second itself, for a second or two, when a trial counts a model's operators.
NEEDED = ("benchmark.trial.running", "torch._dynamo")


def get_ready() -> None:
    """Import what every trial needs, which takes seconds; no plugin is loaded, and no GPU used.

    A trial that comes later is refused if it began with another core than is imported now.
    """
    for module in NEEDED:
        importlib.import_module(module)
    core_identity()
