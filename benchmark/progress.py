"""Progress of long work that is not training, such as fetching and decoding a data set.

A plugin wraps what it loops over in ``track``; whoever runs it decides how that is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Item = TypeVar("Item")

# Told (what is being done, how many are done, how many there are).
Display = Callable[[str, int, int], None]


def _show_nothing(description: str, done: int, total: int) -> None:
    pass


_display: ContextVar[Display] = ContextVar("progress_display", default=_show_nothing)


def track(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Yield ``items``, telling the display how many of ``total`` are done after each."""
    display = _display.get()
    for done, item in enumerate(items, start=1):
        yield item
        display(description, done, total)


@contextmanager
def shown_by(display: Display) -> Iterator[None]:
    """Have ``display`` show the progress of what runs inside."""
    token = _display.set(display)
    try:
        yield
    finally:
        _display.reset(token)
