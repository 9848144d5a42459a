"""Progress of long work that is not training, such as fetching and decoding a data set.

A plugin wraps what it loops over in ``track``; whoever runs it decides how that is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Display(Protocol):
    """Shows what goes on."""

    def say(self, line: str) -> None:
        """Show a line that stays."""

    def advance(self, description: str, done: int, total: int) -> None:
        """Show how far some long work is."""


# None where nobody looks.
_display: ContextVar[Display | None] = ContextVar("progress_display", default=None)


def track(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Yield ``items``, telling the display how many of ``total`` are done after each."""
    display = _display.get()
    for done, item in enumerate(items, start=1):
        yield item
        if display is not None:
            display.advance(description, done, total)


def announce(line: str) -> None:
    """Have the display show a line."""
    display = _display.get()
    if display is not None:
        display.say(line)


@contextmanager
def shown_by(display: Display) -> Iterator[None]:
    """Have ``display`` show the progress of what runs inside."""
    token = _display.set(display)
    try:
        yield
    finally:
        _display.reset(token)
