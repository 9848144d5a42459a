"""A recipe's own transform, carried out on a batch, and what it returns looked at."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.errors import BenchmarkError
from benchmark.optimization import Transform


def transformed(
    transform: Transform, pixels: Tensor, labels: Tensor, draws: Tensor
) -> tuple[Tensor, Tensor]:
    """What the transform makes of floats of B x C x H x W, labels of B, and B x its draws.

    Raises BenchmarkError where that is not pixels of that shape and labels of B or B x classes.
    """
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
