"""How a recipe has a model trained: an Optimization, and what it is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim import Optimizer

from benchmark.field_checks import (
    is_finite,
    require_count,
    require_factors,
    require_function,
    require_optimizers,
    require_share,
    shown,
)


@dataclass(frozen=True)
class Augmentation:
    """How training images are changed, each by a draw of its own that (seed, epoch) decides.

    ``flip`` mirrors an image left to right, one time in two. ``crop_padding`` shifts it by up to so
    many pixels in both directions, what moves in being its own mirror image. ``cutout`` blackens
    a square of so many pixels a side, centred anywhere in it (DeVries and Taylor, 2017).

    Raises ValueError for a negative size.
    """

    flip: bool = False
    crop_padding: int = 0
    cutout: int = 0

    def __post_init__(self) -> None:
        for name in ("crop_padding", "cutout"):
            require_count(name, getattr(self, name), "pixels")


@dataclass(frozen=True)
class Transform:
    """A function that changes whole batches on the device, after ``Augmentation``.

    ``function(pixels, labels, draws)`` is given floats of B x C x H x W between 0 and 1, int64 of
    B, and floats of B x ``draws``, uniform in [0, 1), which (seed, epoch) decides alone. It returns
    pixels of the same shape, and labels: int64 of B, or floats of B x classes that are shares and
    add up to 1 for each image. What it draws from PyTorch's global generator is decided by
    (seed, epoch), too.

    Raises ValueError for a ``function`` that cannot be called and a negative number of ``draws``.
    """

    function: Callable[
        [torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]
    ]
    draws: int = 0

    def __post_init__(self) -> None:
        require_function("function", self.function)
        require_count("draws", self.draws, "draws for each image")


@dataclass(frozen=True)
class Normalization:
    """What images are normalised with wherever the model is given some, in training and after.

    From each channel of 0 to 1 ``mean`` is subtracted, and the rest divided by
    ``standard_deviation``; both have a number for each channel, or one for all.

    Raises ValueError for what is no finite number, for a ``standard_deviation`` that is not
    positive, and for unequal numbers of channels.
    """

    mean: Sequence[float]
    standard_deviation: Sequence[float]

    def __post_init__(self) -> None:
        for name in ("mean", "standard_deviation"):
            numbers = getattr(self, name)
            if not isinstance(numbers, Sequence) or not all(map(is_finite, numbers)):
                raise ValueError(f"{name} is a sequence of numbers, not {shown(numbers)}")
            # Data that records and kept weights hold, whatever it was given as.
            object.__setattr__(self, name, tuple(map(float, numbers)))
        if not all(deviation > 0 for deviation in self.standard_deviation):
            raise ValueError(
                f"standard_deviation has positive numbers, not {min(self.standard_deviation):g}"
            )
        lengths = {len(self.mean), len(self.standard_deviation)}
        if 0 in lengths or len(lengths | {1}) > 2:
            raise ValueError(
                f"mean is of {len(self.mean)} channels, standard_deviation of "
                f"{len(self.standard_deviation)}"
            )

    @property
    def channels(self) -> int:
        """For how many channels there are numbers; 1 stands for any."""
        return max(len(self.mean), len(self.standard_deviation))


@dataclass(frozen=True)
class EpochFigures:
    """What is known of an epoch that is done, as far as a recipe may look: never the test images.

    Losses are means an image, accuracies fractions. ``validation_loss`` and
    ``validation_accuracy`` are None where no images are held out.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None


@dataclass(frozen=True)
class Optimization:
    """How a model is trained.

    ``optimizer`` is one of PyTorch's, or several, over the model's parameters. A step clears the
    gradients, runs the model forward and backward, and has each optimiser take its step; or it
    calls ``update(closure)``, where that is given. The closure does all but the optimiser's step
    and returns the loss; it may be called any number of times, but at least once, and the first
    call's loss and hits are the step's. With ``accumulated_batches`` the weights move after so
    many batches, and at an epoch's end, by the mean gradient of the batches since they last did.

    ``learning_rate_factors`` holds one factor a step, ``plan.total_steps`` in all, decided before
    the first step; in step i every parameter group's learning rate is the one it was configured
    with times ``learning_rate_factors[i]``. ``factor_after_epoch(figures)`` is called after each
    epoch with the EpochFigures of all so far, and returns what the factors are multiplied by until
    the next epoch's end: a finite number that is not negative. It must depend on the figures alone:
    a training that resumes calls it again.

    ``loss(outputs, labels)`` maps N x K floats and N int64 to the batch's mean loss, a scalar. Its
    outputs are whatever the model returns in training mode if the recipe's entry says how to find
    the ``logits`` in that, and its labels what ``transform`` returned.

    ``augment`` is how images are changed before they are seen, ``transform`` is a function of the
    recipe's own that does so, and ``normalization`` what images are normalised with at last. With
    ``ema_decay`` a moving average of the weights is kept, decay per step, and evaluated in
    their place. With ``calibration_images`` BatchNorm's statistics are measured anew for every
    evaluation, on so many training images (whole batches), unchanged and without dropout; with 0
    the moving statistics of the training count. With ``dropout_epochs`` dropout layers work in so
    many epochs at the beginning, and let everything pass in those after (Liu et al., 2023,
    "Dropout reduces underfitting": early dropout); with None they always work.

    An optimiser that has methods ``train`` and ``eval`` (schedule-free ones) is switched when the
    model is; the weights of its evaluation form are evaluated.

    ``on_epoch_start(model, epoch)`` changes the model that is trained, or anything else that the
    recipe knows, before the first step of each epoch; epochs count from 1. The model is in training
    mode by then, and what the function takes out of it stays so for the epoch. The epoch's random
    generators are seeded before. Its time is training time. Steps are then taken eagerly, because a
    captured graph would not notice what it changes. When a training resumes, it is first called for
    the epochs that are done, on the newly built model, and the training's state is put back after.

    Raises ValueError, which names the field, for what is not of its type or out of its range, for
    an optimiser whose step needs a closure where there is no ``update``, for one whose parameter
    groups have no learning rate, for one that a learning rate scheduler is attached to, and for
    ``accumulated_batches`` beside an ``update``.
    """

    optimizer: Optimizer | Sequence[Optimizer]
    learning_rate_factors: Sequence[float]
    loss: Callable[[Any, torch.Tensor], torch.Tensor]
    augment: Augmentation = Augmentation()
    ema_decay: float | None = None
    calibration_images: int = 0
    dropout_epochs: int | None = None
    on_epoch_start: Callable[[torch.nn.Module, int], object] | None = None
    update: Callable[[Callable[[], torch.Tensor]], object] | None = None
    accumulated_batches: int = 1
    factor_after_epoch: Callable[[Sequence[EpochFigures]], float] | None = None
    transform: Transform | None = None
    normalization: Normalization | None = None

    def __post_init__(self) -> None:
        require_optimizers(self.optimizers, has_update=self.update is not None)
        require_factors(self.learning_rate_factors)
        require_function("loss", self.loss)
        for name in ("on_epoch_start", "update", "factor_after_epoch"):
            if getattr(self, name) is not None:
                require_function(name, getattr(self, name))
        require_count("calibration_images", self.calibration_images, "images")
        if self.dropout_epochs is not None:
            require_count("dropout_epochs", self.dropout_epochs, "epochs")
        if self.ema_decay is not None:
            require_share("ema_decay", self.ema_decay)
        self._require_parts()
        require_count("accumulated_batches", self.accumulated_batches, "batches", least=1)
        if self.accumulated_batches > 1 and self.update is not None:
            raise ValueError(
                "accumulated_batches is for steps without an update, whose closure is of one batch"
            )

    def _require_parts(self) -> None:
        function = "give a function of whole batches as transform=Transform(function)"
        remedies = {"augment": f"; {function}", "transform": f"; {function}", "normalization": ""}
        kinds = {"augment": Augmentation, "transform": Transform, "normalization": Normalization}
        for name, kind in kinds.items():
            part = getattr(self, name)
            if not isinstance(part, kind) and (name == "augment" or part is not None):
                raise ValueError(
                    f"{name} is a benchmark.{kind.__name__}, not {shown(part)}{remedies[name]}"
                )

    @property
    def optimizers(self) -> tuple[Optimizer, ...]:
        """All of them, also where there is but one."""
        if isinstance(self.optimizer, list | tuple):
            return tuple(self.optimizer)
        # Not by its class, which need not be PyTorch's.
        return (self.optimizer,)  # type: ignore[return-value]

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The parameter groups of all optimisers."""
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]
