"""What all records are made of: validated data, written in one way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_serializer
from pydantic_core.core_schema import SerializerFunctionWrapHandler


class Record(BaseModel):
    """Data that is sent and written, checked strictly when it is read."""

    # Strict, so that "1" is no number; keys this version does not know are left alone.
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


class SparseRecord(Record):
    """Data of which whatever is None is left out where it is written."""

    @model_serializer(mode="wrap")
    def _without_none(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in write(self).items() if value is not None}


def canonical_json(data: Mapping[str, Any]) -> bytes:
    """The one way to write ``data``: sorted keys, no spaces, no infinities."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8")
