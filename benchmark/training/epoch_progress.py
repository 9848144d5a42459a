"""How far an epoch is: noted by the training as it goes, read by a display whenever it likes."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import torch

# As fine as a display shows; on a GPU each part costs an event in the stream of its work.
PARTS = 100


class Position(NamedTuple):
    """So many ``steps`` of ``epoch``, 0 before the first, are done and took so many ``seconds``."""

    epoch: int
    steps: int
    seconds: float


class _Epoch:
    """An epoch at work; on a GPU, which works behind the host, also where it will be."""

    def __init__(self, number: int) -> None:
        # Replaced as a whole, so that a reader never sees the half of it.
        self.position = Position(number, 0, 0.0)
        self._began = time.perf_counter()
        self._marks: deque[tuple[int, torch.cuda.Event]] = deque()
        self._looking = threading.Lock()

    def note(self, steps: int) -> None:
        """Note the number of steps that are done."""
        self.position = Position(self.position.epoch, steps, time.perf_counter() - self._began)

    def mark(self, steps: int, event: torch.cuda.Event) -> None:
        """Note the number of steps that are done when the event has occurred."""
        self._marks.append((steps, event))

    def look(self) -> None:
        """Find out which events have been, without waiting for any."""
        with self._looking:
            try:
                while self._marks and self._marks[0][1].query():  # type: ignore[no-untyped-call]
                    self.note(self._marks.popleft()[0])
            except RuntimeError:
                # A device that has failed: the training finds out, and says so.
                self._marks.clear()

    def finish(self) -> None:
        """Note that all of them have been; none is looked for from here on."""
        with self._looking:
            if self._marks:
                self.note(self._marks[-1][0])
            self._marks.clear()


class EpochProgress:
    """How many steps of the present epoch the device has finished.

    To ask never waits for the device, and may be done by any one other thread.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._epoch = _Epoch(0)

    def take(self, take: Callable[[int], None], steps: int, *, epoch: int) -> None:
        """Have ``take`` take an epoch's ``steps``, part by part."""
        self._epoch = _Epoch(epoch)
        part = math.ceil(steps / PARTS)
        for first in range(0, steps, part):
            last = min(first + part, steps)
            take(last - first)
            if self._device.type != "cuda":
                self._epoch.note(last)
                continue
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record(torch.cuda.current_stream(self._device))
            self._epoch.mark(last, event)

    def finish(self) -> None:
        """Note that the device has finished the epoch, without asking it."""
        self._epoch.finish()

    def read(self) -> Position:
        """Where the training is."""
        epoch = self._epoch
        epoch.look()
        return epoch.position
