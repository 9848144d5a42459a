"""The part of a page that is generated, between two markers."""

from __future__ import annotations

BEGIN = "<!-- {}: begin -->"
END = "<!-- {}: end -->"


class MarkersError(Exception):
    """A page that does not have each marker once, the first one first."""


def replace_generated(page: str, part: str, generated: str) -> str:
    """Put ``generated`` between the markers of ``part`` and leave all else as it is.

    Raises MarkersError.
    """
    first, last = BEGIN.format(part), END.format(part)
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end or any(marker in before + after for marker in (first, last)):
        raise MarkersError(f"the page should have {first} once, and {last} once below it")
    return f"{before}{first}\n\n{generated.strip()}\n\n{last}{after}"
