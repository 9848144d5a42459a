"""How large a model is and what it costs: parameters, multiply-accumulates, its layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from benchmark.complexity.mac_counter import MacCounter, WholeFunctions
from benchmark.records import ParameterCount
from benchmark.training import undone

# Never a single one: there are models that a batch of one image makes fail, or compute otherwise.
FEWEST_IMAGES = 2
# Layers that whiten a batch need more than a few; CIFAR-10's are small enough for that.
MOST_IMAGES_TO_CHECK = 32
PIXELS_TO_CHECK = 32 * 32 * MOST_IMAGES_TO_CHECK
IN_NO_LAYER = "(in no layer)"
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class MacCount:
    """Multiply-accumulates of one image's forward pass.

    They are a lower bound if there are operators without a formula, the ``uncounted``.
    """

    macs: int
    uncounted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layer:
    """A row of the layer table.

    ``output_shape`` is without the batch dimension, None where the layer gives no tensor, or no
    image was seen to pass it.
    """

    name: str
    type: str
    output_shape: tuple[int, ...] | None
    params: int


def count_parameters(module: nn.Module) -> ParameterCount:
    """Count a module's parameters and its floating-point and complex buffers, shared ones once.

    A complex number is one value. Parameters that a lazy layer has not got yet are not counted.
    """
    tensors = [*_counted_tensors(module)]
    parameters = [tensor for tensor in tensors if isinstance(tensor, nn.Parameter)]
    total = sum(tensor.numel() for tensor in tensors)
    return ParameterCount(
        total=total,
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        buffers=total - sum(p.numel() for p in parameters),
    )


def count_macs(model: nn.Module, input_shape: tuple[int, int, int]) -> MacCount:
    """Count what one image's forward pass takes, in evaluation mode, on the model's device.

    Every sum of products counts (see ``benchmark.mac_formulas``). The pass is computed, because
    not every model runs on the meta device; the model is left as it was. What is computed once a
    batch counts whole.

    Raises whatever the model raises.
    """
    first = _count_batch(model, input_shape, FEWEST_IMAGES)
    macs, rest = divmod(first.macs, FEWEST_IMAGES)
    uncounted = first.uncounted
    if first.macs_apart or rest:
        # Some of it may not depend on the number of images: a larger batch shows how much.
        second = _count_batch(model, input_shape, FEWEST_IMAGES + 1)
        one_image = first.macs - (FEWEST_IMAGES - 1) * (second.macs - first.macs)
        macs = one_image if one_image > 0 else macs
        uncounted |= second.uncounted
    return MacCount(macs, tuple(sorted(uncounted)))


def layer_table(model: nn.Module, input_shape: tuple[int, int, int]) -> list[Layer]:
    """The model's layers in the order in which an image passes them, and below them the others.

    Containers are opened; a module of any other kind is one layer, with all that is in it. Each
    parameter counts once, where it is met first; those in no layer have a row at the end. So the
    rows add up to ``count_parameters``. The model is left as it was.

    Raises whatever the model raises.
    """
    layers = dict(_layers(model)) or {"": model}
    passed = _passed(model, layers, input_shape)
    names_passed = {name for name, _ in passed}
    others = [(name, None) for name in layers if name not in names_passed]
    counted: set[int] = set()
    rows = [
        Layer(name, _type(layers[name]), shape, _count_new(layers[name], counted))
        for name, shape in [*passed, *others]
    ]
    in_no_layer = _count_new(model, counted)
    if in_no_layer:
        rows.append(Layer(IN_NO_LAYER, _type(model), None, in_no_layer))
    return rows


def noise_images(count: int, shape: tuple[int, int, int]) -> Tensor:
    """Images of noise, always the same ones: floats of 0 to 1, ``count`` x C x H x W, on the CPU.

    Unlike images of zeros they give every layer something to normalise.
    """
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))


def images_to_check(shape: tuple[int, int, int]) -> Tensor:
    """Noise images for a check: enough for layers that need a batch, fewer where they are large."""
    _, height, width = shape
    affordable = PIXELS_TO_CHECK // (height * width)
    return noise_images(min(max(affordable, FEWEST_IMAGES), MOST_IMAGES_TO_CHECK), shape)


@contextmanager
def eager() -> Iterator[None]:
    """Have what a model compiled itself run as it is: passes that only look need not wait for it.

    Attention's fast path is an operator without parts, so it is not taken either.
    """
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.compiler.set_stance("force_eager"):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


def device_of(model: nn.Module) -> torch.device:
    """Where a model's parameters are, the CPU if it has none."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def _count_batch(model: nn.Module, input_shape: tuple[int, int, int], images: int) -> MacCounter:
    batch = noise_images(images, input_shape).to(device_of(model))
    counter = MacCounter(batch)
    with _evaluating(model), WholeFunctions(counter), counter:
        model(batch)
    return counter


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    with ExitStack() as stack:
        for context in (undone(model), eager(), torch.no_grad()):
            stack.enter_context(context)
        model.eval()
        yield


def _layers(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        path = f"{prefix}{name}"
        if isinstance(child, _CONTAINERS):
            yield from _layers(child, f"{path}.")
        else:
            yield path, child


def _passed(
    model: nn.Module, layers: Mapping[str, nn.Module], input_shape: tuple[int, int, int]
) -> list[tuple[str, tuple[int, ...] | None]]:
    """Each layer that an image is seen to pass, with its output's shape, as often as it does."""
    passed: list[tuple[str, tuple[int, ...] | None]] = []
    with _evaluating(model), ExitStack() as hooks:
        for name, layer in layers.items():
            if isinstance(layer, torch.jit.ScriptModule):
                # It takes no hooks.
                continue
            handle = layer.register_forward_hook(
                lambda _layer, _inputs, output, name=name: passed.append((name, _shape(output)))
            )
            hooks.callback(handle.remove)
        model(noise_images(FEWEST_IMAGES, input_shape).to(device_of(model)))
    return passed


def _type(module: nn.Module) -> str:
    # A scripted module's class says only that it is one.
    return getattr(module, "original_name", type(module).__name__)


def _shape(output: Any) -> tuple[int, ...] | None:
    """The shape of a tensor, or of the first of several, without its batch dimension."""
    if isinstance(output, tuple | list) and output:
        return _shape(output[0])
    # A nested tensor has no shape.
    if not isinstance(output, Tensor) or output.is_nested:
        return None
    return tuple(output.shape[1:])


def _count_new(module: nn.Module, counted: set[int]) -> int:
    """The values of those tensors of a module that are not ``counted``, and are from now on."""
    tensors = {id(tensor): tensor for tensor in _counted_tensors(module)}
    new = [tensor for key, tensor in tensors.items() if key not in counted]
    counted.update(tensors)
    return sum(tensor.numel() for tensor in new)


def _counted_tensors(module: nn.Module) -> Iterator[Tensor]:
    yield from (parameter for parameter in module.parameters() if not is_lazy(parameter))
    for buffer in module.buffers():
        if not is_lazy(buffer) and (buffer.is_floating_point() or buffer.is_complex()):
            yield buffer
