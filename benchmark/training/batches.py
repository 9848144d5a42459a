"""An epoch's batches, made on the device: gathered, augmented, transformed, normalised.

What needs no step in between is done for many steps at once: a part of the epoch is gathered and
augmented before the first of its steps, and each step takes its batch out of that part.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmark.optimization import Optimization
from benchmark.training.augment import Augmenter
from benchmark.training.data import ResidentImages
from benchmark.training.epoch_draws import EpochDraws, draw_epoch
from benchmark.training.layout import from_memory_order, in_memory_order, lay_out
from benchmark.training.preparation import Preparation
from benchmark.training.transforming import transformed

# What a part of an epoch may take on the device, unless a single batch takes more.
PART_BYTES = 2**26
# What is gathered at once: on a CPU as much as its caches hold, on a GPU as much as keeps it busy.
CPU_CHUNK_BYTES = 2**22
GPU_CHUNK_BYTES = 2**24


class Batches:
    """The batches of one epoch after another, as a recipe has them changed.

    ``position`` (int64 of 1, on the device) is the number of the next one. What is laid out is
    written anew, but never replaced: a graph knows its addresses.
    """

    def __init__(
        self,
        images: ResidentImages,
        batch_size: int,
        optimization: Optimization,
        preparation: Preparation,
    ) -> None:
        self.images = images
        self.per_epoch = len(images) // batch_size
        device = images.pixels.device
        _, height, width, channels = images.pixels.shape
        self._batch_size = batch_size
        self._augmenter = Augmenter(optimization.augment, height, width, device)
        self._transform = optimization.transform
        self._prepare = preparation
        self._drawn = self._draw(0, 0)
        self._order = self._drawn.order.to(device)
        self._augmentation = self._drawn.augmentation.to(device)
        transform = self._drawn.transform.view(self.per_epoch, batch_size, -1)
        self._transform_draws = transform.to(device)
        image_bytes = height * width * channels
        chunk_bytes = CPU_CHUNK_BYTES if device.type == "cpu" else GPU_CHUNK_BYTES
        self._chunk = max(1, chunk_bytes // image_bytes)
        steps = max(1, min(PART_BYTES // (batch_size * image_bytes), self.per_epoch))
        shape = (steps * batch_size, height, width, channels)
        part = torch.empty(shape, dtype=torch.uint8, device=device)
        self._pixels = in_memory_order(part, preparation.layout).contiguous()
        self._labels = torch.empty(steps * batch_size, dtype=torch.int64, device=device)
        self._steps_a_part = steps
        self._provided = 0
        # Side by side, so that one operation advances both.
        counters = torch.zeros(2, dtype=torch.int64, device=device)
        self._counters, self._batch_in_part, self.position = counters, counters[:1], counters[1:]

    def draw_ahead(self, seed: int, epoch: int) -> None:
        """Draw what an epoch takes before it begins, while the device is at work for another."""
        self._drawn = self._draw(seed, epoch)

    def lay_out(self, seed: int, epoch: int) -> None:
        """Lay out an epoch's order and draws; images that fill no batch are left out."""
        drawn = self._drawn if self._drawn.is_of(seed, epoch) else self._draw(seed, epoch)
        self._order.copy_(drawn.order)
        self._augmentation.copy_(drawn.augmentation)
        self._transform_draws.copy_(drawn.transform.view(self._transform_draws.shape))
        self._counters.zero_()
        self._provided = 0

    def provide(self) -> None:
        """Have the next batch lie where ``next`` takes it; to be called once before each step.

        Before a part's first step the images of that part are gathered and augmented.
        """
        step, self._provided = self._provided, self._provided + 1
        if step % self._steps_a_part == 0:
            self._gather_part(step * self._batch_size)

    def next(self) -> tuple[Tensor, Tensor]:
        """The batch at ``position``: pixels of B x C x H x W, labels of B or of B x classes.

        Raises BenchmarkError where the recipe's transform does not give that.
        """
        labels = self._of_batch(self._labels)
        pixels = from_memory_order(self._of_batch(self._pixels), self._prepare.layout)
        pixels = self._prepare.as_floats(pixels)
        if self._transform is not None:
            draws = self._transform_draws.index_select(0, self.position)[0]
            pixels, labels = transformed(self._transform, pixels, labels, draws)
            pixels = lay_out(pixels, self._prepare.layout)
        return self._prepare.normalized(pixels), labels

    def advance(self) -> None:
        """Have ``next`` give the batch after."""
        self._counters.add_(1)

    def first_unchanged(self, count: int) -> Iterator[Tensor]:
        """The pixels of the epoch's first batches, neither augmented nor transformed."""
        for indices in self._order.view(self.per_epoch, -1)[:count]:
            yield self._prepare(self.images.pixels.index_select(0, indices))

    def _gather_part(self, first: int) -> None:
        order = self._order[first : first + len(self._labels)]
        draws = self._augmentation[:, first : first + len(order)]
        self._labels[: len(order)] = self.images.labels.index_select(0, order)
        for start in range(0, len(order), self._chunk):
            chunk = slice(start, min(start + self._chunk, len(order)))
            pixels = self.images.pixels.index_select(0, order[chunk])
            pixels = self._augmenter.apply(pixels, draws[:, chunk])
            self._pixels[chunk] = in_memory_order(pixels, self._prepare.layout)
        self._batch_in_part.zero_()

    def _of_batch(self, part: Tensor) -> Tensor:
        batches = part.view(self._steps_a_part, self._batch_size, *part.shape[1:])
        return batches.index_select(0, self._batch_in_part)[0]

    def _draw(self, seed: int, epoch: int) -> EpochDraws:
        count = self.per_epoch * self._batch_size
        return draw_epoch(seed, epoch, len(self.images), count, self._augmenter, self._transform)
