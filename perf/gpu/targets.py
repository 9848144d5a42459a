"""What is to be reached on an H100; see docs/performance.md."""

from __future__ import annotations

from perf.gpu.jobs import Figures
from perf.gpu.options import Options

IMAGES, BATCH_SIZE, EPOCHS = 50_000, 128, 50
EPOCH_SECONDS = {
    ("baseline_cnn", "adam"): 0.15,
    ("separable_cnn", "adam"): 0.18,
    ("baseline_cnn", "sgd_onecycle"): 0.20,
    ("separable_cnn", "sgd_onecycle"): 0.20,
}
# From the command to the record, and of that the training.
COMMAND_SECONDS, TRAINING_SECONDS = 20.0, 10.0


def of_an_epoch(options: Options, model: str, recipe: str, batch_size: int) -> Figures:
    """The target of an epoch; none for another workload, and none without a GPU."""
    if not options.has_cuda or (options.count, batch_size) != (IMAGES, BATCH_SIZE):
        return {}
    return {"target_seconds": EPOCH_SECONDS[model, recipe]}


def of_a_training(options: Options, images: int) -> Figures:
    """The targets of a whole training on so many images; none where there is none of an epoch."""
    workload = (images, options.batch_size, options.epochs)
    if not options.has_cuda or workload != (IMAGES, BATCH_SIZE, EPOCHS):
        return {}
    return {"target_seconds": COMMAND_SECONDS, "training_target_seconds": TRAINING_SECONDS}
