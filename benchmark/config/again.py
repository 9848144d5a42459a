"""A run's config as a document, from which the same run can be carried out again."""

from __future__ import annotations

from typing import Any

from benchmark.config.run_config import RunConfig
from benchmark.config.seeds import SeedsUntil
from benchmark.config.strict_yaml import Document
from benchmark.protocol import Selection


def config_document(config: RunConfig, source: str) -> Document:
    """Write a config as YAML would have it; faults will be said to stand in ``source``."""
    return Document(source, {key: _plain(value) for key, value in config}, {})


def _plain(value: Any) -> Any:
    if isinstance(value, Selection):
        others = value.model_dump(mode="json", exclude={"options"})
        return {**others, **value.options}
    if isinstance(value, SeedsUntil):
        return value.model_dump()
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
