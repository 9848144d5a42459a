"""What is drawn for an epoch on the host, all of it before the epoch's first step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.optimization import Transform
from benchmark.training.augment import Augmenter
from benchmark.training.data import epoch_order
from benchmark.training.seeds import TRANSFORM_STREAM, generator


@dataclass(frozen=True)
class EpochDraws:
    """An epoch's images in their order, and what augments and transforms each of them.

    ``order`` is int64 of N, ``augmentation`` small integers of 5 x N (of 5 x 0 where there is
    none), ``transform`` float32 of N x what the recipe's transform draws.
    """

    seed: int
    epoch: int
    order: Tensor
    augmentation: Tensor
    transform: Tensor

    def is_of(self, seed: int, epoch: int) -> bool:
        """Whether they were drawn for that epoch."""
        return (self.seed, self.epoch) == (seed, epoch)


def draw_epoch(
    seed: int,
    epoch: int,
    size: int,
    count: int,
    augmenter: Augmenter,
    transform: Transform | None,
) -> EpochDraws:
    """Draw for the first ``count`` of ``size`` images; (seed, epoch) decide all of it."""
    columns = 0 if transform is None else transform.draws
    random = generator(TRANSFORM_STREAM, seed, epoch)
    return EpochDraws(
        seed,
        epoch,
        order=epoch_order(size, seed, epoch)[:count],
        augmentation=augmenter.draw(count if augmenter.changes_images else 0, seed, epoch),
        transform=torch.from_numpy(random.random((count, columns), "float32")),
    )
