"""Cheap dropout: what PyTorch's does, of other random numbers."""

from __future__ import annotations

import numpy
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from benchmark import Images, Optimization
from benchmark.training.data import ResidentImages
from benchmark.training.dropout import CheapDropout
from benchmark.training.seeds import seed_everything
from benchmark.training.training import Training
from tests.support.sampling import examples

probabilities = st.floats(0.001, 0.999)
shapes = st.lists(st.integers(1, 9), min_size=1, max_size=4)
types = st.sampled_from([torch.float32, torch.bfloat16])


def drop(values: torch.Tensor, p: float) -> torch.Tensor:
    with CheapDropout():
        return functional.dropout(values, p)


@settings(deadline=None, max_examples=examples(50))
@given(shapes, types, probabilities)
def test_an_element_is_dropped_or_scaled_and_gradients_with_it(
    shape: list[int], dtype: torch.dtype, p: float
) -> None:
    values = torch.full(shape, 2.0, dtype=dtype, requires_grad=True)
    dropped = drop(values, p)
    scale = torch.tensor(1 / (1 - p), dtype=dtype)
    assert (dropped.dtype, dropped.shape) == (dtype, values.shape)
    assert ((dropped == 0) | (dropped == 2 * scale)).all()
    dropped.sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, torch.where(dropped == 0, torch.zeros_like(scale), scale))


@pytest.mark.parametrize("p", [0.1, 0.2, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_share_that_is_dropped_is_the_probability(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    count = 1_000_000
    dropped = float((drop(torch.ones(count, dtype=dtype), p) == 0).double().mean())
    # Five standard deviations of a binomial share, and the rounding of p to a multiple of 2^-15.
    assert dropped == pytest.approx(p, abs=5 * (p * (1 - p) / count) ** 0.5 + 2**-16)


def test_elements_are_dropped_independently_of_their_neighbours() -> None:
    torch.manual_seed(0)
    kept = (drop(torch.ones(1_000_000), 0.5) != 0).double() - 0.5
    for distance in (1, 2, 3, 4, 5, 8, 64):
        correlation = float((kept[distance:] * kept[:-distance]).mean() / 0.25)
        assert abs(correlation) < 0.005


def test_every_layout_keeps_itself() -> None:
    image = torch.rand(2, 3, 5, 4).to(memory_format=torch.channels_last)
    dropped = drop(image, 0.5)
    assert dropped.stride() == image.stride()
    not_dense = torch.rand(6, 8)[:, ::2]
    assert drop(not_dense, 0.5).shape == (6, 4)


def test_torchs_generator_decides_the_mask() -> None:
    values = torch.ones(1000)
    torch.manual_seed(3)
    first = drop(values, 0.5)
    second = drop(values, 0.5)
    torch.manual_seed(3)
    assert torch.equal(drop(values, 0.5), first)
    assert not torch.equal(first, second)


def test_modules_are_served_and_evaluation_is_left_alone() -> None:
    torch.manual_seed(0)
    layer = nn.Dropout(0.25)
    values = torch.ones(10_000)
    with CheapDropout():
        cheap = layer(values)
        assert torch.equal(layer.eval()(values), values)
    torch.manual_seed(0)
    assert not torch.equal(layer.train()(values), cheap)
    assert sorted(set(cheap.tolist())) == [0.0, pytest.approx(4 / 3)]


@pytest.mark.parametrize("p", [0.0, 1.0, 1e-9])
def test_extreme_probabilities_are_pytorchs(p: float) -> None:
    values = torch.ones(1000)
    assert torch.equal(drop(values, p), functional.dropout(values, p))


def test_what_it_does_not_know_is_pytorchs() -> None:
    values = torch.ones(1000, dtype=torch.float64)
    assert set(drop(values, 0.5).tolist()) == {0.0, 2.0}
    in_place = torch.ones(1000)
    with CheapDropout():
        functional.dropout(in_place, 0.5, inplace=True)
    assert set(in_place.tolist()) == {0.0, 2.0}
    with pytest.raises(ValueError, match="between 0 and 1"):
        drop(values, 1.5)


class Checkpointed(nn.Module):
    """Two blocks with dropout, each computed again in the backward pass, or not."""

    def __init__(self, use_reentrant: bool | None) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(inputs, 32), nn.GELU(), nn.Dropout(0.5), nn.BatchNorm1d(32))
            for inputs in (36, 32)
        )
        self.head = nn.Linear(32, 10)
        self.use_reentrant = use_reentrant

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        values = self.stem(image).flatten(1)
        for block in self.blocks:
            if self.use_reentrant is None or not self.training:
                values = block(values)
            else:
                values = checkpoint(block, values, use_reentrant=self.use_reentrant)
        return self.head(values)


def gradients_of_a_step(use_reentrant: bool | None, precision: str) -> list[torch.Tensor]:
    seed_everything(0)
    model = Checkpointed(use_reentrant)
    pixels = numpy.random.default_rng(0).integers(0, 256, (16, 3, 8, 8), numpy.uint8)
    images = ResidentImages(Images(pixels, numpy.arange(16) % 10), torch.device("cpu"))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    training = Training(
        model, Optimization(optimizer, [1.0], functional.cross_entropy), images, 16, precision
    )
    seed_everything(1)
    training.begin_epoch(0, 1)
    training.take(1)
    gradients = []
    for parameter in model.parameters():
        assert parameter.grad is not None
        gradients.append(parameter.grad)
    return gradients


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("use_reentrant", [True, False])
@pytest.mark.parametrize("dropout", ["cheap", "pytorch"])
def test_a_step_has_the_same_gradients_with_activation_checkpointing(
    dropout: str, use_reentrant: bool, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if dropout == "pytorch":
        monkeypatch.setattr("benchmark.training.dropout._is_supported", lambda tensor: False)
    wanted = gradients_of_a_step(None, precision)
    found = gradients_of_a_step(use_reentrant, precision)
    for left, right in zip(found, wanted, strict=True):
        assert torch.equal(left, right)
