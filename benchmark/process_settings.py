"""A process's settings, of PyTorch's above all, which a model may change.

What a trial is trained with is for the run to say, and the next trial of the process should find
them as this one did.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Setting:
    """One setting: its name, as messages give it, and how it is read and written."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]


def _autocast(device: str) -> Setting:
    return Setting(
        f"autocast on {device}",
        lambda: torch.is_autocast_enabled(device),
        lambda enabled: torch.set_autocast_enabled(device, enabled),
    )


def _flushes_denormals() -> bool:
    # There is a function that sets it, and none that tells.
    return not torch.tensor(1e-40, dtype=torch.float32, device="cpu").mul(0.5).item()


def _write_default_device(device: torch.device) -> None:
    # None, since any device costs every call of PyTorch's a look at it.
    torch.set_default_device(None if device.type == "cpu" else device)


def _read_folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109
    except OSError:
        # It has been removed.
        return None


def _write_folder(folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


def _write_deterministic(state: tuple[bool, bool]) -> None:
    enabled, only_warns = state
    torch.use_deterministic_algorithms(enabled, warn_only=only_warns)


def _write_anomaly(state: tuple[bool, bool]) -> None:
    enabled, checks_nan = state
    torch.autograd.set_detect_anomaly(enabled, check_nan=checks_nan)


def _attribute(holder: Any, name: str, label: str) -> Setting:
    return Setting(label, lambda: getattr(holder, name), lambda value: setattr(holder, name, value))


SETTINGS = (
    Setting("the number of threads", torch.get_num_threads, torch.set_num_threads),
    Setting("the default dtype", torch.get_default_dtype, torch.set_default_dtype),
    Setting("the default device", torch.get_default_device, _write_default_device),
    Setting("gradients", torch.is_grad_enabled, lambda enabled: torch.set_grad_enabled(enabled)),
    Setting(
        "deterministic algorithms",
        lambda: (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        _write_deterministic,
    ),
    Setting(
        "anomaly detection",
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        _write_anomaly,
    ),
    Setting(
        "the precision of float32 products",
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    Setting("flushing denormal numbers", _flushes_denormals, torch.set_flush_denormal),
    _autocast("cpu"),
    _autocast("cuda"),
    _attribute(torch.backends.cudnn, "enabled", "cuDNN"),
    _attribute(torch.backends.cudnn, "benchmark", "cuDNN's search"),
    _attribute(torch.backends.cudnn, "deterministic", "cuDNN's determinism"),
    _attribute(torch.backends.mkldnn, "enabled", "oneDNN"),
    Setting(
        "attention's fast path",
        torch.backends.mha.get_fastpath_enabled,
        torch.backends.mha.set_fastpath_enabled,
    ),
    Setting("the current folder", _read_folder, _write_folder),
)


@contextmanager
def settings_put_back(warn: Callable[[str], None]) -> Iterator[None]:
    """Put back what is changed inside; ``warn`` gets a line for each setting that was."""
    before = [setting.read() for setting in SETTINGS]
    try:
        yield
    finally:
        for setting, value in zip(SETTINGS, before, strict=True):
            now = setting.read()
            if now != value:
                setting.write(value)
                warn(f"{setting.name} from {_text(value)} to {_text(now)}")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    # The first says whether it is on, the others how.
    return _text(value[0]) if isinstance(value, tuple) else str(value)
