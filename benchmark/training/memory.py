"""Memory: the most that a trial used, and how the allocator keeps it."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
# Blocks up to this size come from the heap. Older versions of glibc take no more than 32 MiB.
_LARGEST_BLOCKS = (2**31 - 1, 2**25)
_NEVER = 2**31 - 1


class PeakMemory:
    """The most memory used since this object was made.

    On CUDA, what PyTorch allocated on the device for the training: what is ``left_out`` does not
    count, and ``replayed_bytes``, which a graph uses without allocating, do. Elsewhere it is the
    process's resident size; Linux can start that count afresh, other systems count from the
    process's start.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._before = 0
        self.replayed_bytes = 0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            _return_freed_memory()
            _reset_peak_resident_size()

    def bytes(self) -> int:
        """The peak so far, in bytes."""
        if self._device.type != "cuda":
            return _peak_resident_bytes()
        present = torch.cuda.max_memory_allocated(self._device) + self.replayed_bytes
        return max(self._before, present)

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """Do not count what is allocated inside, and freed again, on CUDA."""
        if self._device.type != "cuda":
            yield
            return
        self._before = self.bytes()
        try:
            yield
        finally:
            torch.cuda.reset_peak_memory_stats(self._device)


def keep_freed_memory() -> None:
    """Let this process reuse the memory it frees, instead of handing it back each time.

    glibc maps large blocks anew for every allocation, and the kernel then clears each page: a
    sixth of a training step of ``baseline_cnn``. Other allocators are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _NEVER)
        any(mallopt(_M_MMAP_THRESHOLD, size) for size in _LARGEST_BLOCKS)


def _return_freed_memory() -> None:
    """Give the system back what earlier trials freed, lest it be counted to this one."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    # Only glibc's allocator can be asked.
    if trim is not None:
        trim(0)


def _reset_peak_resident_size() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        # Not Linux, or not permitted: the count then goes from the process's start.
        return


def _peak_resident_bytes() -> int:
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
