"""YAML with one meaning: no duplicate keys, tags, anchors or surprising scalars.

Plain scalars are null, true, false, numbers as in YAML 1.2 (``1e-3`` is one; ``yes``, ``012``
and ``1:30`` are text), or text. The place of every key is kept, so that a later fault can be
told where it stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmark.errors import ConfigError, Fault

# A key's way from the root: mapping keys and list indices.
Location = tuple[str | int, ...]

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
# What the loader gives to nodes on which no tag is written.
_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")}
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass(frozen=True)
class Document:
    """A mapping read from YAML; ``origins`` has each key's place (``file:line:column``)."""

    source: str
    data: Mapping[str, Any]
    origins: Mapping[Location, str]

    def origin(self, location: Location) -> str:
        """Where the key at ``location`` stands, or the nearest key above it, or the file."""
        for length in range(len(location), 0, -1):
            if location[:length] in self.origins:
                return self.origins[location[:length]]
        deeper = (key for key in self.origins if location and key[: len(location)] == location)
        return self.origins.get(next(deeper, ()), self.source)

    def replaced(self, location: Location, value: Any, origin: str) -> Document:
        """Return a copy with another value at ``location``, which is said to be at ``origin``."""
        kept = {
            key: place
            for key, place in self.origins.items()
            if key[: len(location)] != location or len(key) < len(location)
        }
        data = _with_value(self.data, location, value)
        return Document(self.source, data, {**kept, location: origin})


def read_document(path: Path) -> Document:
    """Read a file.

    Raises ConfigError for a file that is missing, not UTF-8, not YAML, or not a mapping, and for
    duplicate keys, tags and anchors.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _error(str(path), f"not UTF-8 text: byte {error.start} cannot be decoded") from error
    except IsADirectoryError as error:
        raise _error(str(path), "a directory, not a config file") from error
    except OSError as error:
        raise _error(str(path), f"cannot be read: {error.strerror}") from error
    return parse_document(text, str(path))


def parse_document(text: str, source: str) -> Document:
    """Parse ``text``; raises ConfigError as ``read_document`` does."""
    node = _compose(text, source)
    if not isinstance(node, yaml.MappingNode):
        raise _error(source, "should be a mapping of keys to values")
    builder = _Builder(source)
    data = builder.build(node, ())
    if builder.faults:
        raise ConfigError(builder.faults)
    return Document(source, data, builder.origins)


def parse_value(text: str, source: str) -> Any:
    """Parse what stands after ``=`` on the command line: a scalar, ``[a, b]`` or ``{a: b}``."""
    node = _compose(text, source)
    if node is None:
        return None
    builder = _Builder(source)
    value = builder.build(node, ())
    if builder.faults:
        raise ConfigError(builder.faults)
    return value


def _compose(text: str, source: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        problem = error.problem or str(error)
        if "'\\t'" in problem:
            problem = "a tab where only spaces may indent"
        if "another document" in problem:
            problem = "a second document; a config is one"
        raise _error(place, problem) from error
    except RecursionError as error:
        raise _error(source, "nested too deeply") from error
    except yaml.reader.ReaderError as error:
        raise _error(
            source, f"a character that YAML does not allow: {error.character!r}"
        ) from error


def _error(origin: str, message: str) -> ConfigError:
    return ConfigError([Fault(origin, "", message)])


class _Builder:
    """Turns YAML nodes into Python values, noting where each stands and what is wrong."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.origins: dict[Location, str] = {}
        self.faults: list[Fault] = []
        self._seen: set[int] = set()

    def build(self, node: yaml.Node, location: Location) -> Any:
        if id(node) in self._seen:
            self._fault(node, location, "an alias (*) is not allowed; write the value again")
            return None
        self._seen.add(id(node))
        if node.tag not in _TAGS:
            self._fault(node, location, f"a tag ({node.tag}) is not allowed")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location)
        if isinstance(node, yaml.SequenceNode):
            return self._sequence(node, location)
        assert isinstance(node, yaml.ScalarNode)
        return node.value if node.style else _plain_scalar(node.value)

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode):
                self._fault(key_node, location, "a key should be text")
                continue
            if key in result:
                self._fault(key_node, (*location, key), "duplicate key")
                continue
            self.origins[*location, key] = self._place(key_node)
            result[key] = self.build(value_node, (*location, key))
        return result

    def _sequence(self, node: yaml.SequenceNode, location: Location) -> list[Any]:
        result = []
        for index, item in enumerate(node.value):
            self.origins[*location, index] = self._place(item)
            result.append(self.build(item, (*location, index)))
        return result

    def _place(self, node: yaml.Node) -> str:
        mark = node.start_mark
        return f"{self.source}:{mark.line + 1}:{mark.column + 1}"

    def _fault(self, node: yaml.Node, location: Location, message: str) -> None:
        self.faults.append(Fault(self._place(node), dotted(location), message))


def dotted(location: Location) -> str:
    """Write a location as users write it: ``recipe.learning_rate``, ``dataset[0].name``."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _plain_scalar(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        # A leading zero is octal to some readers and decimal to others: it stays text.
        return text if re.match(r"[-+]?0[0-9]", text) else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _with_value(data: Any, location: Location, value: Any) -> Any:
    if not location:
        return value
    key, *rest = location
    changed = dict(data) if isinstance(data, Mapping) else {}
    changed[str(key)] = _with_value(changed.get(str(key)), tuple(rest), value)
    return changed
