"""Multiply-accumulates against counts by hand, and against torchvision's published ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn
from torch.nn import functional

from benchmark.complexity.counting import count_macs, count_parameters, layer_table
from benchmark.complexity.mac_formulas import formula_of, may_contract
from tests.support.sampling import examples

# What every layer below is given: 6 tokens of 8 features, or as an image 3 x 4 x 4.
TOKENS, FEATURES = 6, 8
IMAGE = (3, 4, 4)
PROJECTIONS = 4 * TOKENS * FEATURES**2
SCORES_AND_SUMS = 2 * TOKENS**2 * FEATURES


class OnTokens(nn.Module):
    """Has ``compute`` work on 6 x 8 tokens of an image of 3 x 4 x 4; its own cost is nothing."""

    def __init__(self, compute: Callable[[Tensor], object], *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.compute = compute

    def forward(self, image: Tensor) -> object:
        return self.compute(image.reshape(len(image), TOKENS, FEATURES))


def on_tokens(layer: nn.Module, times: int = 1) -> nn.Module:
    return OnTokens(lambda tokens: layer(*[tokens] * times), layer)


def on_token(layer: nn.Module) -> nn.Module:
    return OnTokens(lambda tokens: layer(tokens[:, 0]), layer)


def complex_image(layer: nn.Module) -> nn.Module:
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, image: Tensor) -> Tensor:
            return self.layer(torch.complex(image, image)).abs()

    return Layer()


def attention(**options: object) -> nn.Module:
    layer = nn.MultiheadAttention(FEATURES, 2, batch_first=True)
    return OnTokens(lambda tokens: layer(tokens, tokens, tokens, **options), layer)


def recurrent(kind: Callable[..., nn.RNNBase], **options: object) -> nn.Module:
    return on_tokens(kind(FEATURES, 5, batch_first=True, **options))


def weighted_bags() -> nn.Module:
    bag = nn.EmbeddingBag(9, 7, mode="sum")
    indices = torch.arange(TOKENS) % 9
    return OnTokens(
        lambda tokens: bag(indices.expand(len(tokens), -1), per_sample_weights=tokens[..., 0]), bag
    )


class OncePerBatch(nn.Module):
    """A weight of low rank, made whole in every pass."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Parameter(torch.rand(48, 2)), nn.Parameter(torch.rand(2, 10))

    def forward(self, image: Tensor) -> Tensor:
        return image.flatten(1) @ (self.left @ self.right)


LAYERS: dict[str, tuple[nn.Module, int]] = {
    "Linear": (on_tokens(nn.Linear(8, 5)), TOKENS * 8 * 5),
    "Linear on a vector": (
        OnTokens(lambda t: torch.stack([tokens[0] @ torch.ones(8) for tokens in t])),
        8,
    ),
    "matrix times vector": (OnTokens(lambda t: t @ torch.ones(8)), TOKENS * 8),
    "matrix times vector, added to one": (
        OnTokens(
            lambda t: torch.stack([torch.addmv(torch.ones(6), rows, torch.ones(8)) for rows in t])
        ),
        TOKENS * 8,
    ),
    "conv_tbc": (
        OnTokens(
            lambda t: torch.conv_tbc(
                t.transpose(0, 1).contiguous(), torch.ones(3, 8, 4), torch.ones(4)
            ).transpose(0, 1)
        ),
        4 * 4 * 3 * 8,
    ),
    "affine_grid": (
        OnTokens(
            lambda t: functional.affine_grid(t[:, :2, :3], [len(t), 1, 4, 4], align_corners=False)
        ),
        16 * 2 * 3,
    ),
    "Bilinear": (on_tokens(nn.Bilinear(8, 8, 3), 2), TOKENS * 8 * 8 * 3),
    "Conv1d": (on_tokens(nn.Conv1d(6, 4, 3)), 6 * 6 * 4 * 3),
    "Conv2d": (nn.Conv2d(3, 5, 3, padding=1), 16 * 5 * 3 * 9),
    "Conv2d, grouped and strided": (nn.Conv2d(3, 6, 2, stride=2, groups=3), 4 * 6 * 4),
    "Conv3d": (
        OnTokens(lambda t: functional.conv3d(t.view(-1, 1, 3, 4, 4), torch.ones(2, 1, 2, 2, 2))),
        2 * 9 * 2 * 8,
    ),
    "ConvTranspose1d": (on_tokens(nn.ConvTranspose1d(6, 4, 3)), 8 * 6 * 4 * 3),
    "ConvTranspose2d": (nn.ConvTranspose2d(3, 5, 2, stride=2), 16 * 3 * 5 * 4),
    "complex Conv2d": (complex_image(nn.Conv2d(3, 5, 3, dtype=torch.complex64)), 4 * 5 * 3 * 9),
    "complex Linear": (complex_image(nn.Linear(4, 5, dtype=torch.complex64)), 12 * 4 * 5),
    "RNN": (recurrent(nn.RNN), TOKENS * 5 * (8 + 5)),
    "GRU": (recurrent(nn.GRU), TOKENS * 3 * 5 * (8 + 5)),
    "LSTM": (recurrent(nn.LSTM), TOKENS * 4 * 5 * (8 + 5)),
    "LSTM, both ways, two layers": (
        recurrent(nn.LSTM, bidirectional=True, num_layers=2),
        TOKENS * 2 * 4 * 5 * ((8 + 5) + (10 + 5)),
    ),
    "LSTM with a projection": (recurrent(nn.LSTM, proj_size=2), TOKENS * (4 * 5 * (8 + 2) + 5 * 2)),
    "RNNCell": (on_token(nn.RNNCell(8, 5)), 5 * (8 + 5)),
    "GRUCell": (on_token(nn.GRUCell(8, 5)), 3 * 5 * (8 + 5)),
    "LSTMCell": (on_token(nn.LSTMCell(8, 5)), 4 * 5 * (8 + 5)),
    "MultiheadAttention": (attention(need_weights=False), PROJECTIONS + SCORES_AND_SUMS),
    "MultiheadAttention with weights": (attention(), PROJECTIONS + SCORES_AND_SUMS),
    "scaled_dot_product_attention": (
        OnTokens(lambda t: functional.scaled_dot_product_attention(*(t.unsqueeze(1),) * 3)),
        SCORES_AND_SUMS,
    ),
    "TransformerEncoder": (
        on_tokens(nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)),
        2 * (PROJECTIONS + SCORES_AND_SUMS + 2 * TOKENS * 8 * 16),
    ),
    "TransformerDecoderLayer": (
        on_tokens(nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), 2),
        2 * (PROJECTIONS + SCORES_AND_SUMS) + 2 * TOKENS * 8 * 16,
    ),
    "cdist": (OnTokens(lambda t: torch.cdist(t, t)), TOKENS * TOKENS * 8),
    "cdist of many": (OnTokens(lambda t: torch.cdist(t, torch.ones(40, 8))), TOKENS * 40 * 8),
    "PairwiseDistance": (on_tokens(nn.PairwiseDistance(), 2), TOKENS * 8),
    "CosineSimilarity": (on_tokens(nn.CosineSimilarity(dim=-1), 2), TOKENS * 8),
    "einsum": (OnTokens(lambda t: torch.einsum("nij,nkj->nik", t, t)), TOKENS * TOKENS * 8),
    "EmbeddingBag with weights": (weighted_bags(), TOKENS * 7),
    "deformable convolution": (
        OnTokens(
            lambda t: torchvision.ops.deform_conv2d(
                t.reshape(-1, *IMAGE), torch.zeros(len(t), 8, 3, 3), torch.ones(5, 3, 2, 2)
            )
        ),
        9 * 5 * 3 * 4,
    ),
    "a product once a batch": (OncePerBatch(), 48 * 2 * 10 + 48 * 10),
    # Elementwise products, norms, poolings and biases are not counted.
    "nothing": (
        nn.Sequential(nn.BatchNorm2d(3), nn.GELU(), nn.AvgPool2d(2), nn.Upsample(scale_factor=2)),
        0,
    ),
}


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_counts_as_by_hand(name: str) -> None:
    layer, macs = LAYERS[name]
    count = count_macs(layer, IMAGE)
    assert (count.macs, count.uncounted) == (macs, ())


@torch.library.custom_op("macs_test::mystery", mutates_args=())
def mystery(tokens: Tensor) -> Tensor:
    return tokens.clone()


@pytest.mark.parametrize(
    ("compute", "operator"),
    [
        (lambda tokens: torch.fft.rfft(tokens), "aten::_fft_r2c"),
        (lambda tokens: torch.linalg.matrix_exp(tokens[:, :, :6]), "aten::linalg_matrix_exp"),
        (
            lambda tokens: torch.linalg.inv(tokens[:, :, :6] + 9 * torch.eye(6)),
            "aten::linalg_inv_ex",
        ),
        (lambda tokens: mystery(tokens), "macs_test::mystery"),
    ],
)
def test_an_operator_without_a_formula_is_named(
    compute: Callable[[Tensor], Tensor], operator: str
) -> None:
    count = count_macs(OnTokens(lambda tokens: (compute(tokens), tokens @ torch.ones(8, 3))), IMAGE)
    assert count.macs == TOKENS * 8 * 3
    assert operator in count.uncounted


def test_a_frozen_encoder_is_not_hidden_in_one_operator() -> None:
    encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).requires_grad_(False)
    macs = PROJECTIONS + SCORES_AND_SUMS + 2 * TOKENS * 8 * 16
    assert count_macs(on_tokens(encoder), IMAGE).macs == macs


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:FutureWarning")
def test_a_scripted_and_a_compiled_model_count_as_they_do_plain() -> None:
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(20, 4))
    plain = count_macs(model, IMAGE)
    assert plain.macs == 4 * 5 * 27 + 20 * 4
    compiled: Any = torch.compile(model, fullgraph=True)
    assert count_macs(torch.jit.script(model), IMAGE) == plain
    assert count_macs(compiled, IMAGE) == plain


@settings(deadline=None, max_examples=examples(30))
@given(
    st.sampled_from([1, 2, 3]),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 2),
    st.booleans(),
)
def test_any_convolution_counts_each_weight_at_each_place(
    dimensions: int, groups: int, ins: int, outs: int, stride: int, transposed: bool
) -> None:
    kind = ("ConvTranspose" if transposed else "Conv") + f"{dimensions}d"
    layer = getattr(nn, kind)(groups * ins, groups * outs, 2, stride=stride, groups=groups)
    images = torch.rand(1, groups * ins, *[5] * dimensions)
    places = math.prod((images if transposed else layer(images)).shape[2:])
    reshaped = OnTokens(lambda tokens: layer(images.expand(len(tokens), *images.shape[1:])), layer)
    assert count_macs(reshaped, IMAGE).macs == places * layer.weight.numel()


@pytest.mark.parametrize(
    "name", ["_grouped_mm", "_attention_of_tomorrow", "new_conv2d", "linalg_solve", "_fft_c2c"]
)
def test_a_product_that_is_unknown_may_contract(name: str) -> None:
    assert formula_of("aten", name) is None
    assert may_contract("aten", name)


@pytest.mark.parametrize(
    "name", ["upsample_linear1d", "linalg_vector_norm", "_convert_weight", "relu_", "index_put"]
)
def test_what_multiplies_elementwise_or_not_at_all_contracts_nothing(name: str) -> None:
    assert not may_contract("aten", name)


# torchvision publishes both figures with its weights: parameters exactly, GFLOPS as
# multiply-accumulates, to which the library adds biases and poolings that we do not count.
@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v2", "squeezenet1_1", "swin_v2_t", "vit_b_16"]
)
def test_counts_against_torchvisions_published_figures(name: str) -> None:
    published = torchvision.models.get_model_weights(name).DEFAULT.meta
    model = torchvision.models.get_model(name, weights=None)
    size = torchvision.models.get_model_weights(name).DEFAULT.transforms().crop_size[0]
    counted = count_parameters(model)
    assert counted.trainable == published["num_params"]
    count = count_macs(model, (3, size, size))
    assert count.macs == pytest.approx(published["_ops"] * 1e9, rel=0.01)
    assert not count.uncounted


def test_the_layer_table_adds_up_with_tied_unused_and_loose_parameters() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.zeros(48))
            self.first, self.tied = nn.Linear(48, 48), nn.Linear(48, 48)
            self.tied.weight = self.first.weight
            self.unused = nn.Linear(7, 7)
            self.head = nn.Linear(48, 2)
            self.register_buffer("phase", torch.zeros(3, dtype=torch.complex64))

        def forward(self, image: Tensor) -> Tensor:
            return self.head(self.tied(self.first(image.flatten(1) + self.token)))

    model = Odd()
    rows = [(layer.name, layer.output_shape, layer.params) for layer in layer_table(model, IMAGE)]
    assert rows == [
        ("first", (48,), 48 * 48 + 48),
        ("tied", (48,), 48),
        ("head", (2,), 48 * 2 + 2),
        ("unused", None, 56),
        ("(in no layer)", None, 48 + 3),
    ]
    assert sum(params for *_, params in rows) == count_parameters(model).total
