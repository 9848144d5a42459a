"""The "did you mean" of every message about a name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` - did you mean 'x'?`` for the nearest known name, or nothing where none is near."""
    lowered = {candidate.lower(): candidate for candidate in known}
    nearest = difflib.get_close_matches(name.lower(), lowered, n=1)
    return f" - did you mean {lowered[nearest[0]]!r}?" if nearest else ""
