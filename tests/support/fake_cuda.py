"""Tensors that say they lie on a CUDA device where there is none: shapes, types and devices alone.

To read a value of one on the host raises, as capturing would. PyTorch's backward pass wants a real
device, so gradients without values take the place of what it would find; and its fused optimisers
have no form for such tensors, so they are given one that does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)
from torch.utils._python_dispatch import TorchDispatchMode

from benchmark.training.data import ResidentImages

CUDA = torch.device("cuda", 0)
# What FakeTensorMode raises where the host asks for a value, or for how many there are.
READS = (DataDependentOutputException, DynamicOutputShapeException)


@contextmanager
def fake_cuda(*models: nn.Module) -> Iterator[None]:
    """Move models to the device that is not there, and have their gradients found there."""

    def find_gradients(loss: Tensor) -> None:
        assert loss.device == CUDA
        assert loss.requires_grad
        for model in models:
            for parameter in model.parameters():
                parameter.grad = torch.empty_like(parameter)

    with (
        # autocast asks for the device.
        patch("torch.cuda.amp.common.amp_definitely_not_available", lambda: False),
        patch("torch.cuda.is_bf16_supported", lambda *asked, **how: True),
        patch.object(Tensor, "backward", find_gradients),
        # What would ask for memory that is not there.
        patch.object(FakeTensor, "__deepcopy__", lambda tensor, memo: tensor.clone()),
        patch.object(FakeTensor, "data_ptr", lambda tensor: tensor.untyped_storage()._cdata),
        FakeTensorMode(allow_non_fake_inputs=True),
        _FusedFormsDoNothing(),
    ):
        for model in models:
            _move(model)
        yield


def fake_images(count: int, side: int = 32) -> ResidentImages:
    """Images on the device that is not there."""
    images = ResidentImages.__new__(ResidentImages)
    images.pixels = torch.empty(count, side, side, 3, dtype=torch.uint8, device=CUDA)
    images.labels = torch.empty(count, dtype=torch.int64, device=CUDA)
    return images


class _FusedFormsDoNothing(TorchDispatchMode):
    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        if str(function).startswith("aten._fused_"):
            lists = [given for given in arguments if isinstance(given, list)]
            assert all(tensor.device == CUDA for tensors in lists for tensor in tensors)
            return None
        return function(*arguments, **(options or {}))


def _move(model: nn.Module) -> None:
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = nn.Parameter(_moved(parameter))
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = _moved(buffer)


def _moved(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device=CUDA)
