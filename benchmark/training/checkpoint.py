"""A training's state on disk, so that one that was killed goes on as if it had not been.

A checkpoint is a line with the SHA-256 of all that follows, a line of JSON that says to what
training it belongs (its conditions), and what ``torch.save`` wrote. The one before is kept beside
it: should the newest be damaged, no more than its epochs are lost.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import torch

from benchmark.environment import processor_name, versions
from benchmark.errors import CheckpointError, StoreError
from benchmark.files import (
    UnreadableError,
    is_there,
    opened,
    parse_json,
    remove,
    write_atomically,
    write_fault,
)
from benchmark.specs import TrialSpec

NEWEST = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"

DIGEST_LINE = re.compile(rb"[0-9a-f]{64}\n")
DIGEST_LINE_BYTES = 65
LARGEST_HEAD_BYTES = 2**20

# What torch.load reads without running code; subclasses it refuses.
_PLAIN = (type(None), bool, int, float, str, torch.Tensor, torch.nn.Parameter)

# What is raised where data is not of the type or the shape that it should be.
NONSENSE_FAULTS = (LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError)


class NotPlainError(Exception):
    """A training whose state is not all plain data and tensors; the text says what is not."""


class DamagedError(Exception):
    """A checkpoint that cannot be read."""


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one trial, in its folder.

    ``conditions`` is all that must not change for the training to go on bit for bit; or, if it
    ``is_partial``, that of it which can be known here.
    """

    folder: Path
    conditions: Mapping[str, str]
    is_partial: bool = False

    def save(self, content: Mapping[str, Any]) -> None:
        """Write a checkpoint of what ``require_plain`` accepts; the newest becomes the previous.

        A kill at any moment leaves at least the one before. Raises StoreError where the disk
        refuses.
        """
        stored = self._stored(content)
        newest, previous = self.folder / NEWEST, self.folder / PREVIOUS
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if is_there(newest):
                if previous.is_dir():
                    remove(previous)
                newest.replace(previous)
            write_atomically(newest, stored)
        except OSError as error:
            raise StoreError(write_fault(newest, error)) from error

    def _stored(self, content: Mapping[str, Any]) -> memoryview:
        """A checkpoint as it is stored, made in one piece of memory."""
        made = io.BytesIO()
        made.write(bytes(DIGEST_LINE_BYTES))
        made.write(json.dumps({"conditions": dict(self.conditions)}).encode() + b"\n")
        torch.save(dict(content), made)
        stored = made.getbuffer()
        digest = hashlib.sha256(stored[DIGEST_LINE_BYTES:]).hexdigest()
        stored[:DIGEST_LINE_BYTES] = f"{digest}\n".encode()
        return stored

    def load(
        self, warn: Callable[[str], None], use: Callable[[Any], None] = lambda content: None
    ) -> Any:
        """Read the newest checkpoint that is sound, None where there is none.

        ``use`` puts the training where the content says; it raises DamagedError for content that
        makes no sense, and CheckpointError for that of another training. What is not used is
        removed, so that it is never kept in a sound one's place, and ``warn`` is told. Raises
        CheckpointError where no checkpoint is of this training, StoreError where the disk refuses.
        """
        unused: dict[Path, str] = {}
        refusals: list[CheckpointError] = []
        content = None
        for file in checkpoint_files(self.folder):
            try:
                before, payload = _read(file)
                self._compare(file, before)
                content = _plain_content(payload)
                use(content)
                break
            except DamagedError as error:
                unused[file] = str(error)
            except CheckpointError as error:
                refusals.append(error)
                unused[file] = "it belongs to another training than the checkpoint before it"
            content = None
        if content is None and refusals:
            raise refusals[0]
        for file, reason in unused.items():
            warn(f"{file.name} is left out: {reason}")
            _remove(file)
        return content

    def check(self) -> None:
        """Raise CheckpointError if the training could not go on; reads all, changes nothing."""
        refusals: list[CheckpointError] = []
        for file in checkpoint_files(self.folder):
            try:
                self._compare(file, _read(file)[0])
                return
            except DamagedError:
                continue
            except CheckpointError as error:
                refusals.append(error)
        if refusals:
            raise refusals[0]

    def _compare(self, file: Path, before: Mapping[str, str]) -> None:
        known = {} if self.is_partial else before
        changed = [
            f"{name} was {before.get(name)}, is {self.conditions.get(name)}"
            for name in dict.fromkeys([*known, *self.conditions])
            if before.get(name) != self.conditions.get(name)
        ]
        if changed:
            raise CheckpointError(
                f"{file}: the training cannot go on as it began: {'; '.join(changed)}; "
                "put it back as it was, or start over with --fresh"
            )


def checkpoint_files(folder: Path) -> list[Path]:
    """A trial's checkpoints, sound or not, the newest first."""
    return [file for file in (folder / NEWEST, folder / PREVIOUS) if is_there(file)]


def remove_checkpoints(folder: Path) -> None:
    """Remove a trial's checkpoints; raises StoreError."""
    for file in checkpoint_files(folder):
        _remove(file)


def _remove(file: Path) -> None:
    try:
        remove(file)
    except OSError as error:
        raise StoreError(f"{file}: cannot be removed: {error.strerror}") from error


def training_conditions(spec: TrialSpec) -> dict[str, str]:
    """What must be the same of a training to go on bit for bit, by the names users know."""
    return {
        "model": f"{spec.model} {spec.variant.identity}",
        "seed": str(spec.seed),
        "protocol": spec.protocol.hash,
        "precision": spec.protocol.precision,
        "engine": spec.engine,
        "compile": "on" if spec.compile else "off",
    }


def machine_conditions(spec: TrialSpec) -> dict[str, str]:
    """What must be the same of the machine and of what is installed there, too."""
    return {
        **spec.variant.origin.libraries,
        **spec.recipe_origin.libraries,
        "device": _device_name(torch.device(spec.device)),
        "threads": str(torch.get_num_threads()),
        **versions(),
    }


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        return f"{torch.cuda.get_device_name(device)}, cuDNN {cudnn}"
    return f"{device.type}, {processor_name()}, {torch.backends.cpu.get_cpu_capability()}"


def _read(file: Path) -> tuple[dict[str, str], io.BytesIO]:
    """A checkpoint's conditions, and what torch.save wrote; raises DamagedError, StoreError."""
    try:
        with opened(file) as stored:
            digest = stored.readline(LARGEST_HEAD_BYTES)
            start = stored.tell()
            # What has no checksum at all is not read to its end: it may be as long as a disk.
            if not DIGEST_LINE.fullmatch(digest) or digest != _digest_line(stored):
                raise DamagedError("it is cut short or altered: its checksum does not match")
            stored.seek(start)
            head = stored.readline(LARGEST_HEAD_BYTES)
            return _conditions_in(head), io.BytesIO(stored.read())
    except OSError as error:
        raise StoreError(f"{file}: cannot be read: {error.strerror}") from error
    except UnreadableError as error:
        raise DamagedError(str(error)) from error


def _digest_line(stored: BufferedReader) -> bytes:
    return hashlib.file_digest(stored, "sha256").hexdigest().encode() + b"\n"


def _conditions_in(head: bytes) -> dict[str, str]:
    content = parse_json(head)
    conditions = content.get("conditions") if isinstance(content, dict) else None
    if not isinstance(conditions, dict) or not all(
        isinstance(value, str) for value in conditions.values()
    ):
        raise DamagedError("it makes no sense: it does not say to what training it belongs")
    return conditions


def _plain_content(payload: io.BytesIO) -> Any:
    try:
        return torch.load(payload, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # No checkpoint of ours: one is refused that could not be read like this.
        raise DamagedError("it holds more than plain data and tensors") from error
    except Exception as error:
        if is_out_of_memory(error):
            # The machine's trouble, not the checkpoint's.
            raise
        # Of bytes that are no checkpoint's, torch raises whatever it stumbles over.
        raise DamagedError("it makes no sense: PyTorch cannot read it") from error


def is_out_of_memory(error: Exception) -> bool:
    """Whether there was no memory for something; PyTorch says that in several ways."""
    kinds = (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, kinds) or "allocate memory" in str(error)


def require_plain(content: Any) -> None:
    """Raise NotPlainError where ``torch.load`` would refuse to read what ``torch.save`` wrote."""
    for location, value in leaves(content, ""):
        if type(value) not in _PLAIN:
            raise NotPlainError(f"{location} is a {type(value).__name__}")


def leaves(value: Any, location: str) -> Iterator[tuple[str, Any]]:
    """All that lies in plain data, and where."""
    if type(value) in (dict, OrderedDict):
        for key, item in value.items():
            yield from leaves(key, location)
            yield from leaves(item, f"{location}.{key}".lstrip("."))
    elif type(value) in (list, tuple):
        for index, item in enumerate(value):
            yield from leaves(item, f"{location}[{index}]")
    else:
        yield location, value
