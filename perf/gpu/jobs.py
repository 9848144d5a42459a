"""What parts are made of: jobs, each a process of its own, and the measurements in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

# Names and numbers, or lists of numbers, one a repeat; ``reason`` is shown beside them.
Figures = dict[str, Any]

GRAPHS_NEED_CUDA = "graphs need CUDA"


class SkippedError(Exception):
    """A measurement that this machine cannot make; the text says why, and what helps."""


@dataclass(frozen=True)
class Measurement:
    """One row: ``measure`` is called for its figures, and may raise."""

    what: str
    measure: Callable[[], Figures]


@dataclass(frozen=True)
class Job:
    """Measurements that share a process, and ``seconds`` that each of them may take at most.

    ``measurements`` is called in that process. One that fails ends it, for it may be of no more
    use; those that are left are then made in a fresh one.
    """

    name: str
    seconds: float
    measurements: Callable[[], Iterator[Measurement]]


def alone(what: str, seconds: float, measure: Callable[[], Figures]) -> Job:
    """A job of one measurement."""
    return Job(what, seconds, lambda: iter([Measurement(what, measure)]))
