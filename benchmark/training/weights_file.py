"""A model's weights in a ``safetensors`` file, with what is needed to use them again."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from benchmark.errors import StoreError
from benchmark.files import replacing
from benchmark.training.checkpoint import NONSENSE_FAULTS, require_plain
from benchmark.training.extra_state import extra_state, misfit, set_extra_state
from benchmark.training.named_tensors import misfit_of_tensors, named_tensors, put_tensors

# What modules and generators keep besides tensors, as torch.save writes it.
EXTRA_STATE = "__extra_state__"
# How the library says what the system refused.
SYSTEM_ERROR = re.compile(r"\(os error (\d+)\)")
# What the format calls its metadata.
METADATA = "__metadata__"


@dataclass(frozen=True)
class Weights:
    """All that a model consists of, by name, on the CPU; ``extra`` is what are no tensors."""

    tensors: Mapping[str, torch.Tensor]
    extra: Mapping[str, Mapping[str, object]]
    metadata: Mapping[str, str]

    def put_into(self, model: nn.Module) -> None:
        """Give them to a model on the CPU; raises StoreError where they are another model's."""
        fault = (
            misfit_of_tensors(model, self.tensors)
            or self._misfit_of_kinds(model)
            or misfit(model, self.extra)
        )
        if fault is not None:
            raise StoreError(f"the weights are not of this model: {fault}")
        put_tensors(model, self.tensors, torch.device("cpu"))
        set_extra_state(model, self.extra)

    def _misfit_of_kinds(self, model: nn.Module) -> str | None:
        for name, tensor in named_tensors(model).items():
            before, now = self.tensors[name].dtype, tensor.dtype
            kinds = [(dtype.is_floating_point, dtype.is_complex) for dtype in (before, now)]
            if kinds[0] != kinds[1]:
                return f"{name} was {before}, is {now}"
        return None


def write_weights(file: Path, model: nn.Module, metadata: Mapping[str, str]) -> None:
    """Write a model's parameters, buffers and extra state as they are at the moment.

    Raises OSError where the disk refuses, ValueError for a tensor and NotPlainError for extra state
    that such a file cannot hold.
    """
    tensors = {
        # A copy of its own: the file format knows no memory that is shared.
        name: tensor.detach().to("cpu", copy=True).contiguous()
        for name, tensor in named_tensors(model).items()
    }
    for name in (EXTRA_STATE, METADATA):
        if name in tensors:
            raise ValueError(f"{name}, a name that the file itself needs")
    state = extra_state(model)
    require_plain(state)
    if any(state.values()):
        tensors[EXTRA_STATE] = _as_tensor(state)
    try:
        with replacing(file) as temporary:
            save_file(tensors, temporary, metadata={"format": "pt", **metadata})
    except (SafetensorError, KeyError, TypeError, AttributeError) as error:
        if found := SYSTEM_ERROR.search(str(error)):
            raise OSError(int(found[1]), os.strerror(int(found[1]))) from error
        raise ValueError(str(error)) from error


def read_weights(file: Path) -> Weights:
    """Read what ``write_weights`` wrote; raises StoreError for what makes no sense."""
    try:
        with safe_open(file, framework="pt") as content:
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
            metadata = content.metadata() or {}
        saved = tensors.pop(EXTRA_STATE, None)
        extra = {"modules": {}, "generators": {}} if saved is None else _from_tensor(saved)
    except (SafetensorError, UnpicklingError, *NONSENSE_FAULTS) as error:
        raise StoreError(f"{file}: it makes no sense: {error}") from error
    return Weights(tensors, extra, metadata)


def _as_tensor(state: object) -> torch.Tensor:
    content = io.BytesIO()
    torch.save(state, content)
    return torch.frombuffer(bytearray(content.getvalue()), dtype=torch.uint8)


def _from_tensor(tensor: torch.Tensor) -> dict[str, dict[str, object]]:
    content = io.BytesIO(tensor.numpy().tobytes())
    state: dict[str, dict[str, object]] = torch.load(content, weights_only=True)
    return state
