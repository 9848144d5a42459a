"""Which device to train on, and how it is set up for a training."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from benchmark.errors import DeviceError
from benchmark.training.memory import keep_freed_memory
from benchmark.training.recording import on_a_stream_of_its_own


def resolve_device(name: str, *, remote: bool = False) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps`` into a device of this machine.

    ``cuda`` stays without a number: which GPU it is is for the executor to say. For ``remote``
    trials it is not looked for here.

    Raises DeviceError for one that this machine does not have.
    """
    if name == "auto":
        return torch.device(_best_device())
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(
            f"unknown device {name!r}; use auto, cpu, cuda, cuda:0 (the GPU's number) or mps"
        ) from error
    if remote and name not in ("cpu", "cuda"):
        raise DeviceError(
            f"--device {name}: trials on other machines are for cpu or cuda; which GPU it is is "
            "for their machine to say"
        )
    if remote:
        return device
    if device.type == "cuda":
        return _cuda_device(device)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("--device mps: this machine has no Apple GPU that PyTorch can use")
    if device.type not in ("cpu", "mps"):
        raise DeviceError(f"device {name!r} is not supported; use auto, cpu, cuda or mps")
    return device


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
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
    return device


@contextmanager
def tuned(device: torch.device, precision: str) -> Iterator[None]:
    """PyTorch's settings for a training: those that are faster, and fp32 that means fp32.

    Of several GPUs the training's own is the current one, and its work goes to one stream.
    """
    if device.type == "cpu":
        keep_freed_memory()
    if device.type != "cuda":
        yield
        return
    products, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = (products.allow_tf32, cudnn.allow_tf32, cudnn.benchmark)
    wanted = precision == "tf32"
    # Every batch has the same shape: cuDNN's search for the fastest algorithm is made once.
    _switch(wanted, wanted, True)
    try:
        with torch.cuda.device(device), on_a_stream_of_its_own(device):
            yield
    finally:
        _switch(*before)


def _switch(products_tf32: bool, cudnn_tf32: bool, cudnn_benchmark: bool) -> None:
    # Not by fp32_precision: torch.compile asks for these older settings, and asking raises an
    # error once the newer ones are set. Some releases of PyTorch warn of the older ones.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.backends.cuda.matmul.allow_tf32 = products_tf32
        torch.backends.cudnn.allow_tf32 = cudnn_tf32
    torch.backends.cudnn.benchmark = cudnn_benchmark
