"""What a model returns in training mode and what a loss makes of it: held to what a step needs."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_map

from benchmark.errors import BenchmarkError


def float_outputs(outputs: Any) -> Any:
    """The outputs as fp32, whatever they were computed in; of tuples and mappings, each part."""
    if isinstance(outputs, Tensor):
        return outputs.float()
    return tree_map(lambda part: part.float() if _is_float(part) else part, outputs)


def classes_of(labels: Tensor) -> Tensor:
    """Labels as int64 of B; of shares of classes, the class with the greatest."""
    return labels if labels.ndim == 1 else labels.argmax(1)


def require_fitting(labels: Tensor, logits: object) -> None:
    """Raise BenchmarkError for what are no logits, or not those of the labels' classes."""
    if not isinstance(logits, Tensor):
        raise BenchmarkError(
            f"in training mode the logits should be a tensor, not a {type(logits).__name__}"
        )
    if labels.ndim == 2 and labels.shape != logits.shape:
        raise BenchmarkError(
            f"the recipe's transform gave labels of {len(labels)} x {labels.shape[1]} where the "
            f"model gives {' x '.join(map(str, logits.shape))} logits"
        )


def require_scalar(loss: object) -> Tensor:
    """Return a loss that is a tensor of one number; else raise BenchmarkError."""
    if not isinstance(loss, Tensor):
        given = "None" if loss is None else f"a {type(loss).__name__}"
        raise BenchmarkError(
            f"the recipe's loss should return the batch's mean loss as a tensor, not {given}"
        )
    if loss.numel() != 1:
        size = " x ".join(map(str, loss.shape))
        raise BenchmarkError(
            f"the recipe's loss should return the batch's mean loss, one number, not {size} of them"
        )
    return loss


def _is_float(part: object) -> bool:
    return isinstance(part, Tensor) and part.is_floating_point()
