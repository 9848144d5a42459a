"""A model whose parts are in modules beside its file, imported relatively and absolutely."""

from heads import PooledHead
from torch import nn

from benchmark import ModelEntry, hookimpl

from .blocks import ResidualBlock

CHANNELS = 16


def build(input_shape, num_classes):
    return nn.Sequential(
        nn.Conv2d(input_shape[0], CHANNELS, kernel_size=3, padding=1),
        ResidualBlock(CHANNELS),
        nn.MaxPool2d(2),
        ResidualBlock(CHANNELS),
        PooledHead(CHANNELS, num_classes),
    )


@hookimpl
def benchmark_models():
    yield ModelEntry("small_residual", build, "two residual blocks")
