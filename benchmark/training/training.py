"""A training: a batch in, the weights moved, loss and hits noted on the device, step by step.

A step is written once, in ``Training.move_weights``, and nothing in it waits for the host.
``Training`` takes it eagerly; ``benchmark.training.graph`` captures it and replays it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from benchmark.entries import Optimization
from benchmark.errors import PLUGIN_FAULTS, BenchmarkError, one_line
from benchmark.training.augment import Augmenter
from benchmark.training.average import WeightAverage
from benchmark.training.batch_norm import calibrated
from benchmark.training.data import ResidentImages, as_floats, epoch_order
from benchmark.training.dropout import cheap_dropout
from benchmark.training.extra_state import UnsavedAttributes
from benchmark.training.layout import Layout
from benchmark.training.precision import computing_in


class Training:
    """The steps of one epoch after another, over images that lie on the device.

    ``losses`` and ``hits`` hold each step's mean loss and number of images classified rightly;
    they stay on the device until the epoch's end, so that no step waits for the host. Epochs that
    begin while ``drops_out`` is false are trained without dropout layers.
    """

    def __init__(
        self,
        model: nn.Module,
        optimization: Optimization,
        images: ResidentImages,
        batch_size: int,
        precision: str,
        *,
        compiled: bool = False,
        layout: Layout = "channels_last",
    ) -> None:
        self.model = model
        self.optimization = optimization
        self.images = images
        self.batch_size = batch_size
        self.precision = precision
        self.compiled = compiled
        self.layout = layout
        self.device = images.pixels.device
        self.drops_out = True
        self.steps_per_epoch = len(images) // batch_size
        self.steps_taken = 0
        self.losses = torch.zeros(self.steps_per_epoch, device=self.device)
        self.hits = torch.zeros(self.steps_per_epoch, dtype=torch.int64, device=self.device)
        decay = optimization.ema_decay
        self.average = None if decay is None else WeightAverage(model, decay)
        _, height, width, _ = images.pixels.shape
        self._augmenter = Augmenter(optimization.augment, height, width, self.device)
        self._forward: Callable[[torch.Tensor], torch.Tensor] = (
            torch.compile(model) if compiled else model
        )
        # Written anew for every epoch and step, but never replaced: a graph knows their addresses.
        self.position = torch.zeros(1, dtype=torch.int64, device=self.device)
        self._order = torch.zeros(self.steps_per_epoch, batch_size, dtype=torch.int64)
        self._order = self._order.to(self.device)
        self._draws = self._augmenter.draw(self._order.numel(), 0, 0)
        self._draws = self._draws.view(*self._order.shape, -1).to(self.device)
        self.rates = [group["lr"] for group in optimization.optimizer.param_groups]
        # What the recipe leaves alone.
        self._left_alone = {*self._without_optimizer()}
        self.unsaved_attributes = UnsavedAttributes(model)

    @property
    def learning_rate(self) -> float:
        """The first parameter group's learning rate at the last step."""
        return float(self.rates[0] * self.optimization.learning_rate_factors[self.steps_taken - 1])

    def begin_epoch(self, seed: int, epoch: int) -> None:
        """Have the model train, and lay out what the epoch's steps take.

        Images that fill no batch are left out.
        """
        self.model.train()
        if not self.drops_out:
            for layer in self.model.modules():
                if isinstance(layer, _DropoutNd):
                    layer.eval()
        order = epoch_order(len(self.images), seed, epoch)[: self._order.numel()]
        self._order.copy_(order.view(self._order.shape))
        if self._augmenter.changes_images:
            draws = self._augmenter.draw(len(order), seed, epoch)
            self._draws.copy_(draws.view(self._draws.shape))
        self.position.zero_()

    def change_for_epoch(self, epoch: int) -> None:
        """Have the recipe change what it changes before that epoch's first step.

        Raises BenchmarkError where that fails.
        """
        on_epoch_start = self.optimization.on_epoch_start
        if on_epoch_start is None:
            return
        try:
            # A training that resumes has these changes made again.
            with self.unsaved_attributes.left_out():
                on_epoch_start(self.model, epoch)
        except PLUGIN_FAULTS as error:
            raise BenchmarkError(
                f"the recipe's on_epoch_start failed in epoch {epoch}: {one_line(error)}"
            ) from error

    def take(self, count: int) -> None:
        """Take the next ``count`` steps, eagerly."""
        groups = self.optimization.optimizer.param_groups
        for _ in range(count):
            factor = self.optimization.learning_rate_factors[self.steps_taken]
            for group, rate in zip(groups, self.rates, strict=True):
                group["lr"] = float(rate * factor)
            self.move_weights()
            self.steps_taken += 1

    def move_weights(self) -> None:
        """Do all of a step but setting the learning rate; the device alone is at work."""
        optimizer = self.optimization.optimizer
        pixels, labels = self._next_batch()
        optimizer.zero_grad(set_to_none=True)
        with nullcontext() if self.compiled else cheap_dropout(self.device):
            with computing_in(self.precision, self.device):
                logits = self._forward(pixels)
            logits = logits.float()
            loss = self.optimization.loss(logits, labels)
            loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if self.average is not None:
            self.average.update()
        hits = (logits.detach().argmax(1) == labels).sum()
        self.losses.index_copy_(0, self.position, loss.detach().float().view(1))
        self.hits.index_copy_(0, self.position, hits.view(1))
        self.position.add_(1)

    def _next_batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Gather images: floats of B x C x H x W between 0 and 1, and B labels."""
        indices = self._order.index_select(0, self.position)[0]
        labels = self.images.labels.index_select(0, indices)
        if not self._augmenter.changes_images:
            return self._as_floats(self.images.pixels.index_select(0, indices)), labels
        draws = self._draws.index_select(0, self.position)[0]
        return self._as_floats(self._augmenter.gather(self.images.pixels, indices, draws)), labels

    def _as_floats(self, pixels: torch.Tensor) -> torch.Tensor:
        return as_floats(pixels, self.layout)

    @contextmanager
    def evaluated_model(self) -> Iterator[nn.Module]:
        """The model as the recipe has it evaluated: averaged, calibrated, or as it is."""
        with ExitStack() as lent:
            if self.average is not None:
                lent.enter_context(self.average.in_the_model())
            if self.optimization.calibration_images:
                batches = self._calibration_batches()
                lent.enter_context(calibrated(self.model, batches, self.precision))
            yield self.model

    def _calibration_batches(self) -> Iterator[torch.Tensor]:
        """The first batches of the epoch, their images as they are."""
        count = math.ceil(self.optimization.calibration_images / self.batch_size)
        for indices in self._order[:count]:
            yield self._as_floats(self.images.pixels.index_select(0, indices))

    def lost_parameters(self) -> list[str]:
        """The names of those that became trainable since the start, which no step moves."""
        return [name for name in self._without_optimizer() if name not in self._left_alone]

    def _without_optimizer(self) -> Iterator[str]:
        groups = self.optimization.optimizer.param_groups
        moved = {id(parameter) for group in groups for parameter in group["params"]}
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad and id(parameter) not in moved:
                yield name
