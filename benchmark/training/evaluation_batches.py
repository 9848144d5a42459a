"""How many images a model is given at a time when it is evaluated."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

# As many images as keep a CPU's cores busy without filling its memory with activations.
EVALUATION_BATCH = 500
# Of a GPU's whole memory, so that it is the same in each run there. The training keeps its own, and
# the batch whose memory was measured may have had a smaller workspace.
MEMORY_SHARE = 1 / 4
# From here on there is little to gain, and kernels come near to what 32 bits can number.
LARGEST_BATCH = 16 * EVALUATION_BATCH

Result = TypeVar("Result")


class EvaluationBatches:
    """The batches in which one model is evaluated, in each of its evaluations the same.

    On a GPU they are as large as a share of its memory allows, which the first evaluation finds
    out; elsewhere they are of EVALUATION_BATCH images. ``largest`` is how many images one may have,
    where that is known.
    """

    def __init__(self, largest: int | None = None) -> None:
        self._largest = largest

    def slices_of(self, images: int) -> list[slice]:
        """The batches of so many images."""
        if self._largest is None:
            return [*evaluation_batches(images)]
        return even_batches(images, self._largest)

    def measure_largest(
        self, images: int, device: torch.device, classify: Callable[[slice], object]
    ) -> None:
        """Find out on a GPU how large they may be, from the memory that some images take."""
        if self._largest is not None or device.type != "cuda" or images <= EVALUATION_BATCH:
            return
        before_bytes = torch.cuda.memory_allocated(device)
        with _no_search_for_algorithms():
            torch.cuda.reset_peak_memory_stats(device)
            classify(slice(0, EVALUATION_BATCH))
        taken_bytes = torch.cuda.max_memory_allocated(device) - before_bytes
        memory_bytes = torch.cuda.get_device_properties(device).total_memory
        self._largest = largest_batch(taken_bytes, memory_bytes)

    def within_memory(self, images: int, evaluate: Callable[[list[slice]], Result]) -> Result:
        """What ``evaluate`` returns for the batches.

        Where a larger batch than a CPU's cannot be carried out, for want of memory or because a
        kernel does not take so many numbers, batches are halved and the evaluation begins again.
        """
        while True:
            try:
                return evaluate(self.slices_of(images))
            except RuntimeError:
                if self._largest is None or self._largest <= EVALUATION_BATCH:
                    raise
                half = math.ceil(min(self._largest, images) / 2)
                self._largest = max(half, EVALUATION_BATCH)


@contextmanager
def _no_search_for_algorithms() -> Iterator[None]:
    """Keep cuDNN from its search, which tries algorithms that take far more memory than it uses."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def largest_batch(taken_bytes: int, memory_bytes: int) -> int:
    """How many images a batch may have where EVALUATION_BATCH of them take ``taken_bytes``.

    That number is doubled as often as the share of ``memory_bytes`` allows: so a measurement that
    comes out a little different seldom changes the batches, and with them a figure's last digits.
    """
    times = int(MEMORY_SHARE * memory_bytes) // max(taken_bytes, 1)
    return min(EVALUATION_BATCH << max(times.bit_length() - 1, 0), LARGEST_BATCH)


def even_batches(images: int, largest: int) -> list[slice]:
    """As few batches as there can be of at most ``largest`` images, as even as there can be."""
    count = math.ceil(images / largest)
    ends = [images * number // count for number in range(count + 1)]
    return [*map(slice, ends, ends[1:])]


def evaluation_batches(images: int) -> Iterator[slice]:
    """Batches of EVALUATION_BATCH images and what is left; one image left joins those before it."""
    start = 0
    while start < images:
        stop = start + EVALUATION_BATCH
        if stop >= images - 1:
            stop = images
        yield slice(start, stop)
        start = stop
