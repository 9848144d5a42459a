"""Lightning's Trainer over the same data loader; what it logs, saves and shows is switched off."""

from __future__ import annotations

import time

import lightning
import torch
from torch import nn, optim
from torch.nn import functional

from perf.contenders.image_loader import make_loader
from perf.contenders.torch_models import build, count_values
from perf.turns import Turns
from perf.workload import EPSILON, LEARNING_RATE, Workload


class Classifier(lightning.LightningModule):  # type: ignore[misc]
    """A model, its loss and its optimiser, as Lightning wants them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
        """The mean loss of a batch."""
        del index
        pixels, labels = batch
        return functional.cross_entropy(self.model(pixels), labels)

    def configure_optimizers(self) -> optim.Optimizer:
        """Adam, as everywhere."""
        return optim.Adam(self.parameters(), lr=LEARNING_RATE, eps=EPSILON)


class EpochClock(lightning.Callback):  # type: ignore[misc]
    """Times each epoch, and waits for the next turn after it."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._start = 0.0

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Start the clock. The loader is asked for its first batch after this."""
        self._start = time.perf_counter()

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Give the epoch's seconds."""
        if not self._turns.give(time.perf_counter() - self._start):
            trainer.should_stop = True


def contend(workload: Workload, turns: Turns) -> None:
    """Fit once; an epoch is a block."""
    torch.manual_seed(workload.seed)
    model = build(workload.model)
    turns.describe(parameters=count_values(model), precision="fp32")
    trainer = lightning.Trainer(
        max_epochs=workload.blocks,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[EpochClock(turns)],
    )
    trainer.fit(Classifier(model), make_loader(workload))
