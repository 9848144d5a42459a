"""Which device to train on, and in which precision."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

from benchmark.errors import DeviceError

_BF16_CPU_FLAGS = {"avx512_bf16", "amx_bf16"}


def resolve_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps`` into a device of this machine.

    Raises DeviceError for one that it does not have.
    """
    if name == "auto":
        return torch.device(_best_device())
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(
            f"unknown device {name!r}; use auto, cpu, cuda, cuda:0 (the GPU's number) or mps"
        ) from error
    if device.type == "cuda":
        return _cuda_device(device)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("--device mps: this machine has no Apple GPU that PyTorch can use")
    if device.type not in ("cpu", "mps"):
        raise DeviceError(f"device {name!r} is not supported; use auto, cpu, cuda or mps")
    return device


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _cuda_device(device: torch.device) -> torch.device:
    if not torch.cuda.is_available():
        raise DeviceError(
            f"--device {device}: PyTorch finds no CUDA GPU here; use --device cpu, "
            "or see 'benchmark env' for what it does find"
        )
    index, count = device.index or 0, torch.cuda.device_count()
    if index >= count:
        raise DeviceError(
            f"--device {device}: there are only {count} GPUs, cuda:0 to cuda:{count - 1}"
        )
    return torch.device("cuda", index)


def resolve_precision(name: str, device: torch.device) -> str:
    """Turn ``auto`` into bf16 where the device computes it natively, else into fp32."""
    if name == "auto":
        return "bf16" if _computes_bf16(device) else "fp32"
    return name


def _computes_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and bool(_BF16_CPU_FLAGS & _cpu_flags())


def _cpu_flags() -> set[str]:
    # Linux lists them; elsewhere bf16 is used only where asked for.
    if not sys.platform.startswith("linux"):
        return set()
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return set(flags.split())


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The context in which the forward pass runs: bf16 autocast, or nothing for fp32."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()
