"""How much memory images may take: all of a device's, but only a share of the host's."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import torch

from benchmark.environment import memory_bytes
from benchmark.errors import DeviceError
from benchmark.printable import size_text
from benchmark.protocol import DatasetRecord

# Several trials may be at work, and each has copies of its own.
HOST_SHARE = 0.25
# Of a device, where images are to be fewer because all of them do not fit.
SHARE_FOR_IMAGES = 0.75
# What a container may use, as Linux shows it inside of it; "max" where there is no limit.
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


def is_copied(image_bytes: int) -> bool:
    """Whether images of that size are copied into the host's memory; larger ones stay in place."""
    return image_bytes <= HOST_SHARE * host_memory_bytes()


def host_memory_bytes() -> float:
    """The memory of this machine, or of the container that this process is in."""
    available = float(memory_bytes() or math.inf)
    try:
        return min(available, float(_CONTAINER_LIMIT.read_text(encoding="ascii")))
    except (OSError, ValueError):
        return available


def require_room(dataset: DatasetRecord, device: torch.device) -> None:
    """Raise DeviceError where a data set's images do not fit into the device's memory.

    Of a GPU without a number it is that of the largest. A CPU has room for all: what is too large
    for its memory is read from the disk.
    """
    limit = device_memory_bytes(device)
    if dataset.image is None or limit is None:
        return
    of_one = math.prod(dataset.image)
    judging = dataset.test_images + (dataset.validation_images or 0)
    wanted = of_one * (dataset.train_images + judging)
    if wanted > limit:
        # A model, and what it computes, needs room as well.
        most = max(int(SHARE_FOR_IMAGES * limit / of_one) - judging, 0)
        fewer = f"train on fewer with --set train_images={most}, " if most else ""
        raise DeviceError(
            f"data set {dataset.name!r}: its images take {size_text(wanted)}, and {device} has "
            f"{size_text(limit)} of memory; {fewer}make them smaller, or use --device cpu"
        )


def device_memory_bytes(device: torch.device) -> int | None:
    """The memory of a GPU, of the largest where it has no number; None for a CPU."""
    if device.type == "cuda":
        indices: Iterable[int] = range(torch.cuda.device_count())
        if device.index is not None:
            indices = (device.index,)
        return max(torch.cuda.get_device_properties(index).total_memory for index in indices)
    if device.type == "mps":
        return torch.mps.recommended_max_memory()
    return None
