"""An epoch's batches, made on the device: gathered, augmented, transformed, normalised."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmark.errors import BenchmarkError
from benchmark.optimization import Optimization, Transform
from benchmark.training.augment import Augmenter
from benchmark.training.data import ResidentImages, epoch_order
from benchmark.training.layout import lay_out
from benchmark.training.preparation import Preparation
from benchmark.training.seeds import TRANSFORM_STREAM, generator


class Batches:
    """The batches of one epoch after another, as a recipe has them changed.

    ``position`` (int64 of 1, on the device) is the number of the next one. The epoch's order and
    draws are written anew, but never replaced: a graph knows their addresses.
    """

    def __init__(
        self,
        images: ResidentImages,
        batch_size: int,
        optimization: Optimization,
        preparation: Preparation,
    ) -> None:
        self.images = images
        self.per_epoch = len(images) // batch_size
        device = images.pixels.device
        _, height, width, _ = images.pixels.shape
        self._augmenter = Augmenter(optimization.augment, height, width, device)
        self._transform = optimization.transform
        self._prepare = preparation
        self.position = torch.zeros(1, dtype=torch.int64, device=device)
        shape = (self.per_epoch, batch_size)
        self._order = torch.zeros(shape, dtype=torch.int64, device=device)
        draws = self._augmenter.draw(self._order.numel(), 0, 0)
        self._draws = draws.view(*shape, -1).to(device)
        columns = 0 if self._transform is None else self._transform.draws
        self._transform_draws = torch.zeros(*shape, columns, device=device)

    def lay_out(self, seed: int, epoch: int) -> None:
        """Lay out an epoch's order and draws; images that fill no batch are left out."""
        order = epoch_order(len(self.images), seed, epoch)[: self._order.numel()]
        self._order.copy_(order.view(self._order.shape))
        if self._augmenter.changes_images:
            draws = self._augmenter.draw(len(order), seed, epoch)
            self._draws.copy_(draws.view(self._draws.shape))
        if self._transform_draws.numel():
            random = generator(TRANSFORM_STREAM, seed, epoch)
            uniform = random.random(tuple(self._transform_draws.shape), "float32")
            self._transform_draws.copy_(torch.from_numpy(uniform))
        self.position.zero_()

    def next(self) -> tuple[Tensor, Tensor]:
        """The batch at ``position``: pixels of B x C x H x W, labels of B or of B x classes.

        Raises BenchmarkError where the recipe's transform does not give that.
        """
        indices = self._order.index_select(0, self.position)[0]
        labels = self.images.labels.index_select(0, indices)
        pixels = self._prepare.as_floats(self._gather(indices))
        if self._transform is not None:
            draws = self._transform_draws.index_select(0, self.position)[0]
            pixels, labels = _transformed(self._transform, pixels, labels, draws)
            pixels = lay_out(pixels, self._prepare.layout)
        return self._prepare.normalized(pixels), labels

    def first_unchanged(self, count: int) -> Iterator[Tensor]:
        """The pixels of the epoch's first batches, neither augmented nor transformed."""
        for indices in self._order[:count]:
            yield self._prepare(self.images.pixels.index_select(0, indices))

    def _gather(self, indices: Tensor) -> Tensor:
        if not self._augmenter.changes_images:
            return self.images.pixels.index_select(0, indices)
        draws = self._draws.index_select(0, self.position)[0]
        return self._augmenter.gather(self.images.pixels, indices, draws)


def _transformed(
    transform: Transform, pixels: Tensor, labels: Tensor, draws: Tensor
) -> tuple[Tensor, Tensor]:
    given: object = transform.function(pixels, labels, draws)
    if not isinstance(given, tuple) or len(given) != 2:
        raise BenchmarkError(
            f"the recipe's transform should return (pixels, labels), not {_described(given)}"
        )
    new_pixels, new_labels = given
    if not _is_floats(new_pixels) or new_pixels.shape != pixels.shape:
        raise BenchmarkError(
            f"the recipe's transform should return pixels that are floats of "
            f"{_size(pixels)}, as it was given, not {_described(new_pixels)}"
        )
    if not _are_labels(new_labels, len(pixels)):
        raise BenchmarkError(
            f"the recipe's transform should return labels that are int64 of {len(pixels)} or "
            f"floats of {len(pixels)} x classes, not {_described(new_labels)}"
        )
    return new_pixels, new_labels


def _is_floats(given: object) -> bool:
    return isinstance(given, Tensor) and given.is_floating_point()


def _are_labels(given: object, count: int) -> bool:
    if not isinstance(given, Tensor) or given.ndim not in (1, 2) or len(given) != count:
        return False
    return given.is_floating_point() if given.ndim == 2 else given.dtype == torch.int64


def _described(given: object) -> str:
    if isinstance(given, Tensor):
        return f"{given.dtype} of {_size(given)}".removeprefix("torch.")
    if isinstance(given, tuple):
        return f"a tuple of {len(given)}"
    return "None" if given is None else f"a {type(given).__name__}"


def _size(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one number"
