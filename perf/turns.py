"""The worker's end of the line: it takes turns with the other contenders."""

from __future__ import annotations

import json
from typing import Any, TextIO

GO = "go"


class Turns:
    """Hands each block's seconds to the parent and waits until the next block is wanted.

    While it waits the process reads from a pipe and is not at work. The first block needs no
    asking: it is the warm-up, and part of the worker's start.
    """

    def __init__(self, requests: TextIO, replies: TextIO) -> None:
        self._requests = requests
        self._replies = replies

    def describe(self, **facts: Any) -> None:
        """Tell the parent what is being trained, before the first block."""
        self._send(facts)

    def give(self, seconds: float) -> bool:
        """Give a block's seconds; returns whether there is another to train."""
        self._send({"seconds": seconds})
        # An end of file is an end too: the parent may be gone.
        return self._requests.readline().strip() == GO

    def _send(self, message: dict[str, Any]) -> None:
        self._replies.write(json.dumps(message) + "\n")
        self._replies.flush()
