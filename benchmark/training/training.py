"""A training: a batch in, the weights moved, loss and hits noted on the device, step by step.

A step is written once, in ``Training.move_weights``, and nothing in it waits for the host.
``Training`` takes it eagerly; ``benchmark.training.graph`` captures it and replays it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from benchmark.errors import PLUGIN_FAULTS, BenchmarkError, one_line
from benchmark.optimization import Normalization, Optimization
from benchmark.training.accumulation import Accumulation
from benchmark.training.average import WeightAverage
from benchmark.training.batch_norm import calibrated
from benchmark.training.batches import Batches
from benchmark.training.data import ResidentImages
from benchmark.training.dropout import cheap_dropout
from benchmark.training.layout import Layout
from benchmark.training.learning_rates import LearningRates
from benchmark.training.moved_parameters import of_no_model
from benchmark.training.optimizer_forms import evaluation_form, use_training_form
from benchmark.training.outputs import classes_of, float_outputs, require_fitting, require_scalar
from benchmark.training.precision import computing_in
from benchmark.training.preparation import Preparation


class Training:
    """The steps of one epoch after another, over images that lie on the device.

    ``losses`` and ``hits`` hold each step's mean loss and number of images classified rightly;
    they stay on the device until the epoch's end, so that no step waits for the host. Epochs that
    begin while ``drops_out`` is false are trained without dropout layers. ``logits`` finds the
    logits in what the model returns in training mode, where that may be more.
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
        logits: Callable[[Any], Tensor] | None = None,
    ) -> None:
        self.model = model
        self.optimization = optimization
        self.batch_size = batch_size
        self.precision = precision
        self.compiled = compiled
        self.device = images.pixels.device
        self.drops_out = True
        self.prepare = Preparation(
            layout,
            optimization.normalization,
            channels=images.pixels.shape[3],
            device=self.device,
        )
        self.batches = Batches(images, batch_size, optimization, self.prepare)
        self.steps_per_epoch = self.batches.per_epoch
        self.steps_taken = 0
        self.losses = torch.zeros(self.steps_per_epoch, device=self.device)
        self.hits = torch.zeros(self.steps_per_epoch, dtype=torch.int64, device=self.device)
        decay = optimization.ema_decay
        self.average = None if decay is None else WeightAverage(model, decay)
        self.rates = LearningRates(optimization)
        self._accumulation = Accumulation(optimization.accumulated_batches, self.steps_per_epoch)
        self._logits = logits
        self._forward: Callable[[Tensor], Any] = torch.compile(model) if compiled else model
        # A loss may have some of its own.
        self.other_parameters = of_no_model(model, optimization)
        use_training_form(optimization.optimizers)

    @property
    def normalization(self) -> Normalization | None:
        """What images are normalised with before the model is given them."""
        return self.optimization.normalization

    @property
    def learning_rate(self) -> float:
        """The first parameter group's learning rate at the last step."""
        return self.rates.first_at(self.steps_taken - 1)

    def begin_epoch(self, seed: int, epoch: int) -> None:
        """Have the model train, and lay out what the epoch's steps take."""
        self.model.train()
        if not self.drops_out:
            for layer in self.model.modules():
                if isinstance(layer, _DropoutNd):
                    layer.eval()
        self.batches.lay_out(seed, epoch)

    def change_for_epoch(self, epoch: int) -> None:
        """Have the recipe change what it changes before that epoch's first step.

        Raises BenchmarkError where that fails.
        """
        on_epoch_start = self.optimization.on_epoch_start
        if on_epoch_start is None:
            return
        try:
            on_epoch_start(self.model, epoch)
        except PLUGIN_FAULTS as error:
            raise BenchmarkError(
                f"the recipe's on_epoch_start failed in epoch {epoch}: {one_line(error)}"
            ) from error

    def draw_ahead(self, seed: int, epoch: int) -> None:
        """Draw on the host what that epoch takes, if there is one."""
        if self.steps_taken < len(self.optimization.learning_rate_factors):
            self.batches.draw_ahead(seed, epoch)

    def take(self, count: int) -> None:
        """Take the next ``count`` steps, eagerly."""
        groups = self.rates.groups()
        for _ in range(count):
            self.rates.put_at(self.steps_taken, groups)
            self._accumulation.go_to(self.steps_taken % self.steps_per_epoch)
            self.batches.provide()
            self.move_weights()
            self.steps_taken += 1

    def move_weights(self) -> None:
        """Do all of a step but setting the learning rate; the device alone is at work."""
        pixels, labels = self.batches.next()
        update = self.optimization.update
        if update is not None:
            loss, logits = self._updated_by(update, pixels, labels)
        else:
            loss, logits = self._find_gradients(pixels, labels)
            if self._accumulation.is_last:
                for optimizer in self.optimization.optimizers:
                    optimizer.step()
        if self.average is not None and self._accumulation.is_last:
            self.average.update()
        hits = (logits.detach().argmax(1) == classes_of(labels)).sum()
        self.losses.index_copy_(0, self.batches.position, loss.detach().float().view(1))
        self.hits.index_copy_(0, self.batches.position, hits.view(1))
        self.batches.advance()

    def _find_gradients(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Find the gradients of a batch's mean loss; returns the loss and the logits."""
        if self._accumulation.is_first:
            for optimizer in self.optimization.optimizers:
                optimizer.zero_grad(set_to_none=True)
        with nullcontext() if self.compiled else cheap_dropout(self.device):
            with computing_in(self.precision, self.device):
                outputs = self._forward(pixels)
            outputs = float_outputs(outputs)
            logits = outputs if self._logits is None else self._logits(outputs)
            require_fitting(labels, logits)
            loss = require_scalar(self.optimization.loss(outputs, labels))
            self._accumulation.share_of(loss).backward()  # type: ignore[no-untyped-call]
        return loss, logits

    def _updated_by(
        self, update: Callable[[Callable[[], Tensor]], object], pixels: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Have the recipe take the step; returns what its first call of the closure came to."""
        found: list[tuple[Tensor, Tensor]] = []

        def closure() -> Tensor:
            # An optimiser's step may be without gradients, but for this.
            with torch.enable_grad():
                loss, logits = self._find_gradients(pixels, labels)
            if not found:
                found.append((loss.detach(), logits.detach()))
            return loss.detach()

        update(closure)
        if not found:
            raise BenchmarkError(
                "the recipe's update returned without a call of its closure, which finds the "
                "gradients: call it once or more, as update=optimizer.step does"
            )
        return found[0]

    @contextmanager
    def evaluated_model(self) -> Iterator[nn.Module]:
        """The model as the recipe has it evaluated: averaged, calibrated, or as it is."""
        with ExitStack() as lent:
            lent.enter_context(evaluation_form(self.model, self.optimization.optimizers))
            if self.average is not None:
                lent.enter_context(self.average.in_the_model())
            if self.optimization.calibration_images:
                count = math.ceil(self.optimization.calibration_images / self.batch_size)
                batches = self.batches.first_unchanged(count)
                lent.enter_context(calibrated(self.model, batches, self.precision))
            yield self.model
