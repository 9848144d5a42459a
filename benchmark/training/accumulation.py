"""Which of an epoch's steps clear the gradients, and which move the weights."""

from __future__ import annotations

from torch import Tensor


class Accumulation:
    """Gradients gathered over so many ``batches``, of which the last of an epoch may be fewer.

    Of the present step, ``is_first`` says whether gradients begin anew with it, ``is_last`` whether
    the weights move with it, and ``together`` how many batches' gradients they move by.
    """

    def __init__(self, batches: int, steps_per_epoch: int) -> None:
        self._batches = batches
        self._steps_per_epoch = steps_per_epoch
        self.is_first = self.is_last = True
        self.together = 1

    def go_to(self, step: int) -> None:
        """Say that it is this step's turn, counted in its epoch from 0."""
        if self._batches == 1:
            return
        number = step % self._batches
        left = self._steps_per_epoch - (step - number)
        self.together = min(self._batches, left)
        self.is_first = number == 0
        self.is_last = number == self.together - 1

    def share_of(self, loss: Tensor) -> Tensor:
        """What the step's mean loss adds to that over all batches that move the weights together.

        Each counts alike, also where fewer are left at an epoch's end.
        """
        return loss if self.together == 1 else loss / self.together
