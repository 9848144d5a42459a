"""Lines at the end of a terminal that are drawn anew several times a second.

Between two drawings the cursor rests at the start of the first of them. So whatever a terminal does
to the lines when it is resized, all that is to be erased is what comes after the cursor.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout, suppress
from typing import IO, Self, cast

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.control import Control
from rich.file_proxy import FileProxy
from rich.progress_bar import ProgressBar
from rich.segment import ControlType, Segment

from benchmark.display.status import Status
from benchmark.printable import printable_line

DRAWINGS_A_SECOND = 4
BAR_WIDTH = 24
# What is wider has room for a bar.
NARROW = 60
# Of a status's head, so much is kept before any of its parts is dropped.
SHORTEST_HEAD = 6

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
# Not from the first column on: where that is the whole screen, tmux would keep it in its history.
ERASE_WHAT_FOLLOWS = "\r \x1b[J\r"
# A terminal that has become narrower since its width was asked for cuts lines, and wraps none.
CUT_LINES, WRAP_LINES = "\x1b[?7l", "\x1b[?7h"


class LiveLines(RenderHook):
    """A line for each status, below whatever the console prints within the context."""

    def __init__(self, console: Console) -> None:
        self.statuses: dict[object, Status] = {}
        self._console = console
        self._left = threading.Event()
        self._drawer = threading.Thread(target=self._draw_again, name="display", daemon=True)
        self._opened = ExitStack()

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Put what is printed in the place of the lines, and the lines below it."""
        return [Raw(ERASE_WHAT_FOLLOWS), *renderables, self]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """Draw the lines, and put the cursor back to where they start."""
        columns, rows = _size(console)
        # The last column stays empty: some terminals are in the next line then, and some are not.
        width, height = columns - 1, max(rows - 1, 1)
        lines = [_line(status, console, options, width) for status in self.statuses.copy().values()]
        if len(lines) > height:
            more = len(lines) - height + 1
            lines[height - 1 :] = [[Segment(set_cell_size(f"and {more} more", width).rstrip())]]
        yield from Raw(CUT_LINES).segments
        for number, line in enumerate(lines):
            yield from [Segment("\n"), *line] if number else line
        up = f"\x1b[{len(lines) - 1}A" if len(lines) > 1 else ""
        yield from Raw(f"\r{up}{WRAP_LINES}").segments

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self._console.print(printable_line(line), markup=False, soft_wrap=True)

    def draw(self) -> None:
        """Draw the lines anew."""
        self._console.print(Control(), crop=False)

    def __enter__(self) -> Self:
        self._console.print(Raw(HIDE_CURSOR), crop=False)
        self._console.push_render_hook(self)
        # What others print, a plugin in this process for one, must not end up between the lines.
        for stream, redirect in ((sys.stdout, redirect_stdout), (sys.stderr, redirect_stderr)):
            if stream is not None:
                proxy = cast(IO[str], FileProxy(self._console, stream))
                self._opened.enter_context(redirect(proxy))
        self._drawer.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._left.set()
        self._drawer.join()
        self._opened.close()
        self._console.pop_render_hook()
        self._console.print(Raw(ERASE_WHAT_FOLLOWS + SHOW_CURSOR), crop=False)

    def _draw_again(self) -> None:
        # A terminal that has gone: there is nobody to show anything.
        with suppress(OSError):
            while not self._left.wait(1 / DRAWINGS_A_SECOND):
                self.draw()


class Raw:
    """What a terminal is told beside text."""

    def __init__(self, text: str) -> None:
        self.segments = [Segment(text, None, [(ControlType.CLEAR,)])]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """Tell it."""
        yield from self.segments


def _size(console: Console) -> tuple[int, int]:
    """Columns and rows, as they are now: the console itself would believe the environment."""
    try:
        columns, rows = os.get_terminal_size(console.file.fileno())
    except (OSError, ValueError):
        columns, rows = 0, 0
    # Of some terminals nobody knows the size.
    return columns or console.size.width, rows or console.size.height


def _line(
    status: Status, console: Console, options: ConsoleOptions, width: int
) -> Sequence[Segment]:
    fraction = status.fraction
    if fraction is None or width < NARROW:
        return [Segment(fit(status, width))]
    bar = ProgressBar(total=1.0, completed=fraction, width=BAR_WIDTH)
    text = fit(status, width - BAR_WIDTH - 2)
    return [*console.render(bar, options), Segment(f"  {text}")]


def fit(status: Status, width: int, now: float | None = None) -> str:
    """A status in no more than ``width`` cells: without its least important parts, or cut short."""
    head = "".join(filter(str.isprintable, status.head))
    parts = status.parts(time.monotonic() if now is None else now)
    shortest_head = min(cell_len(head), max(SHORTEST_HEAD, width // 3))
    while parts and shortest_head + sum(len(part.gap + part.text) for part in parts) > width:
        parts.remove(min(parts, key=lambda part: part.important))
    tail = "".join(part.gap + part.text for part in parts)
    return _cut(head, max(width, 0) - len(tail)) + tail


def _cut(text: str, width: int) -> str:
    if cell_len(text) <= width:
        return text
    # In ASCII, which every terminal has.
    mark = ".." if width > len("..") else ""
    return set_cell_size(text, width - len(mark)).rstrip() + mark
