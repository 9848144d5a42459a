"""How large a model is and what it costs: parameters, multiply-accumulates, its layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmark.records import ParameterCount


@dataclass(frozen=True)
class Layer:
    """A row of the layer table; ``output_shape`` is without the batch dimension."""

    name: str
    type: str
    output_shape: tuple[int, ...]
    params: int


def count_parameters(module: nn.Module) -> ParameterCount:
    """Count a module's parameters and floating-point buffers, shared ones once."""
    parameters = list(module.parameters())
    buffers = sum(buffer.numel() for buffer in module.buffers() if buffer.is_floating_point())
    return ParameterCount(
        total=sum(parameter.numel() for parameter in parameters) + buffers,
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        buffers=buffers,
    )


def count_macs(model: nn.Module, input_shape: tuple[int, int, int]) -> int:
    """Multiply-accumulates of one image's forward pass.

    Counts matrix products and convolutions, as ``torch.utils.flop_counter`` does, at two
    floating-point operations each. The pass is computed, on the model's device: not every model
    runs on the meta device, and one image costs little.
    """
    counter = FlopCounterMode(display=False)
    with counter:
        _forward_one_image(model, input_shape)
    return int(counter.get_total_flops()) // 2


def layer_table(model: nn.Module, input_shape: tuple[int, int, int]) -> list[Layer]:
    """The model's layers in the order in which an image passes them.

    Containers are opened; a module of any other kind is one layer, with all that is in it.
    A layer that an image passes twice counts its parameters once.
    """
    layers: list[Layer] = []
    counted: set[int] = set()

    def note(name: str, module: nn.Module, output: Any) -> None:
        params = 0 if id(module) in counted else count_parameters(module).total
        counted.add(id(module))
        shape = tuple(output.shape[1:]) if isinstance(output, torch.Tensor) else ()
        layers.append(Layer(name, type(module).__name__, shape, params))

    handles = [
        module.register_forward_hook(
            lambda module, _inputs, output, name=name: note(name, module, output)
        )
        for name, module in _layers(model)
    ]
    _forward_one_image(model, input_shape)
    for handle in handles:
        handle.remove()
    return layers


def _layers(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        path = f"{prefix}{name}"
        if isinstance(child, nn.Sequential | nn.ModuleList | nn.ModuleDict):
            yield from _layers(child, f"{path}.")
        else:
            yield path, child


def _forward_one_image(model: nn.Module, input_shape: tuple[int, int, int]) -> None:
    was_training = model.training
    device = next(model.parameters()).device
    with torch.no_grad():
        model.eval()(torch.zeros(1, *input_shape, device=device))
    model.train(was_training)
