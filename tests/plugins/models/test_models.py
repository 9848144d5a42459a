"""The two models against what was published of them."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmark.complexity.counting import count_macs, count_parameters, layer_table
from benchmark_plugins.models.baseline_cnn import BaselineCNN
from benchmark_plugins.models.separable_cnn import SeparableCNN, SeparableConv2d
from tests.conftest import CommandLine

CIFAR_SHAPE = (3, 32, 32)

# The layer table of the document that describes the separable model: layer, output shape
# (channels last, as Keras has them) and parameters.
KERAS_TABLE = """
separable_conv2d_1     32, 32, 32     155
batch_normalization_1  32, 32, 32     128
dropout_1              32, 32, 32       0
separable_conv2d_2     32, 32, 32    1344
batch_normalization_2  32, 32, 32     128
max_pooling2d_1        16, 16, 32       0
dropout_2              16, 16, 32       0
separable_conv2d_3     16, 16, 64    2400
batch_normalization_3  16, 16, 64     256
separable_conv2d_4     16, 16, 64    4736
batch_normalization_4  16, 16, 64     256
max_pooling2d_2        8, 8, 64         0
dropout_3              8, 8, 64         0
separable_conv2d_5     8, 8, 128     8896
batch_normalization_5  8, 8, 128      512
separable_conv2d_6     8, 8, 128    17664
batch_normalization_6  8, 8, 128      512
max_pooling2d_3        4, 4, 128        0
dropout_4              4, 4, 128        0
flatten_1              2048             0
dense_1                30           61470
batch_normalization_7  30             120
dropout_5              30               0
dense_2                10             310
"""


def keras_rows() -> list[tuple[tuple[int, ...], int]]:
    rows = []
    for line in KERAS_TABLE.strip().splitlines():
        shape, params = re.split(r"\s{2,}", line)[1:]
        *spatial, channels = (int(size) for size in shape.split(","))
        rows.append(((channels, *spatial), int(params)))
    return rows


def test_separable_layers_match_the_document_row_by_row() -> None:
    layers = layer_table(SeparableCNN(CIFAR_SHAPE, 10), CIFAR_SHAPE)
    # Keras counts an activation to the layer before it; here the dense one's is a row.
    rows = [(layer.output_shape, layer.params) for layer in layers if layer.type != "ReLU"]
    assert rows == keras_rows()


def test_show_prints_the_documents_rows(benchmark: CommandLine) -> None:
    out = benchmark("show", "separable_cnn").out
    printed = re.findall(r"\)\s+(\d+(?: x \d+)*)\s+([\d,]+)$", out, re.MULTILINE)
    rows = [
        (tuple(int(size) for size in shape.split(" x ")), int(params.replace(",", "")))
        for shape, params in printed
    ]
    assert [row for row in rows if row[1]] == [row for row in keras_rows() if row[1]]
    assert re.search(r"Total params: +98,887\n", out)
    assert re.search(r"Trainable params: +97,931\n", out)
    assert re.search(r"Non-trainable params: +956\n", out)
    assert re.search(r"Multiply-accumulates: +[\d,]+\n", out)


def test_parameter_counts_as_published() -> None:
    baseline = count_parameters(BaselineCNN(CIFAR_SHAPE, 10))
    assert (baseline.total, baseline.trainable, baseline.buffers) == (1_172_410, 1_172_410, 0)
    separable = count_parameters(SeparableCNN(CIFAR_SHAPE, 10))
    assert (separable.total, separable.trainable, separable.buffers) == (98_887, 97_931, 956)


def test_baseline_costs_what_the_reference_says() -> None:
    macs = count_macs(BaselineCNN(CIFAR_SHAPE, 10), CIFAR_SHAPE).macs
    assert round(macs / 1e6, 2) == 55.15


def test_separable_cost_adds_up_by_hand() -> None:
    widths = [(3, 32, 32), (32, 32, 32), (32, 64, 16), (64, 64, 16), (64, 128, 8), (128, 128, 8)]
    convolutions = sum(
        side**2 * (9 * inputs + inputs * outputs) for inputs, outputs, side in widths
    )
    macs = count_macs(SeparableCNN(CIFAR_SHAPE, 10), CIFAR_SHAPE).macs
    assert macs == convolutions + 2048 * 30 + 30 * 10


def test_a_shared_layer_is_counted_once() -> None:
    shared = nn.Linear(4, 4)
    model = nn.Sequential(nn.Flatten(), shared, nn.ReLU(), shared)
    layers = layer_table(model, (1, 2, 2))
    assert sum(layer.params for layer in layers) == count_parameters(model).total == 20


@pytest.mark.parametrize("build", [BaselineCNN, SeparableCNN])
@pytest.mark.parametrize(
    ("input_shape", "classes"), [((1, 28, 28), 7), ((3, 64, 48), 100), ((4, 33, 22), 2)]
)
def test_other_image_sizes_and_class_counts(
    build: type[nn.Module], input_shape: tuple[int, int, int], classes: int
) -> None:
    output = build(input_shape, classes).eval()(torch.rand(2, *input_shape))
    assert output.shape == (2, classes)
    assert output.isfinite().all()


@pytest.mark.parametrize(("build", "smallest"), [(BaselineCNN, 22), (SeparableCNN, 8)])
def test_too_small_an_image_is_refused_and_the_smallest_works(
    build: type[nn.Module], smallest: int
) -> None:
    with pytest.raises(ValueError, match=rf"at least {smallest} x {smallest} pixels, not"):
        build((3, smallest - 1, 64), 10)
    assert (
        build((3, smallest, smallest), 10)
        .eval()(torch.rand(1, 3, smallest, smallest))
        .isfinite()
        .all()
    )


def test_initial_weights_are_kerass() -> None:
    torch.manual_seed(0)
    baseline = BaselineCNN(CIFAR_SHAPE, 10)
    for module in baseline.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            area = math.prod(module.weight.shape[2:])
            fans = (module.weight.shape[0] + module.weight.shape[1]) * area
            assert_uniform(module.weight, math.sqrt(6 / fans))
            assert module.bias is not None
            assert not module.bias.any()


def test_depthwise_kernels_have_kerass_fans() -> None:
    torch.manual_seed(0)
    layer = SeparableConv2d(128, 128)
    assert_uniform(layer.depthwise.weight, math.sqrt(6 / (9 * 128 + 9)))
    assert_uniform(layer.pointwise.weight, math.sqrt(6 / (128 + 128)))
    assert layer.depthwise.bias is None
    assert layer.pointwise.bias is not None
    assert not layer.pointwise.bias.any()


def test_separable_dense_layer_is_he_uniform() -> None:
    torch.manual_seed(0)
    hidden = next(m for m in SeparableCNN(CIFAR_SHAPE, 10).modules() if isinstance(m, nn.Linear))
    assert_uniform(hidden.weight, math.sqrt(6 / 2048))


def test_batch_norm_has_kerass_constants() -> None:
    norms = [
        module
        for module in SeparableCNN(CIFAR_SHAPE, 10).modules()
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d)
    ]
    assert len(norms) == 7
    assert all((norm.eps, norm.momentum) == (1e-3, 0.01) for norm in norms)


def assert_uniform(weight: torch.Tensor, bound: float) -> None:
    """Within the bound, close to it at the extremes, and of the variance of such a uniform."""
    assert weight.abs().max() <= bound
    assert weight.abs().max() > 0.9 * bound
    assert float(weight.detach().var()) == pytest.approx(bound**2 / 3, rel=0.15)


def test_the_document_itself_has_these_rows() -> None:
    document = Path(__file__).parents[4] / "shared" / "reference" / "keras-2019-readme.txt"
    if not document.is_file():
        pytest.skip("the document is not beside this checkout")
    found = re.findall(r"\(None, ([\d, ]+?),?\)\s+(\d+)", document.read_text(encoding="utf-8"))
    expected = re.findall(r"\w+  +([\d, ]+?)  +(\d+)$", KERAS_TABLE, re.MULTILINE)
    assert [(shape.strip(), params) for shape, params in found] == expected
