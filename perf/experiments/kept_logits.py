"""Losses and hits worked out once an epoch, from logits that are kept step by step.

A step then notes one tensor, where it finds the best class, compares, adds up and notes two. The
hits are the same, the losses are but for rounding: an epoch's are averaged in another order.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from perf.experiments.step import Step, StepWorkload
from perf.random_images import CLASSES


class KeptLogits(Step):
    """Keeps all logits of an epoch: 2 MB for 50,000 images in ten classes."""

    def __init__(self, workload: StepWorkload) -> None:
        super().__init__(workload)
        shape = (workload.steps, workload.batch_size, len(CLASSES))
        self._logits = torch.zeros(shape, device=self.device)

    def note(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Keep the logits."""
        del loss, labels
        self._logits.index_copy_(0, self.position, logits.unsqueeze(0))

    def finish(self) -> None:
        """Compute the epoch's losses and hits."""
        classes = self._logits.movedim(2, 1)
        losses = functional.cross_entropy(classes, self.labels, reduction="none")
        self.losses.copy_(losses.mean(1))
        self.hits.copy_((self._logits.argmax(2) == self.labels).sum(1))
