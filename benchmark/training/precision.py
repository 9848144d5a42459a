"""The precision that a model computes in."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

from benchmark.errors import DeviceError

_BF16_CPU_FLAGS = {"avx512_bf16", "amx_bf16"}
# The first generation of NVIDIA's GPUs that has bf16 and TF32 (Ampere).
_AMPERE = (8, 0)


def resolve_precision(name: str, device: torch.device) -> str:
    """Turn ``auto`` into bf16 where the device computes it natively, else into fp32.

    Raises DeviceError for tf32 where there is none.
    """
    if name == "auto":
        return "bf16" if _computes_bf16(device) else "fp32"
    if name == "tf32" and not _is_ampere(device):
        raise DeviceError(
            f"precision tf32 needs an NVIDIA GPU of compute capability 8.0 or later, and {device} "
            "is none; use fp32 or bf16"
        )
    return name


def _computes_bf16(device: torch.device) -> bool:
    return _is_ampere(device) or (device.type == "cpu" and bool(_BF16_CPU_FLAGS & _cpu_flags()))


def _is_ampere(device: torch.device) -> bool:
    if device.type != "cuda":
        return False
    # One of another machine cannot be asked; it is taken for no older.
    return not torch.cuda.is_available() or torch.cuda.get_device_capability(device) >= _AMPERE


def _cpu_flags() -> set[str]:
    # Linux lists them; elsewhere bf16 is used only where asked for.
    if not sys.platform.startswith("linux"):
        return set()
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return set(flags.split())


def computing_in(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context of a forward pass.

    bf16 is autocast's: weights stay fp32 and are cast once, however often they are used. It ends
    with the forward pass; activation checkpointing enters it again for what it computes again.
    """
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()
