"""What a measurement was made on: versions, hardware, the state of the code."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

_CORE = "benchmark-models"
_DISTRIBUTIONS = (_CORE, "torch", "torchvision", "numpy")


def describe_environment() -> dict[str, Any]:
    """Versions, processor, memory, GPUs and git state, as plain data."""
    return {
        "versions": versions(),
        **describe_hardware(),
        "git": _git_state(Path.cwd()),
    }


def describe_hardware(*, with_gpus: bool = True) -> dict[str, Any]:
    """What this process runs on. To look at GPUs starts CUDA, which takes memory."""
    return {
        "platform": platform.platform(),
        "processor": processor_name(),
        "cores": _available_cores(),
        "threads": torch.get_num_threads(),
        "memory_bytes": memory_bytes(),
        "gpus": _gpus() if with_gpus else [],
    }


def core_version() -> str:
    """The version of this project's distribution."""
    return versions()[_CORE]


def versions() -> dict[str, str]:
    """The versions of Python and of what a figure can depend on."""
    found = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def processor_name() -> str:
    """The processor's model, as the system calls it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int | None:
    """The machine's memory; None where the system does not say."""
    if sys.platform == "win32":
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _gpus() -> list[dict[str, Any]]:
    gpus = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        gpus.append(
            {
                "name": properties.name,
                "memory_bytes": properties.total_memory,
                "capability": f"{properties.major}.{properties.minor}",
                "cuda": torch.version.cuda,
            }
        )
    return gpus


def _git_state(folder: Path) -> dict[str, Any] | None:
    """The commit checked out in ``folder`` and whether it has changes; None outside a checkout."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "changed": bool(_git(folder, "status", "--porcelain"))}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
