"""What is measured, and on what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from benchmark.training import resolve_device, resolve_precision


@dataclass(frozen=True)
class Options:
    """What the command line says.

    ``count`` images are an epoch, of ``batch_size`` a step; ``repeats`` epochs of each contender
    are timed. ``epochs`` and ``seeds`` are those of whole trainings, on ``images`` if there are
    some. ``work`` is a folder for what is not to be carried home.
    """

    out: Path
    work: Path
    device_name: str
    images: Path | None
    count: int
    batch_size: int
    batch_sizes: tuple[int, ...]
    repeats: int
    epochs: int
    seeds: int

    @cached_property
    def device(self) -> torch.device:
        """The device; to look for it starts CUDA, which no process may do that forks others."""
        device = resolve_device(self.device_name)
        return torch.device("cuda", device.index or 0) if device.type == "cuda" else device

    @property
    def has_cuda(self) -> bool:
        """Whether it is a GPU that can capture; asks no library."""
        return self.device_name.startswith("cuda")

    @property
    def precision(self) -> str:
        """The precision of all that is measured."""
        return resolve_precision("auto", self.device)

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return self.count // self.batch_size
