"""The framework with one of its choices undone, or with one more made: does it pay?"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from importlib import import_module
from typing import Any

import torch

from perf.contenders import framework
from perf.turns import Turns
from perf.workload import Workload

# To undo a choice is to reach behind the room's face.
device: Any = import_module("benchmark.training.device")
dropout: Any = import_module("benchmark.training.dropout")


def contend(workload: Workload, turns: Turns, choice: str) -> None:
    """Contend as the framework does, after ``choice`` has been made."""
    framework.contend(CHOICES[choice](workload), turns)


def _one_thread(workload: Workload) -> Workload:
    torch.set_num_threads(1)
    return workload


def _pytorch_dropout(workload: Workload) -> Workload:
    dropout.CheapDropout = nullcontext
    return workload


def _returned_memory(workload: Workload) -> Workload:
    device.keep_freed_memory = lambda: None
    return workload


def _flushed_denormals(workload: Workload) -> Workload:
    torch.set_flush_denormal(True)
    return workload


def _huge_pages(workload: Workload) -> Workload:
    # Read by PyTorch's allocator when it is first asked for memory.
    os.environ["THP_MEM_ALLOC_ENABLE"] = "1"
    return workload


def _fp32_by_bf16(workload: Workload) -> Workload:
    mkldnn: Any = torch.backends.mkldnn
    for operations in (mkldnn.conv, mkldnn.matmul):
        operations.fp32_precision = "bf16"
    return _fp32(workload)


def _fp32(workload: Workload) -> Workload:
    return replace(workload, precision="fp32")


def _compiled(workload: Workload) -> Workload:
    return replace(workload, compiled=True)


CHOICES: dict[str, Callable[[Workload], Workload]] = {
    "one_thread": _one_thread,
    "pytorch_dropout": _pytorch_dropout,
    "returned_memory": _returned_memory,
    "flushed_denormals": _flushed_denormals,
    "huge_pages": _huge_pages,
    "fp32": _fp32,
    "fp32_by_bf16": _fp32_by_bf16,
    "compiled": _compiled,
}
