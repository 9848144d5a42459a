"""Progress for people: lines that move on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from benchmark.display.status import Status, Work, in_full
from benchmark.standard_error import say

if TYPE_CHECKING:
    from benchmark.display.live_lines import LiveLines

# How often a plain line tells of work that is not training, in seconds.
PLAIN_INTERVAL = 5.0
# After so many seconds without a line there is one, so that a log has one at least every minute.
QUIET_SECONDS = 50.0


class Display(Protocol):
    """Shows lines that stay, and statuses for as long as something is at work, by key."""

    def say(self, line: str) -> None:
        """Show a line that stays."""

    def advance(self, description: str, done: int, total: int) -> None:
        """Show how far some long work is."""

    def put(self, key: object, status: Status) -> None:
        """Show the status from now on, in place of another of that key."""

    def take_away(self, key: object) -> None:
        """Show it no longer, if it is shown."""

    def have_said(self, key: object) -> None:
        """Note that a line has just been said of it."""


# The run as a whole, whatever it is at.
WHOLE = "whole"


@contextmanager
def open_display(activity: str = "preparing") -> Iterator[Display]:
    """Lines that move where stderr is a terminal, else plain lines; ``activity`` comes first."""
    if not sys.stderr.isatty() or os.environ.get("TERM") in ("dumb", "unknown"):
        plain = PlainDisplay()
        plain.put(WHOLE, Work(activity))
        with plain.ticking():
            yield plain
        return
    # Imported here: only a terminal needs it.
    from rich.console import Console

    from benchmark.display.live_lines import LiveLines

    # It is one, whatever else the environment says.
    console = Console(stderr=True, highlight=False, force_terminal=True)
    with LiveLines(console) as lines:
        display = LiveDisplay(lines)
        display.put(WHOLE, Work(activity))
        yield display


class PlainDisplay:
    """Lines on stderr; of long work, one every few seconds, and of silent work one a minute."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._advanced = self._said = now()
        self._statuses: dict[object, Status] = {}
        self._said_of: dict[object, float] = {}

    def say(self, line: str) -> None:
        """Print the line."""
        self._said = self._now()
        say(line)

    def advance(self, description: str, done: int, total: int) -> None:
        """Print a line if it is time for one."""
        now = self._now()
        if now - self._advanced >= PLAIN_INTERVAL:
            self._advanced = now
            self.say(f"{description}: {done:,} of {total:,}")

    def put(self, key: object, status: Status) -> None:
        """Print a line of it whenever there has been none for long."""
        self._said_of[key] = self._now()
        self._statuses[key] = status

    def take_away(self, key: object) -> None:
        """Print no more of it."""
        self._statuses.pop(key, None)

    def have_said(self, key: object) -> None:
        """Note that a line has just been printed of it."""
        self._said_of[key] = self._now()

    def tick(self) -> None:
        """Print a line of each trial of which there has been none for long, or of the run."""
        for key, status in self._statuses.copy().items():
            last = self._said if key == WHOLE else self._said_of[key]
            if self._now() - last >= QUIET_SECONDS:
                self._said_of[key] = self._now()
                self.say(in_full(status, self._now()))

    @contextmanager
    def ticking(self) -> Iterator[None]:
        """Have a thread tick, whatever this one is busy with."""
        left = threading.Event()

        def tick() -> None:
            while not left.wait(1):
                self.tick()

        ticker = threading.Thread(target=tick, name="display", daemon=True)
        ticker.start()
        try:
            yield
        finally:
            left.set()
            ticker.join()


class LiveDisplay:
    """A line for each status at the end of the terminal, lines that stay above them."""

    def __init__(self, lines: LiveLines) -> None:
        self._lines = lines
        self._work: dict[str, Work] = {}

    def say(self, line: str) -> None:
        """Print the line above the others."""
        self._lines.say(line)

    def advance(self, description: str, done: int, total: int) -> None:
        """Move the work's bar, and take it away at its end."""
        work = self._work.setdefault(description, Work(description))
        work.done, work.total = done, total
        self._lines.statuses[description] = work
        if done >= total:
            self.take_away(description)
            del self._work[description]

    def put(self, key: object, status: Status) -> None:
        """Show the status."""
        self._lines.statuses[key] = status

    def take_away(self, key: object) -> None:
        """Show it no longer."""
        self._lines.statuses.pop(key, None)

    def have_said(self, key: object) -> None:
        """Show it all the same."""
