"""A document made of Python values, held to what YAML can say.

What is plainly meant is taken: a tuple, a range or an array as a list, a path as text, a number of
NumPy's as Python's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from benchmark.config.strict_yaml import MOST_DIGITS, MOST_LEVELS, Document, Location, dotted
from benchmark.errors import ConfigError, Fault
from benchmark.printable import is_encodable


def mapping_document(config: Mapping[str, Any]) -> Document:
    """Take a config that is a mapping; raises ConfigError with every value that YAML has not."""
    reader = _Reader()
    data = reader.plain(config, ())
    if reader.faults:
        raise ConfigError(reader.faults)
    return Document("", data, {})


def with_keywords(document: Document, keywords: Mapping[str, Any]) -> Document:
    """Put values given by keyword in place of the document's; raises ConfigError likewise."""
    for key, value in mapping_document(keywords).data.items():
        # A fault is told by its key, whichever file the others stand in.
        document = document.replaced((key,), value, "")
    return document


class _Reader:
    """Turns Python values into those that YAML has, noting what cannot be."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def plain(self, value: Any, location: Location) -> Any:
        if len(location) > MOST_LEVELS:
            return self._refuse(location, "nested too deeply")
        if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
            value = value.tolist()
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        match value:
            case None | bool() | float():
                return value
            case int():
                return self._whole_number(value, location)
            case str():
                return self._text(value, location)
            case Mapping():
                return self._mapping(value, location)
            case list() | tuple() | range():
                return [self.plain(item, (*location, i)) for i, item in enumerate(value)]
            case set() | frozenset():
                return self._refuse(location, "should be a list: a set has no order")
        return self._refuse(location, f"should be plain data, got {_described(value)}")

    def _whole_number(self, value: int, location: Location) -> Any:
        if abs(value) >= 10**MOST_DIGITS:
            return self._refuse(location, f"a number of more than {MOST_DIGITS} digits")
        return int(value)

    def _text(self, value: str, location: Location) -> Any:
        # As it is, whatever a subclass makes of it.
        text = str.__str__(value)
        if not is_encodable(text):
            return self._refuse(
                location, f"a lone surrogate, which is not a character, in {text!r}"
            )
        return text

    def _mapping(self, value: Mapping[Any, Any], location: Location) -> dict[str, Any]:
        result = {}
        for key, item in value.items():
            if isinstance(key, str):
                name = self._text(key, location)
                result[name] = self.plain(item, (*location, name))
            else:
                self._refuse(location, f"a key should be text, got {_described(key)}")
        return result

    def _refuse(self, location: Location, message: str) -> None:
        self.faults.append(Fault("", dotted(location), message))


def _described(value: Any) -> str:
    """A value's type, and the value where that is short and says what it is."""
    kind = type(value).__name__
    return f"{value!r}" if isinstance(value, int | float) else f"a value of type {kind}"
