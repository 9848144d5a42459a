"""Part 4: the depthwise layers of ``separable_cnn`` alone, forward and backward, in three forms."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from benchmark.training import computing_in, tuned
from perf.experiments.comparison import epoch_timer
from perf.experiments.depthwise import DenseDepthwise, NativeDepthwise
from perf.figures import ratio
from perf.gpu.jobs import GRAPHS_NEED_CUDA, Figures, Job, Measurement
from perf.gpu.options import Options
from perf.interleave import interleave

# Channels and side of the images that each of them maps.
LAYERS = ((3, 32), (32, 32), (32, 16), (64, 16), (64, 8), (128, 8))
FORMS = {"PyTorch's own": NativeDepthwise, "dense": DenseDepthwise}
# Passes that are one graph, because a pass takes less time than the launch of a graph.
PASSES = 20
# Graphs that are timed together.
REPLAYS = 20


def jobs(options: Options) -> Iterator[Job]:
    """All in one process; those after a layer that cuDNN cannot carry out in a fresh process."""
    yield Job("depthwise layers", 45, partial(measurements, options))


def measurements(options: Options) -> Iterator[Measurement]:
    """Of each layer, each form in turn with the layer as it is."""
    for (channels, side), form in itertools.product(LAYERS, FORMS):
        what = f"{channels} channels, {side} x {side}, {form}"
        yield Measurement(what, partial(compare_forms, options, form, channels, side))


def compare_forms(options: Options, form: str, channels: int, side: int) -> Figures:
    """Microseconds of a pass forward and backward, and the ratio to that of the layer as it is."""
    with tuned(options.device, options.precision):
        layer = make_layer(options, channels)
        passes = {
            name: Passes(module, options, channels, side)
            for name, module in (("as_it_is", layer), ("form", FORMS[form](layer)))
        }
        blocks = {name: epoch_timer(each, options.device) for name, each in passes.items()}
        for block in blocks.values():
            block()
        seconds = interleave(blocks, options.repeats, lambda line: None)
    compared = ratio(seconds["form"], seconds["as_it_is"])
    microseconds = {
        name: [1e6 * block / passes[name].count for block in blocks_seconds]
        for name, blocks_seconds in seconds.items()
    }
    return {
        "ratio": compared.median,
        "lowest": compared.lowest,
        "highest": compared.highest,
        "microseconds": microseconds["form"],
        "as_it_is_microseconds": microseconds["as_it_is"],
        "reason": None if options.has_cuda else GRAPHS_NEED_CUDA,
    }


def make_layer(options: Options, channels: int) -> nn.Conv2d:
    """A depthwise layer as ``separable_cnn`` has it."""
    layer = nn.Conv2d(channels, channels, 3, padding="same", groups=channels, bias=False)
    layer.to(device=options.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return layer


class Passes:
    """``count`` passes of a layer over one batch, forward and backward, PASSES in each call."""

    def __init__(self, layer: nn.Module, options: Options, channels: int, side: int) -> None:
        # A CPU launches no graphs.
        self.calls = REPLAYS if options.has_cuda else 1
        self.count = self.calls * PASSES
        self._layer = layer
        self._options = options
        shape = (options.batch_size, channels, side, side)
        kind = torch.bfloat16 if options.precision == "bf16" else torch.float32
        images = torch.randn(shape, device=options.device, dtype=kind)
        self._images = images.contiguous(memory_format=torch.channels_last).requires_grad_()
        self._gradient = torch.randn_like(self._images)
        self.losses = torch.zeros(1)

    def begin(self) -> None:
        """Nothing changes from one to the next."""

    def __call__(self) -> None:
        """Make the next ones."""
        for _ in range(PASSES):
            self._make_one()

    def finish(self) -> None:
        """Nothing is left to work out."""

    def _make_one(self) -> None:
        self._images.grad = None
        self._layer.zero_grad()
        with computing_in(self._options.precision, self._options.device):
            outputs: Tensor = self._layer(self._images)
        outputs.backward(self._gradient)  # type: ignore[no-untyped-call]
