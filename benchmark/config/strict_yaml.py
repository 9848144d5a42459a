"""YAML with one meaning: no duplicate keys, tags, anchors or surprising scalars.

Plain scalars are null, true, false, numbers as in YAML 1.2 (``1e-3`` is one; ``yes``, ``012``
and ``1:30`` are text), or text. The place of every key is kept, so that a later fault can be
told where it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmark.errors import ConfigError, Fault
from benchmark.printable import is_encodable

# Far beyond any use, and far from what Python or pydantic cannot work with.
LARGEST_FILE_BYTES = 2**20
MOST_LEVELS = 32
MOST_DIGITS = 300

# A key's way from the root: mapping keys and list indices.
Location = tuple[str | int, ...]

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WRITTEN_AGAIN = "is not allowed; write the value wherever it is wanted"
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass(frozen=True)
class Document:
    """A mapping read from YAML; ``origins`` has each key's place (``file:line:column``)."""

    source: str
    data: Mapping[str, Any]
    origins: Mapping[Location, str]

    def origin(self, location: Location) -> str:
        """Where the key at ``location`` stands, or one below it, or the nearest above, or the file.

        One below it was given without it, by ``--set`` say, and so is why it is there at all.
        """
        if location in self.origins:
            return self.origins[location]
        for key, origin in self.origins.items():
            if location and key[: len(location)] == location:
                return origin
        for length in range(len(location) - 1, 0, -1):
            if location[:length] in self.origins:
                return self.origins[location[:length]]
        return self.source

    def replaced(self, location: Location, value: Any, origin: str) -> Document:
        """Return a copy with another value at ``location``, which is said to be at ``origin``."""
        kept = {
            key: place
            for key, place in self.origins.items()
            if key[: len(location)] != location or len(key) < len(location)
        }
        # Where there was something else than a mapping, that has gone to make room for this.
        above = {
            location[:length]: origin
            for length in range(1, len(location))
            if not isinstance(_value_at(self.data, location[:length]), Mapping)
        }
        data = _with_value(self.data, location, value)
        return Document(self.source, data, {**kept, **above, location: origin})

    def with_option(self, location: Location, value: Any, origin: str) -> Document:
        """As ``replaced``, but a text on the way to ``location`` is taken as an entry's name.

        It becomes a mapping with that name, which has room for options.
        """
        document = self
        for place in (location[:length] for length in range(1, len(location))):
            name = _value_at(document.data, place)
            if isinstance(name, str) and place[-1] != "name":
                named_at = document.origin(place)
                document = document.replaced(place, {"name": name}, origin)
                document = document.replaced((*place, "name"), name, named_at)
        return document.replaced(location, value, origin)


def read_document(path: Path) -> Document:
    """Read a file.

    Raises ConfigError for a file that is missing, not UTF-8, not YAML, not a mapping, or larger
    than any config, and for duplicate keys, tags and anchors.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
        if len(content) > LARGEST_FILE_BYTES:
            raise _error(str(path), f"larger than {LARGEST_FILE_BYTES:,} bytes, a config's limit")
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _error(str(path), f"not UTF-8 text: byte {error.start} cannot be decoded") from error
    except IsADirectoryError as error:
        raise _error(str(path), "a directory, not a config file") from error
    except OSError as error:
        raise _error(str(path), f"cannot be read: {error.strerror}") from error
    return parse_document(text, str(path))


def parse_document(text: str, source: str) -> Document:
    """Parse ``text``; raises ConfigError as ``read_document`` does."""
    node, forbidden = _compose(text, source)
    if not isinstance(node, yaml.MappingNode):
        raise _error(source, "should be a mapping of keys to values")
    builder = _Builder(source, forbidden)
    data = builder.build(node, ())
    if builder.faults:
        raise ConfigError(builder.faults)
    return Document(source, data, builder.origins)


def parse_value(text: str, source: str) -> Any:
    """Parse what stands after ``=`` on the command line: a scalar, ``[a, b]`` or ``{a: b}``."""
    node, forbidden = _compose(text, source)
    if node is None:
        return None
    builder = _Builder(source, forbidden)
    value = builder.build(node, ())
    if builder.faults:
        raise ConfigError(builder.faults)
    return value


def parse_key(text: str, source: str) -> tuple[str, ...]:
    """Parse what stands before ``=`` on the command line, such as ``recipe.learning_rate``."""
    parts = tuple(text.split("."))
    if not all(parts):
        raise _error(source, "should be a key, with a name before and after each dot")
    if len(parts) > MOST_LEVELS:
        raise _error(source, "nested too deeply")
    return parts


class _Loader(yaml.BaseLoader):
    """Composes nodes, and notes what stands at them that the values would not show."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.forbidden: dict[yaml.Node, list[str]] = {}

    # Events have anchors, nodes do not; in an alias's place the base class puts the anchored node.
    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):
            self.get_event()  # type: ignore[no-untyped-call]
            alias = yaml.ScalarNode("", "", event.start_mark)
            self.forbidden[alias] = [f"an alias (*{event.anchor}) {_WRITTEN_AGAIN}"]
            return alias
        node = super().compose_node(parent, index)
        if node is not None and event.anchor is not None:
            self.forbidden[node] = [f"an anchor (&{event.anchor}) {_WRITTEN_AGAIN}"]
        if node is not None and event.tag is not None:
            self.forbidden.setdefault(node, []).append(f"a tag ({event.tag}) is not allowed")
        return node


def _compose(text: str, source: str) -> tuple[yaml.Node | None, Mapping[yaml.Node, list[str]]]:
    """Compose a text's nodes; and what is not allowed at some of them."""
    try:
        loader = _Loader(text)
        return loader.get_single_node(), loader.forbidden
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
    except (ValueError, OverflowError) as error:
        # Raised by Python for an escape that is beyond Unicode, or a version of 5,000 digits.
        mark = loader.get_mark()
        raise _error(
            f"{source}:{mark.line + 1}:{mark.column + 1}", "a number that is too large to be read"
        ) from error


def _error(origin: str, message: str) -> ConfigError:
    return ConfigError([Fault(origin, "", message)])


class _Builder:
    """Turns YAML nodes into Python values, noting where each stands and what is wrong."""

    def __init__(self, source: str, forbidden: Mapping[yaml.Node, list[str]]) -> None:
        self.source = source
        self.origins: dict[Location, str] = {}
        self.faults: list[Fault] = []
        self._forbidden = forbidden

    def build(self, node: yaml.Node, location: Location) -> Any:
        if self._is_refused(node, location):
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location)
        if isinstance(node, yaml.SequenceNode):
            return self._sequence(node, location)
        assert isinstance(node, yaml.ScalarNode)
        return node.value if node.style else _plain_scalar(node.value)

    def _is_refused(self, node: yaml.Node, location: Location) -> bool:
        problems = [*self._forbidden.get(node, ())]
        if len(location) > MOST_LEVELS:
            problems.append("nested too deeply")
        if isinstance(node, yaml.ScalarNode):
            problems += _problems_of_scalar(node)
        for problem in problems:
            self._fault(node, location, problem)
        return bool(problems)

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode):
                self._fault(key_node, location, "a key should be text")
                continue
            if self._is_refused(key_node, location):
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


def _problems_of_scalar(node: yaml.ScalarNode) -> Iterator[str]:
    if not is_encodable(node.value):
        yield f"a lone surrogate, which is not a character, in {node.value!r}"
    digits = len(node.value.lstrip("-+"))
    if digits > MOST_DIGITS and not node.style and _INTEGER.fullmatch(node.value):
        yield f"a number of {digits:,} digits; at most {MOST_DIGITS} are allowed"


def _plain_scalar(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        # A leading zero is octal to some readers and decimal to others: it stays text.
        return text if re.match(r"[-+]?0[0-9]", text) else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _value_at(data: Any, location: Location) -> Any:
    for part in location:
        data = data.get(part) if isinstance(data, Mapping) else None
    return data


def _with_value(data: Any, location: Location, value: Any) -> Any:
    if not location:
        return value
    key, *rest = location
    changed = dict(data) if isinstance(data, Mapping) else {}
    changed[str(key)] = _with_value(changed.get(str(key)), tuple(rest), value)
    return changed
