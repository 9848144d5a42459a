"""Dropout on a CPU for a fifth of what PyTorch's costs, whatever model calls it.

PyTorch draws one Bernoulli number an element, which was a third of a training step of
``separable_cnn``. Here one 64-bit draw of the same generator makes four elements' masks.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch.nn import functional

# A mask's element is kept if its 15 random bits, as a number, are below its share of 2^15.
_LEVELS = 2**15
_PYTORCH_DROPOUT = functional.dropout
_INTEGERS = {torch.bfloat16: torch.int16, torch.float16: torch.int16, torch.float32: torch.int32}


def cheap_dropout(device: torch.device) -> AbstractContextManager[object]:
    """The context of a forward pass *and* of its backward pass, on that device.

    Activation checkpointing computes a block again while gradients are worked out, from the same
    state of the generator: it has to draw the masks in the same way.
    """
    return CheapDropout() if device.type == "cpu" else nullcontext()


class CheapDropout:
    """While this is entered, ``torch.nn.functional.dropout`` draws its masks cheaply.

    The probability is rounded to a multiple of 2^-15. Models are not changed: ``nn.Dropout`` calls
    that function, as models of a plugin's author may. It is the function that is exchanged, and
    not a mode of PyTorch's that is entered: a mode does not reach into a backward pass.
    """

    def __enter__(self) -> None:
        """Exchange the function."""
        self._before = functional.dropout
        functional.dropout = _dropout

    def __exit__(self, *raised: object) -> None:
        """Put back what was there."""
        functional.dropout = self._before


def _dropout(
    input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> torch.Tensor:
    kept = round((1 - p) * _LEVELS)
    if not training or inplace or not 0 < kept < _LEVELS or not _is_supported(input):
        return _PYTORCH_DROPOUT(input, p, training, inplace)
    return input * _scaled_mask(input, kept, 1 / (1 - p))


def _is_supported(tensor: torch.Tensor) -> bool:
    is_dense = tensor.is_contiguous() or tensor.is_contiguous(memory_format=torch.channels_last)
    return is_dense and tensor.dtype in _INTEGERS


def _scaled_mask(like: torch.Tensor, kept: int, scale: float) -> torch.Tensor:
    """``scale`` with a probability of ``kept`` / 2^15, else 0, laid out as ``like`` is."""
    draws = torch.empty((like.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    bits = draws.view(torch.int16)[: like.numel()].bitwise_and_(_LEVELS - 1)
    # Negative where the element is kept; shifting spreads the sign: all ones, or all zeros.
    keep = bits.sub_(kept).bitwise_right_shift_(15)
    integers = _INTEGERS[like.dtype]
    scale_bits = torch.tensor(scale, dtype=like.dtype).view(integers)
    mask = keep.to(integers).bitwise_and_(scale_bits).view(like.dtype)
    return mask.as_strided(like.shape, like.stride())
