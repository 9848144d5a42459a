"""Depthwise convolutions in three forms: cuDNN's, PyTorch's own kernel, and a dense convolution.

With channels last PyTorch always has cuDNN carry them out, whose gradient of a grouped weight may
be slow. All forms have the same sum for each output, in another order, so they agree but for
rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from perf.experiments.step import Step


class NativeDepthwise(nn.Module):
    """PyTorch's own kernel, on contiguous images; those before and after have channels last."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.weight = layer.weight
        self.padding = _padding(layer)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map N x C x H x W to the same."""
        pixels, weight = _as_autocast(pixels), _as_autocast(self.weight)
        mapped: Tensor = _Native.apply(pixels.contiguous(), weight.contiguous(), self.padding)
        return mapped.contiguous(memory_format=torch.channels_last)


class DenseDepthwise(nn.Module):
    """The same as a convolution in which every output sees every input, all others by zeros."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.weight = layer.weight
        self.padding = _padding(layer)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map N x C x H x W to the same."""
        return functional.conv2d(pixels, dense(self.weight), padding=self.padding)


def dense(weight: Tensor) -> Tensor:
    """A depthwise weight, C x 1 x h x w, as one of C x C x h x w: its diagonal, and zeros."""
    diagonal = torch.diag_embed(weight.squeeze(1).permute(1, 2, 0)).permute(2, 3, 0, 1)
    return diagonal.contiguous(memory_format=torch.channels_last)


class NativeForm(Step):
    """The model with PyTorch's own kernels for its depthwise layers."""

    def changed(self, model: nn.Module) -> nn.Module:
        """Replace them."""
        return with_depthwise(model, NativeDepthwise)


class DenseForm(Step):
    """The model with dense convolutions for its depthwise layers."""

    def changed(self, model: nn.Module) -> nn.Module:
        """Replace them."""
        return with_depthwise(model, DenseDepthwise)


def with_depthwise(model: nn.Module, form: Callable[[nn.Conv2d], nn.Module]) -> nn.Module:
    """Replace the depthwise layers of ``model``; the weights stay what they are."""
    for parent in [*model.modules()]:
        for name, layer in [*parent.named_children()]:
            if is_depthwise(layer):
                assert isinstance(layer, nn.Conv2d)
                setattr(parent, name, form(layer))
    return model


def is_depthwise(layer: nn.Module) -> bool:
    """Whether each channel has a kernel of its own."""
    return isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1


class _Native(torch.autograd.Function):
    """A depthwise convolution without cuDNN, forward and backward: each pass asks for itself."""

    @staticmethod
    def forward(ctx: Any, pixels: Tensor, weight: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(pixels, weight)
        ctx.padding = padding
        with _without_cudnn():
            return functional.conv2d(pixels, weight, padding=padding, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None]:
        pixels, weight = ctx.saved_tensors
        with _without_cudnn():
            of_pixels, of_weight, _ = torch.ops.aten.convolution_backward(
                gradient.contiguous(),
                pixels,
                weight,
                None,
                stride=[1, 1],
                padding=[ctx.padding] * 2,
                dilation=[1, 1],
                transposed=False,
                output_padding=[0, 0],
                groups=len(weight),
                output_mask=[ctx.needs_input_grad[0], True, False],
            )
        return of_pixels, of_weight, None


@contextmanager
def _without_cudnn() -> Iterator[None]:
    # Not cudnn.flags, which sets the precision of products, too, and by other names than ``tuned``.
    before = torch.backends.cudnn.enabled
    torch.backends.cudnn.enabled = False
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = before


def _as_autocast(tensor: Tensor) -> Tensor:
    # A function of one's own is given what autocast would not cast for it.
    kind = tensor.device.type
    return tensor.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else tensor


def _padding(layer: nn.Conv2d) -> int:
    """What "same" means for a kernel of odd sides and no stride, as the built-in model has it."""
    if layer.bias is not None or layer.stride != (1, 1) or layer.padding != "same":
        raise ValueError(f"{layer} is no depthwise layer as separable_cnn has it")
    return layer.kernel_size[0] // 2
