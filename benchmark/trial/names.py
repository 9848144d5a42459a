"""The names of a model's tensors, as a line has room for them."""

from __future__ import annotations

from collections.abc import Sequence

NAMES_SHOWN = 3


def first_names(names: Sequence[str]) -> str:
    """The first few of some names, and how many more there are."""
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
