"""Nesterov SGD under one cycle of the learning rate: the strong recipe of the built-in ones."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pydantic import Field
from torch import nn, optim
from torch.nn import functional

from benchmark import Augmentation, Optimization, Options, RecipeEntry, TrainingPlan, hookimpl
from benchmark_plugins.recipes.mixing import mixing

# Where the cycle begins and ends, as a share of its peak.
FIRST_FACTOR = 0.04
LAST_FACTOR = 0.001


class SgdOneCycleOptions(Options):
    """Options of the recipe ``sgd_onecycle``."""

    learning_rate: float = Field(default=0.1, gt=0)
    """The cycle's peak."""

    momentum: float = Field(default=0.9, gt=0, lt=1)
    """Nesterov's momentum."""

    max_gradient_norm: float = Field(default=1.0, ge=0)
    """The most that the norm of all gradients together may be; 0 leaves them as they are."""

    weight_decay: float = Field(default=5e-4, ge=0)
    """Of all weights but biases and the scales of normalisation layers."""

    warmup: float = Field(default=0.2, ge=0, le=1)
    """The share of all steps after which the peak is reached."""

    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """The share of a label that is spread over all classes."""

    flip: bool = True
    """Whether images are mirrored, one time in two."""

    crop_padding: int = Field(default=2, ge=0)
    """The most pixels that an image is shifted by."""

    cutout: int = Field(default=0, ge=0)
    """The side of the square that is blackened in each image, in pixels."""

    mixup: float = Field(default=0.0, ge=0)
    """Each image is mixed with another by a share of Beta(mixup, mixup); with 0 it is not."""

    cutmix: float = Field(default=0.0, ge=0)
    """A box of each image is another's, its share of Beta(cutmix, cutmix); with 0 there is none."""

    averaged_epochs: float = Field(default=1.0, ge=0)
    """How many epochs the average of the weights looks back; with 0 the last weights count."""

    calibration_images: int = Field(default=2_500, ge=0)
    """Images on which BatchNorm's statistics are measured; with 0 its moving ones count."""

    dropout_until: float = Field(default=0.8, ge=0, le=1)
    """The share of the epochs, from the first, in which dropout layers work."""


def configure(model: nn.Module, plan: TrainingPlan) -> Optimization:
    """SGD with Nesterov's momentum (Sutskever et al., 2013), one cycle (Smith, 2018), EMA.

    Gradients are clipped (Pascanu et al., 2013): a network without normalisation layers leaves its
    first plateau with gradients so large that, at a high rate, they kill most of its units.
    """
    options: SgdOneCycleOptions = plan.options
    device = next(model.parameters()).device
    optimizer = optim.SGD(
        _parameter_groups(model, options.weight_decay),
        lr=options.learning_rate,
        momentum=options.momentum,
        nesterov=True,
        # PyTorch's fused step knows no complex numbers.
        fused=not any(parameter.is_complex() for parameter in model.parameters()),
    )
    if options.max_gradient_norm:
        optimizer.register_step_pre_hook(partial(_clip_gradients, options.max_gradient_norm))
    return Optimization(
        optimizer=optimizer,
        learning_rate_factors=[
            one_cycle(step, plan.total_steps, options.warmup) for step in range(plan.total_steps)
        ],
        loss=partial(functional.cross_entropy, label_smoothing=options.label_smoothing),
        augment=Augmentation(
            flip=options.flip, crop_padding=options.crop_padding, cutout=options.cutout
        ),
        transform=mixing(options.mixup, options.cutmix, plan.num_classes, device),
        ema_decay=_ema_decay(options.averaged_epochs * plan.steps_per_epoch),
        calibration_images=options.calibration_images,
        dropout_epochs=round(options.dropout_until * plan.epochs),
    )


def one_cycle(step: int, total_steps: int, warmup: float) -> float:
    """The share of the peak at ``step`` (from 0): up along a line, then down along another.

    A line makes more of a given number of epochs than a cosine (Li, Yumer and Ramanan, 2020,
    "Budgeted Training"), whose last steps are too small to change anything.
    """
    peak = warmup * total_steps
    if step < peak:
        return FIRST_FACTOR + (1 - FIRST_FACTOR) * step / peak
    progress = (step - peak) / max(total_steps - 1 - peak, 1)
    return LAST_FACTOR + (1 - LAST_FACTOR) * (1 - min(progress, 1))


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    weights = [parameter for parameter in trained if parameter.ndim > 1]
    others = [parameter for parameter in trained if parameter.ndim <= 1]
    groups: list[dict[str, object]] = [
        {"params": weights, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _clip_gradients(
    max_norm: float, optimizer: optim.Optimizer, arguments: object, keywords: object
) -> None:
    del arguments, keywords
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    nn.utils.clip_grad_norm_(parameters, max_norm)


def _ema_decay(steps: float) -> float | None:
    """The decay of an average whose weights are, on average, ``steps`` steps old."""
    return steps / (steps + 1) if steps > 0 else None


@hookimpl
def benchmark_recipes() -> Iterator[RecipeEntry]:
    """Offer the recipe."""
    yield RecipeEntry(
        "sgd_onecycle",
        configure,
        "SGD, one cycle, averaged weights",
        options=SgdOneCycleOptions,
    )
