"""A training's state on disk, so that one that was killed goes on as if it had not been.

A checkpoint is a line with the SHA-256 of all that follows, a line of JSON that says to what
training it belongs (its fingerprint), and what ``torch.save`` wrote. The one before is kept beside
it: should the newest be damaged, no more than its epochs are lost.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmark.environment import processor_name, versions
from benchmark.errors import CheckpointError, StoreError
from benchmark.files import write_atomically, write_fault
from benchmark.plugin import Plugin
from benchmark.records import TrialSpec

NEWEST = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"

# What torch.load reads without running code; subclasses it refuses.
_PLAIN = (type(None), bool, int, float, str, torch.Tensor, torch.nn.Parameter)


class NotPlainError(Exception):
    """A training whose state is not all plain data and tensors; the text says what is not."""


class DamagedError(Exception):
    """A checkpoint that cannot be read."""


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one trial, in its folder.

    ``fingerprint`` is all that must not change for the training to go on bit for bit; or, if it
    ``is_partial``, that of it which can be known here.
    """

    folder: Path
    fingerprint: Mapping[str, str]
    is_partial: bool = False

    def save(self, content: Mapping[str, Any]) -> None:
        """Write a checkpoint; the newest becomes the previous one.

        A kill at any moment leaves at least the one before. Raises NotPlainError where ``content``
        could not be read back, StoreError where the disk refuses.
        """
        for location, value in _leaves(content, ""):
            if type(value) not in _PLAIN:
                raise NotPlainError(f"{location} is a {type(value).__name__}")
        payload = io.BytesIO()
        payload.write(json.dumps({"fingerprint": dict(self.fingerprint)}).encode() + b"\n")
        torch.save(dict(content), payload)
        digest = hashlib.sha256(payload.getbuffer()).hexdigest().encode()
        newest = self.folder / NEWEST
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if newest.exists():
                newest.replace(self.folder / PREVIOUS)
            write_atomically(newest, digest + b"\n" + payload.getbuffer())
        except OSError as error:
            raise StoreError(write_fault(newest, error)) from error

    def load(self, warn: Callable[[str], None]) -> Any:
        """Read the newest checkpoint that is sound, None where there is none.

        A damaged one is removed, so that it is never kept in a sound one's place, and ``warn`` is
        told. Raises CheckpointError where the fingerprint differs, StoreError where the disk
        refuses.
        """
        for file in checkpoint_files(self.folder):
            try:
                before, payload = _read(file)
                self._compare(file, before)
                return _plain_content(payload)
            except DamagedError as error:
                warn(f"{file.name} is left out: {error}")
                file.unlink()
        return None

    def check(self) -> None:
        """Raise CheckpointError if the training could not go on; reads all, changes nothing."""
        for file in checkpoint_files(self.folder):
            try:
                before, _ = _read(file)
            except DamagedError:
                continue
            self._compare(file, before)
            return

    def _compare(self, file: Path, before: Mapping[str, str]) -> None:
        known = {} if self.is_partial else before
        changed = [
            f"{name} was {before.get(name)}, is {self.fingerprint.get(name)}"
            for name in dict.fromkeys([*known, *self.fingerprint])
            if before.get(name) != self.fingerprint.get(name)
        ]
        if changed:
            raise CheckpointError(
                f"{file}: the training cannot go on as it began: {'; '.join(changed)}; "
                "put it back as it was, or start over with --fresh"
            )


def checkpoint_files(folder: Path) -> list[Path]:
    """A trial's checkpoints, sound or not, the newest first."""
    return [file for file in (folder / NEWEST, folder / PREVIOUS) if file.exists()]


def remove_checkpoints(folder: Path) -> None:
    """Remove a trial's checkpoints; raises OSError."""
    for file in checkpoint_files(folder):
        file.unlink()


def fingerprint(spec: TrialSpec, model: Plugin, recipe: Plugin) -> dict[str, str]:
    """What must be the same of a training to go on bit for bit, by the names users know."""
    return {
        "model": f"{spec.model} of {model.identity}",
        "recipe": f"{spec.protocol.recipe.name} of {recipe.identity}",
        "seed": str(spec.seed),
        "protocol": spec.protocol.hash,
        "precision": spec.protocol.precision,
        "engine": spec.engine,
        "compile": "on" if spec.compile else "off",
    }


def machine_fingerprint(spec: TrialSpec) -> dict[str, str]:
    """What must be the same of the machine, too."""
    return {
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
    """A checkpoint's fingerprint, and what torch.save wrote; raises DamagedError, StoreError."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise StoreError(f"{file}: cannot be read: {error.strerror}") from error
    digest, _, rest = content.partition(b"\n")
    if hashlib.sha256(rest).hexdigest().encode() != digest:
        raise DamagedError("it is cut short or altered: its checksum does not match")
    head, _, payload = rest.partition(b"\n")
    return json.loads(head)["fingerprint"], io.BytesIO(payload)


def _plain_content(payload: io.BytesIO) -> Any:
    try:
        return torch.load(payload, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # No checkpoint of ours: one is refused that could not be read like this.
        raise DamagedError("it holds more than plain data and tensors") from error


def _leaves(value: Any, location: str) -> Iterator[tuple[str, Any]]:
    if type(value) in (dict, OrderedDict):
        for key, item in value.items():
            yield from _leaves(key, location)
            yield from _leaves(item, f"{location}.{key}".lstrip("."))
    elif type(value) in (list, tuple):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{location}[{index}]")
    else:
        yield location, value
