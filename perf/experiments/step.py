"""The step as it is, written once and small, so that an experiment changes one thing of it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn, optim
from torch.nn import functional
from torch.optim.swa_utils import get_ema_multi_avg_fn

from benchmark.training import (
    INITIAL_WEIGHTS,
    ResidentImages,
    cheap_dropout,
    computing_in,
    seed_everything,
)
from perf.built_in import build_model
from perf.random_images import draw_images
from perf.workload import EPSILON, LEARNING_RATE

# As the recipe ``sgd_onecycle`` has them; its rate stays at the peak here.
PEAK_RATE = 0.1
MOMENTUM = 0.9
MAX_NORM = 1.0
DECAY = 0.99
# As nn.utils.clip_grad_norm_ has it.
NORM_EPSILON = 1e-6


@dataclass(frozen=True)
class StepWorkload:
    """So many ``steps`` an epoch of ``model``, by the optimiser of ``recipe``, on noise.

    With ``sgd_onecycle`` gradients are clipped and weights averaged. ``dropout`` multiplies the
    model's rates.
    """

    model: str
    device: torch.device
    recipe: str = "adam"
    batch_size: int = 128
    steps: int = 390
    precision: str = "bf16"
    dropout: float = 1.0
    seed: int = 0


class Step:
    """One step, which can be captured: nothing in it waits for the host.

    ``begin()``, so many calls as ``calls`` says, and ``finish()`` are an epoch; ``losses`` and
    ``hits`` then have each step's mean loss and number of images classified rightly.
    """

    def __init__(self, workload: StepWorkload) -> None:
        self.workload = workload
        self.device = workload.device
        self.calls = workload.steps
        seed_everything(workload.seed, INITIAL_WEIGHTS)
        model = build_model(workload.model, dropout=workload.dropout)
        model.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = self.changed(model).train()
        self.weights = [*self.model.parameters()]
        self.averaged = [
            tensor.detach()
            for tensor in [*self.weights, *self.model.buffers()]
            if tensor.is_floating_point()
        ]
        self.averages = [tensor.clone() for tensor in self.averaged]
        self.optimizer = self._make_optimizer()
        images = draw_images(workload.steps * workload.batch_size, workload.seed)
        resident = ResidentImages(images, self.device)
        # Batch by batch, as the product lays an epoch out.
        self.pixels = resident.pixels.view(workload.steps, -1, *resident.pixels.shape[1:])
        self.labels = resident.labels.view(workload.steps, -1)
        self.position = torch.zeros(1, dtype=torch.int64, device=self.device)
        self.losses = torch.zeros(workload.steps, device=self.device)
        self.hits = torch.zeros(workload.steps, dtype=torch.int64, device=self.device)
        self._update_averages = get_ema_multi_avg_fn(DECAY)  # type: ignore[no-untyped-call]

    def begin(self) -> None:
        """Go to the epoch's first batch."""
        self.position.zero_()

    def __call__(self) -> None:
        """Take the next step."""
        pixels, labels = self.batch()
        self.optimizer.zero_grad(set_to_none=True)
        with self.dropout():
            with computing_in(self.workload.precision, self.device):
                logits = self.forward(pixels)
            logits = logits.float()
            loss = functional.cross_entropy(logits, labels)
            loss.backward()  # type: ignore[no-untyped-call]
        self.gather_gradients()
        if self.workload.recipe == "sgd_onecycle":
            self.clip()
        self.optimizer.step()
        if self.workload.recipe == "sgd_onecycle":
            self.average()
        self.note(loss.detach(), logits.detach(), labels)
        self.position.add_(1)

    def batch(self) -> tuple[Tensor, Tensor]:
        """The pixels (B x C x H x W, between 0 and 1) and labels at ``position``."""
        pixels = self.pixels.index_select(0, self.position)[0].to(torch.float32).div_(255)
        return pixels.permute(0, 3, 1, 2), self.labels.index_select(0, self.position)[0]

    def finish(self) -> None:
        """Work out what is left to work out once an epoch: here nothing."""

    # What experiments change.

    def changed(self, model: nn.Module) -> nn.Module:
        """The model that is trained, on its device."""
        return model

    def dropout(self) -> AbstractContextManager[object]:
        """How dropout draws its masks."""
        return cheap_dropout(self.device)

    def forward(self, pixels: Tensor) -> Tensor:
        """The logits, of B x classes."""
        logits: Tensor = self.model(pixels)
        return logits

    def gather_gradients(self) -> None:
        """Bring the gradients to where the optimiser looks for them: they are there."""

    def clip(self) -> None:
        """Limit the norm of all gradients together."""
        nn.utils.clip_grad_norm_(self.weights, MAX_NORM)

    def average(self) -> None:
        """Take the present weights into their moving average."""
        self._update_averages(self.averages, self.averaged, 0)

    def note(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Note what the step came to."""
        hits = (logits.argmax(1) == labels).sum()
        self.losses.index_copy_(0, self.position, loss.view(1))
        self.hits.index_copy_(0, self.position, hits.view(1))

    def _make_optimizer(self) -> optim.Optimizer:
        has_cuda = self.device.type == "cuda"
        optimizer: optim.Optimizer
        if self.workload.recipe == "adam":
            optimizer = optim.Adam(
                self.weights, lr=LEARNING_RATE, eps=EPSILON, fused=True, capturable=has_cuda
            )
        else:
            optimizer = optim.SGD(
                self.weights, lr=PEAK_RATE, momentum=MOMENTUM, nesterov=True, fused=True
            )
        if has_cuda:
            # A graph reads it on the device, as the product's do.
            for group in optimizer.param_groups:
                group["lr"] = torch.tensor(group["lr"], device=self.device)
        return optimizer
