"""The part of a page that is generated, between two markers."""

from __future__ import annotations

BEGIN = "<!-- perf: begin -->"
END = "<!-- perf: end -->"


class MarkersError(Exception):
    """A page that does not have each marker once, the first one first."""


def replace_generated(page: str, generated: str) -> str:
    """Put ``generated`` between the page's markers and leave all else as it is.

    Raises MarkersError.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or any(marker in before + after for marker in (BEGIN, END)):
        raise MarkersError(f"the page should have {BEGIN} once, and {END} once below it")
    return f"{before}{BEGIN}\n\n{generated.strip()}\n\n{END}{after}"
