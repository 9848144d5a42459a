"""Time in which this process was running: what limits are counted in.

A process that is suspended (``SIGSTOP``, ``docker pause``, a scheduler) does not notice; the
system's clocks run on, and everything looks late to it when it is resumed. Whoever counts seconds
here counts only those that this process had.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self

TICK_SECONDS = 0.25
# A thread that sleeps for a tick is late by milliseconds, on a busy machine by some tenths.
LONGEST_TICK_SECONDS = 0.5
# Later than any machine makes it that still lets a process run.
SHORTEST_SUSPENSION_SECONDS = 1.0


class RunningClock:
    """Counts seconds in which this process was running, inside its context.

    A thread of its own looks at the system's clock several times a second. What is missing between
    two looks is time that the process did not have, whatever it was busy with. Read at any time
    from any thread: ``seconds``, and the ``suspended_seconds`` that are not among them.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.monotonic,
        processor: Callable[[], float] = time.process_time,
    ) -> None:
        self.seconds = 0.0
        self.suspended_seconds = 0.0
        self._wall = wall
        self._processor = processor
        self._looked_at = wall(), processor()
        self._lock = threading.Lock()
        self._left = threading.Event()

    def look(self) -> None:
        """Count the time since the last look."""
        with self._lock:
            wall, processor = self._wall(), self._processor()
            last_wall, last_processor = self._looked_at
            self._looked_at = wall, processor
            passed, worked = wall - last_wall, processor - last_processor
            self.seconds += min(passed, LONGEST_TICK_SECONDS)
            # Native code that lets no other thread run makes a look late, too, but it works.
            if passed >= SHORTEST_SUSPENSION_SECONDS and worked < passed / 2:
                self.suspended_seconds += passed

    def __enter__(self) -> Self:
        # Whatever was before is not counted.
        self._looked_at = self._wall(), self._processor()
        threading.Thread(target=self._run, name="running clock", daemon=True).start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._left.set()

    def _run(self) -> None:
        while not self._left.wait(TICK_SECONDS):
            self.look()
