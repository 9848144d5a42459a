"""An entry's options in words: their types, defaults, and what they mean."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.entries import Options

_BOUNDS = {
    "exclusiveMinimum": ">",
    "minimum": "≥",
    "exclusiveMaximum": "<",
    "maximum": "≤",
}
_LENGTHS = {"minItems": "at least", "maxItems": "at most"}


@dataclass(frozen=True)
class OptionText:
    """One option; ``default`` is None where a value has to be given."""

    name: str
    type: str
    default: str | None
    description: str


def option_texts(options: type[Options]) -> list[OptionText]:
    """Each option of an entry, in order."""
    schema = options.model_json_schema()
    definitions = schema.get("$defs", {})
    return [
        OptionText(
            name=name,
            type=_type(_resolved(field, definitions), definitions),
            default=json.dumps(field["default"]) if "default" in field else None,
            description=" ".join(field.get("description", "").split()),
        )
        for name, field in schema.get("properties", {}).items()
    ]


def _resolved(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = field.get("$ref")
    return definitions[reference.rpartition("/")[2]] if reference else field


def _type(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What may be given, from the option's JSON schema."""
    if "anyOf" in field:
        kinds = [_type(_resolved(kind, definitions), definitions) for kind in field["anyOf"]]
        return " or ".join(kinds)
    if "const" in field:
        return json.dumps(field["const"])
    if "enum" in field:
        return " or ".join(map(json.dumps, field["enum"]))
    return " ".join([_kind(field, definitions), *_limits(field)])


def _kind(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    kind = str(field.get("type", "any value"))
    if kind == "array" and "items" in field:
        return f"list of {_type(_resolved(field['items'], definitions), definitions)}"
    return {"array": "list", "object": "mapping", "string": "text", "boolean": "true or false"}.get(
        kind, kind
    )


def _limits(field: Mapping[str, Any]) -> Iterator[str]:
    for key, sign in _BOUNDS.items():
        if key in field:
            yield f"{sign} {field[key]:g}"
    for key, words in _LENGTHS.items():
        if key in field:
            yield f"({words} {field[key]})"
