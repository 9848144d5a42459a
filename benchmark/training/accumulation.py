"""Which of an epoch's steps clear the gradients, and which move the weights."""

from __future__ import annotations

from torch import Tensor


class Accumulation:
    """Gradients gathered over so many ``batches``, of which the last of an epoch may be fewer.

    ``step`` is the number of the present step in its epoch, from 0.
    """

    def __init__(self, batches: int, steps_per_epoch: int) -> None:
        self._batches = batches
        self._steps_per_epoch = steps_per_epoch
        self.step = 0

    @property
    def is_first(self) -> bool:
        """Whether gradients begin anew with this step."""
        return self.step % self._batches == 0

    @property
    def is_last(self) -> bool:
        """Whether the weights move with this step."""
        done = self.step + 1
        return done % self._batches == 0 or done == self._steps_per_epoch

    def share_of(self, loss: Tensor) -> Tensor:
        """What the step's mean loss adds to that over all batches that move the weights together.

        Each counts alike, also where fewer are left at an epoch's end.
        """
        if self._batches == 1:
            return loss
        first = self.step - self.step % self._batches
        return loss / min(self._batches, self._steps_per_epoch - first)
