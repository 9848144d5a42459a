"""A training's state on disk, so that one that was killed goes on as if it had not been.

A checkpoint is a line of JSON, its head, and after it what ``torch.save`` wrote. The head says to
what training the checkpoint belongs and has the rest's SHA-256. The one before is kept beside it:
should the newest be damaged, no more than an epoch is lost.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmark.environment import processor_name, versions
from benchmark.errors import CheckpointError, StoreError, one_line
from benchmark.files import write_atomically
from benchmark.plugin import Plugin
from benchmark.records import TrialSpec

NEWEST = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"


class DamagedError(Exception):
    """A checkpoint that cannot be read."""


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one trial, in its folder.

    ``fingerprint`` is all that must not change for the training to go on bit for bit.
    """

    folder: Path
    fingerprint: Mapping[str, str]

    def save(self, content: Mapping[str, Any]) -> None:
        """Write a checkpoint of plain data and tensors; the newest becomes the previous one.

        A kill at any moment leaves at least the one before. Raises StoreError where the disk
        refuses.
        """
        payload = io.BytesIO()
        torch.save(dict(content), payload)
        head = {
            "fingerprint": dict(self.fingerprint),
            "sha256": hashlib.sha256(payload.getbuffer()).hexdigest(),
        }
        newest = self.folder / NEWEST
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if newest.exists():
                newest.replace(self.folder / PREVIOUS)
            write_atomically(newest, json.dumps(head).encode() + b"\n" + payload.getbuffer())
        except OSError as error:
            raise StoreError(f"{newest}: cannot be written: {error.strerror}") from error

    def load(self, warn: Callable[[str], None]) -> Any:
        """Read the newest checkpoint that is sound, None where there is none.

        ``warn`` is told of damaged ones. Raises CheckpointError where the fingerprint differs.
        """
        self.check()
        for file in self._files():
            try:
                return _content(file)
            except DamagedError as error:
                warn(f"{file.name} is left out: {error}")
        return None

    def check(self) -> None:
        """Raise CheckpointError if the newest readable checkpoint has another fingerprint."""
        for file in self._files():
            try:
                before = _head(file)["fingerprint"]
            except DamagedError:
                continue
            changed = [
                f"{name} was {before.get(name)}, is {self.fingerprint.get(name)}"
                for name in [*before, *(self.fingerprint.keys() - before.keys())]
                if before.get(name) != self.fingerprint.get(name)
            ]
            if changed:
                raise CheckpointError(
                    f"{file}: the training cannot go on as it began: {'; '.join(changed)}; "
                    "put it back as it was, or start over with --fresh"
                )
            return

    def _files(self) -> list[Path]:
        return [file for file in (self.folder / NEWEST, self.folder / PREVIOUS) if file.exists()]


def remove_checkpoints(folder: Path) -> None:
    """Remove a trial's checkpoints; raises OSError."""
    for name in (NEWEST, PREVIOUS):
        (folder / name).unlink(missing_ok=True)


def fingerprint(spec: TrialSpec, model: Plugin, recipe: Plugin) -> dict[str, str]:
    """What must be the same for a training to go on bit for bit, by the names users know."""
    device = torch.device(spec.device)
    return {
        "model": f"{spec.model} of {_source(model)}",
        "recipe": f"{spec.protocol.recipe.name} of {_source(recipe)}",
        "seed": str(spec.seed),
        "protocol": spec.protocol.hash,
        "precision": spec.protocol.precision,
        "engine": spec.engine,
        "compile": "on" if spec.compile else "off",
        "device": _device_name(device),
        "threads": str(torch.get_num_threads()),
        **versions(),
    }


def _source(plugin: Plugin) -> str:
    """A plugin, and a digest of its file: its author may have edited it since."""
    assert plugin.module is not None
    file = plugin.module.__file__
    digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()[:8] if file else "none"
    return f"{plugin.label}, source {digest}"


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        return f"{torch.cuda.get_device_name(device)}, cuDNN {cudnn}"
    return f"{device.type}, {processor_name()}, {torch.backends.cpu.get_cpu_capability()}"


def _head(file: Path) -> Any:
    return _head_and_payload(file)[0]


def _content(file: Path) -> Any:
    head, payload = _head_and_payload(file)
    if hashlib.sha256(payload).hexdigest() != head["sha256"]:
        raise DamagedError("it is cut short or altered: its checksum does not match")
    try:
        return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # Sound, but not plain data: an optimiser of a plugin's may keep anything.
        raise DamagedError(
            f"it holds more than plain data and tensors: {one_line(error)}"
        ) from error


def _head_and_payload(file: Path) -> tuple[Any, bytes]:
    try:
        line, _, payload = file.read_bytes().partition(b"\n")
    except OSError as error:
        raise DamagedError(f"it cannot be read: {error.strerror}") from error
    try:
        head = json.loads(line)
        known = isinstance(head["fingerprint"], dict) and isinstance(head["sha256"], str)
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedError("it is no checkpoint, or its head is damaged") from error
    if not known:
        raise DamagedError("it is no checkpoint, or its head is damaged")
    return head, payload
