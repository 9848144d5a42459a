"""One training step: a batch in, the weights moved, loss and hits noted on the device."""

from __future__ import annotations

import torch
from torch import nn

from benchmark.entries import Optimization
from benchmark.training.data import ResidentImages
from benchmark.training.device import autocast


class TrainingStep:
    """The steps of one epoch after another, over images that lie on the device.

    ``losses`` and ``hits`` hold each step's mean loss and number of images classified rightly;
    they stay on the device until the epoch's end, so that no step waits for the host.
    """

    def __init__(
        self,
        model: nn.Module,
        optimization: Optimization,
        images: ResidentImages,
        batch_size: int,
        precision: str,
    ) -> None:
        self.model = model
        self.optimization = optimization
        self.images = images
        self.batch_size = batch_size
        self.precision = precision
        self.device = images.pixels.device
        self.steps_per_epoch = len(images) // batch_size
        self.losses = torch.zeros(self.steps_per_epoch, device=self.device)
        self.hits = torch.zeros(self.steps_per_epoch, dtype=torch.int64, device=self.device)
        self._order = torch.empty(0, dtype=torch.int64)
        self._step_of_training = 0
        self._base_rates = [group["lr"] for group in optimization.optimizer.param_groups]

    @property
    def learning_rate(self) -> float:
        """The first parameter group's learning rate at the last step."""
        return float(self.optimization.optimizer.param_groups[0]["lr"])

    def begin_epoch(self, order: torch.Tensor) -> None:
        """Set the order in which steps take the images; what fills no batch is left out."""
        self._order = order.to(self.device)

    def __call__(self, step: int) -> None:
        """Take step ``step`` (from 0) of the epoch."""
        start = step * self.batch_size
        pixels, labels = self.images.batch(self._order[start : start + self.batch_size])
        self._set_learning_rate()
        with autocast(self.device, self.precision):
            logits = self.model(pixels)
        logits = logits.float()
        loss = self.optimization.loss(logits, labels)
        self.optimization.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimization.optimizer.step()
        self.losses[step] = loss.detach()
        self.hits[step] = (logits.detach().argmax(1) == labels).sum()

    def _set_learning_rate(self) -> None:
        factor = self.optimization.learning_rates[self._step_of_training]
        self._step_of_training += 1
        for group, rate in zip(
            self.optimization.optimizer.param_groups, self._base_rates, strict=True
        ):
            group["lr"] = rate * factor
