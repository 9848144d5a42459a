"""How many images a model is given at a time when it is evaluated."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

# As many images as keep a CPU's cores busy without filling its memory with activations.
EVALUATION_BATCH = 500
# Of a GPU's whole memory, so that it is the same in each run there. The training keeps its own, and
# the batch whose memory was measured may have had a smaller workspace.
MEMORY_SHARE = 1 / 4

Result = TypeVar("Result")


class EvaluationBatches:
    """The batches in which one model is evaluated, in each of its evaluations the same.

    On a GPU they are as large as a share of its memory allows, which the first evaluation finds
    out; elsewhere they are of EVALUATION_BATCH images. ``largest`` is how many images one may have,
    where that is known.
    """

    def __init__(self, largest: int | None = None) -> None:
        self._largest = largest

    def of(self, images: int) -> list[slice]:
        """The batches of so many images."""
        if self._largest is None:
            return [*evaluation_batches(images)]
        return even_batches(images, self._largest)

    def find_out(
        self, images: int, device: torch.device, classify: Callable[[slice], object]
    ) -> None:
        """Find out on a GPU how large they may be, from the memory that some images take."""
        if self._largest is not None or device.type != "cuda" or images <= EVALUATION_BATCH:
            return
        before_bytes = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        classify(slice(0, EVALUATION_BATCH))
        taken_bytes = torch.cuda.max_memory_allocated(device) - before_bytes
        memory_bytes = torch.cuda.get_device_properties(device).total_memory
        self._largest = largest_batch(taken_bytes, memory_bytes)

    def within_memory(self, images: int, evaluate: Callable[[list[slice]], Result]) -> Result:
        """What ``evaluate`` returns for the batches; where memory runs out they are halved first.

        Raises torch.OutOfMemoryError where they are as small as on a CPU.
        """
        while True:
            try:
                return evaluate(self.of(images))
            except torch.OutOfMemoryError:
                if self._largest is None or self._largest <= EVALUATION_BATCH:
                    raise
                half = math.ceil(min(self._largest, images) / 2)
                self._largest = max(half, EVALUATION_BATCH)


def largest_batch(taken_bytes: int, memory_bytes: int) -> int:
    """How many images a batch may have where EVALUATION_BATCH of them take ``taken_bytes``.

    That number is doubled as often as the share of ``memory_bytes`` allows: so a measurement that
    comes out a little different seldom changes the batches, and with them a figure's last digits.
    """
    times = int(MEMORY_SHARE * memory_bytes) // max(taken_bytes, 1)
    return EVALUATION_BATCH << max(times.bit_length() - 1, 0)


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
