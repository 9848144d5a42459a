"""A data set, models and options so small that a whole run takes a second."""

from __future__ import annotations

from pathlib import Path

PLUGIN = """
from torch import nn
from benchmark import ModelEntry, hookimpl

def build(input_shape, num_classes):
    channels, height, width = input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, num_classes))

@hookimpl
def benchmark_models():
    yield ModelEntry("tiny", build, "one dense layer")
    yield ModelEntry("twin", build, "the same again")
"""

CONFIG = """
name: tiny
dataset: {name: synthetic, train_images: 64, test_images: 20, size: 8}
models: [tiny, twin]
epochs: 2
batch_size: 16
seeds: 2
precision: fp32
device: cpu
"""


def write_tiny_run(folder: Path) -> list[str]:
    """Write the plugin and the config; return the arguments of ``benchmark`` that run them."""
    (folder / "tiny.py").write_text(PLUGIN)
    (folder / "tiny.yaml").write_text(CONFIG)
    return ["run", "tiny.yaml", "-p", "tiny.py"]
