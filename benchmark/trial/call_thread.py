"""A thread in which somebody else's object is called, and which is left if a call does not end."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

LONGEST_CALL_SECONDS = 30.0
# How much longer, once somebody has pressed Ctrl-C and waits.
LONGEST_INTERRUPTED_SECONDS = 3.0
TICK_SECONDS = 0.25


class EndlessCallError(Exception):
    """A call that did not return in time; the text says so."""


@dataclass
class _Call:
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    ended: threading.Event = field(default_factory=threading.Event)
    value: Any = None
    error: BaseException | None = None

    def make(self) -> None:
        try:
            self.value = self.function(*self.arguments)
        except BaseException as error:
            self.error = error
        finally:
            self.ended.set()


class CallThread:
    """Makes calls one after another in a thread of its own, always the same.

    Some libraries bind what they open to the thread that opened it. The thread keeps no process
    from ending, whatever it is doing.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        # Whether the last call has ended. The call itself would keep a trial's model.
        self._last_ended = threading.Event()
        self._last_ended.set()
        # With the context of whoever made it: the display, for one, that shows what is announced.
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._work,), name=name, daemon=True
        )
        self._thread.start()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what the function returns, and raise what it raises.

        Raises EndlessCallError if it has not ended after LONGEST_CALL_SECONDS in which this process
        was running. The call before may be at work still, if waiting for it was interrupted: it
        soon has to end.
        """
        call, is_late = _Call(function, arguments), not self._last_ended.is_set()
        seconds = LONGEST_INTERRUPTED_SECONDS if is_late else LONGEST_CALL_SECONDS
        self._last_ended = call.ended
        self._calls.put(call)
        # Each wait counts as a tick, however long the process was suspended in it.
        for _ in range(max(1, round(seconds / TICK_SECONDS))):
            if call.ended.wait(TICK_SECONDS):
                break
        else:
            which = "the call before" if is_late else "it"
            raise EndlessCallError(f"{which} did not return within {seconds:g} s")
        if call.error is not None:
            raise call.error
        return call.value

    def end(self) -> None:
        """Let the thread end when it has made its calls; one that is at work is not waited for."""
        self._calls.put(None)
        if self._last_ended.is_set():
            # A thread that has used PyTorch must not end while the interpreter does: that aborts
            # the process.
            self._thread.join(TICK_SECONDS)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call.make()
            # What it was called with is not to be freed by this thread, later.
            del call
