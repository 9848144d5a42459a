"""Text from elsewhere, made safe to print.

A note, a model's name, a class or a plugin's message may hold characters that are no marks on a
page: a terminal that is sent them clears its screen, overwrites a line, or shows text in another
order than it has. They are written as escapes, as JSON has them, too.
"""

from __future__ import annotations

import re

# Unicode's controls (but for line feed and tab), formats (but for the joiners that some scripts
# need), surrogates, and separators of lines and paragraphs.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad"
    "\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    """Escape what no terminal should be sent; line feeds and tabs stay."""
    return _UNPRINTABLE.sub(lambda found: _escape(found[0]), text)


def printable_line(text: str) -> str:
    """The same for what should be one line: line feeds are escaped, too."""
    return printable(text).replace("\n", "\\n")


def is_encodable(text: str) -> bool:
    """Whether a text can be stored as UTF-8: not if it has lone surrogates.

    Those come from a careless escape, or stand for bytes of the command line that are no UTF-8.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 2**16 else f"\\U{code:08x}"


def size_text(size_bytes: float) -> str:
    """Write a size for people: ``12 KiB``, ``3 MiB``, ``1.5 GiB``."""
    for unit, length in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size_bytes >= length:
            count = size_bytes / length
            return f"{count:.0f} {unit}" if count >= 100 else f"{count:.3g} {unit}"
    return f"{size_bytes} B"


def three_digits(number: float) -> str:
    """Write a number from zero up with three digits, from 100 on as a whole one.

    ``0.150``, ``12.3``, ``1,043``: what is not zero is never written as if it were.
    """
    exponent = int(f"{number:.2e}".partition("e")[2])
    return f"{number:,.{max(0, 2 - exponent)}f}"
