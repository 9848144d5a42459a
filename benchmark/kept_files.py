"""Files that lie beside a record, and the seal in it that tells whether they were changed since."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy
from pydantic import BaseModel, ConfigDict, Field

from benchmark.errors import StoreError, one_line
from benchmark.files import UnreadableError, is_there, opened, read_bounded

_CHUNK_BYTES = 2**20


class KeptFile(BaseModel):
    """The seal of a file: its size, and the SHA-256 of what is in it, in hexadecimal."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")

    @classmethod
    def of(cls, file: Path) -> KeptFile:
        """The seal of a file as it is; raises UnreadableError and OSError."""
        digest, size = hashlib.sha256(), 0
        with opened(file) as content:
            while part := content.read(_CHUNK_BYTES):
                digest.update(part)
                size += len(part)
        return cls(size_bytes=size, sha256=digest.hexdigest())

    @classmethod
    def of_bytes(cls, content: bytes) -> KeptFile:
        """The seal of a file with that content."""
        return cls(size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def require_sealed(file: Path, seal: KeptFile) -> None:
    """Raise StoreError where a file is missing, or is not the one that was sealed."""
    if not is_there(file):
        raise StoreError(f"{file}: no longer there")
    try:
        found = KeptFile.of(file)
    except (UnreadableError, OSError) as error:
        raise StoreError(f"{file}: cannot be read: {error}") from error
    if found != seal:
        raise StoreError(f"{file}: was altered: it is not the file that its record names")


def read_array(file: Path, seal: KeptFile) -> numpy.ndarray[Any, Any]:
    """Read a sealed array; raises StoreError where the file is missing, or is another."""
    if not is_there(file):
        raise StoreError(f"{file}: no longer there")
    try:
        content = read_bounded(file, seal.size_bytes)
    except UnreadableError as error:
        raise StoreError(f"{file}: {error}") from error
    if KeptFile.of_bytes(content) != seal:
        raise StoreError(f"{file}: was altered: it is not the file that its record names")
    try:
        array = numpy.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:
        # NumPy raises one of many kinds, depending on what is wrong.
        raise StoreError(f"{file}: it makes no sense: {one_line(error)}") from error
    if not isinstance(array, numpy.ndarray):
        raise StoreError(f"{file}: it makes no sense: it is no array")
    return array


def array_content(array: numpy.ndarray[Any, Any]) -> bytes:
    """An array as a ``.npy`` file has it."""
    content = io.BytesIO()
    numpy.save(content, array, allow_pickle=False)
    return content.getvalue()
