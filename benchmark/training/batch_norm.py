"""BatchNorm's statistics, measured for the weights that are evaluated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from benchmark.training.precision import computing_in
from benchmark.training.slots import lent, tensor_slots

_LAYERS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


@contextmanager
def calibrated(
    model: nn.Module, batches: Iterable[torch.Tensor], precision: str
) -> Iterator[nn.Module]:
    """Lend a model statistics measured on ``batches``, and give it its own back.

    Moving statistics are those of earlier weights, and of activations that dropout has spread out
    (Li et al., 2019, "Understanding the disharmony between dropout and batch normalization by
    variance shift"). These are of the present weights with dropout off, averaged over the batches
    as by Wu and Johnson (2021, "Rethinking 'Batch' in BatchNorm", PreciseBN). Layers that the
    model's own ``train`` holds in evaluation mode are left as they are. The model is lent in
    evaluation mode, and stays in it.
    """
    model.train()
    layers = [layer for layer in _batch_norms(model) if layer.training]
    statistics = [slot for layer in layers for slot in tensor_slots(layer).values()]
    own_momenta = [layer.momentum for layer in layers]
    model.eval()
    with lent(statistics):
        try:
            if layers:
                _measure(model, layers, batches, precision)
            yield model
        finally:
            for layer, momentum in zip(layers, own_momenta, strict=True):
                layer.momentum = momentum


@torch.no_grad()
def _measure(
    model: nn.Module,
    layers: Sequence[nn.modules.batchnorm._NormBase],
    batches: Iterable[torch.Tensor],
    precision: str,
) -> None:
    for layer in layers:
        layer.train()
        layer.reset_running_stats()
    for number, pixels in enumerate(batches, start=1):
        # So all batches weigh the same. A momentum of None means that, too, but has the host wait
        # for the device's count of batches.
        for layer in layers:
            layer.momentum = 1 / number
        with (
            computing_in(precision, pixels.device),
            # Each momentum would have what the model compiled itself compiled again.
            torch.compiler.set_stance("force_eager"),
        ):
            model(pixels)
    for layer in layers:
        layer.eval()


def _batch_norms(model: nn.Module) -> Iterator[nn.modules.batchnorm._NormBase]:
    """Those layers that keep moving statistics; the others measure each batch anyway."""
    for layer in model.modules():
        if isinstance(layer, _LAYERS) and layer.running_mean is not None:
            yield layer
