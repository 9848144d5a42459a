"""JSON as the standard has it: no NaN, no infinity, and no number beyond all use."""

from __future__ import annotations

import json
import math
from typing import Any

from benchmark.files.reading import UnreadableError

LARGEST_WHOLE_NUMBER = 2**63 - 1
_MOST_DIGITS = len(f"-{LARGEST_WHOLE_NUMBER}")


def parse_json(data: bytes) -> Any:
    """What a JSON text says; raises UnreadableError."""
    try:
        return json.loads(
            data, parse_constant=_number, parse_float=_number, parse_int=_whole_number
        )
    except (ValueError, RecursionError) as error:
        raise UnreadableError("it is cut short or damaged: not JSON") from error


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise UnreadableError(f"it makes no sense: it has the number {text[:_MOST_DIGITS]}")
    return number


def _whole_number(text: str) -> int:
    # The length first, because Python refuses to read thousands of digits.
    if len(text) > _MOST_DIGITS or abs(int(text)) > LARGEST_WHOLE_NUMBER:
        raise UnreadableError(f"it makes no sense: it has a whole number of {len(text)} digits")
    return int(text)
