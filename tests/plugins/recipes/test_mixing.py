"""Mixup and CutMix: as torchvision mixes, by shares of the distribution that SciPy knows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, strategies as st
from scipy import stats
from torch import Tensor, nn
from torchvision.transforms import v2

from benchmark import Optimization, TrainingPlan
from benchmark.training.graph import CapturedStep
from benchmark.training.recording import Recording
from benchmark.training.training import Training
from benchmark_plugins.recipes import sgd_onecycle
from benchmark_plugins.recipes.mixing import Cutmix, Mixup, from_quantiles, mixed, mixing, quantiles
from benchmark_plugins.recipes.sgd_onecycle import SgdOneCycleOptions
from tests.support.made_training import CPU, make_training, random_images

alphas = st.floats(0.1, 5)
unit = st.floats(0, 1, exclude_max=True, width=32)


def batch(count: int = 6, height: int = 10, width: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(count)
    pixels = torch.rand(count, 3, height, width, generator=generator)
    return pixels, torch.randint(0, 4, (count,), generator=generator)


def alike(count: int, share: float, row: float = 0.0, column: float = 0.0) -> Tensor:
    """The same draws for each image: torchvision draws once for a whole batch."""
    return torch.tensor([0.0, share, row, column]).expand(count, 4)


def configure(model: nn.Module, **options: Any) -> Optimization:
    plan = TrainingPlan(2, 10, 4, SgdOneCycleOptions(crop_padding=1, **options), num_classes=3)
    return sgd_onecycle.configure(model, plan)


@given(alphas, unit)
def test_mixup_mixes_as_torchvision_does(alpha: float, draw: float) -> None:
    pixels, labels = batch()
    share = float(from_quantiles(quantiles(alpha, CPU), torch.tensor([draw])))
    theirs = v2.MixUp(alpha=alpha, num_classes=4)
    parameters = {"lam": share, "labels": labels, "batch_size": len(pixels)}
    own = Mixup(alpha, CPU).own_shares(pixels, alike(6, draw))
    mine, soft = mixed(pixels, labels, own, 4)
    torch.testing.assert_close(mine, theirs.transform(pixels, parameters))
    torch.testing.assert_close(soft, theirs._mixup_label(labels, lam=share))


@given(alphas, unit, unit, unit)
def test_cutmix_cuts_as_torchvision_does(
    alpha: float, draw: float, row: float, column: float
) -> None:
    pixels, labels = batch()
    _, _, height, width = pixels.shape
    places = (row, height), (column, width)
    share = float(from_quantiles(quantiles(alpha, CPU), torch.tensor([draw])))
    # As torchvision makes its box of such draws.
    half = torch.tensor(0.5) * (1 - torch.tensor(share)).sqrt()
    half_height, half_width = int(half * height), int(half * width)
    # In the 32 bits of the draws: 0.7 of ten rows is the seventh there, and not the sixth.
    middle_row, middle_column = (int(torch.tensor(place) * size) for place, size in places)
    left, right = max(middle_column - half_width, 0), min(middle_column + half_width, width)
    top, bottom = max(middle_row - half_height, 0), min(middle_row + half_height, height)
    own_area = 1 - (right - left) * (bottom - top) / (height * width)
    theirs = v2.CutMix(alpha=alpha, num_classes=4)
    box = (left, top, right, bottom)
    parameters = {"box": box, "lam_adjusted": own_area, "labels": labels, "batch_size": 6}
    own = Cutmix(alpha, CPU).own_shares(pixels, alike(6, draw, row, column))
    mine, soft = mixed(pixels, labels, own, 4)
    torch.testing.assert_close(mine, theirs.transform(pixels, parameters))
    torch.testing.assert_close(soft, theirs._mixup_label(labels, lam=own_area))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_shares_are_of_the_beta_distribution(alpha: float) -> None:
    draws = torch.rand(20_000, generator=torch.Generator().manual_seed(0))
    shares = from_quantiles(quantiles(alpha, CPU), draws)
    assert 0 <= shares.min() < shares.max() <= 1
    # Not nearer to the ends, where floats are too far apart for a distribution so steep.
    levels = torch.linspace(0.001, 0.999, 999)
    below = torch.searchsorted(shares.sort().values, levels) / len(shares)
    expected = torch.from_numpy(stats.beta(alpha, alpha).cdf(levels.double().numpy()))
    # Kolmogorov's bound for so many draws, which one in a thousand samples would pass.
    assert float((below - expected).abs().max()) < 1.95 / len(shares) ** 0.5


def test_each_image_has_a_share_of_its_own() -> None:
    pixels, labels = batch()
    draws = torch.rand(6, 4, generator=torch.Generator().manual_seed(0))
    transform = mixing(1.0, 0.0, 4, CPU)
    assert transform is not None
    _, soft = transform.function(pixels, labels, draws)
    torch.testing.assert_close(soft.sum(1), torch.ones(6))
    assert len(set(Mixup(1.0, CPU).own_shares(pixels, draws)[:, 0, 0, 0].tolist())) == 6


@pytest.mark.parametrize(("first", "kind"), [(0.49, Mixup), (0.5, Cutmix)])
def test_with_both_a_batch_has_one_of_them_by_its_first_draw(
    first: float, kind: type[Mixup] | type[Cutmix]
) -> None:
    pixels, labels = batch()
    draws = torch.rand(6, 4, generator=torch.Generator().manual_seed(0))
    draws[0, 0] = first
    transform = mixing(0.4, 0.8, 4, CPU)
    assert transform is not None
    expected = kind(0.4 if kind is Mixup else 0.8, CPU).own_shares(pixels, draws)
    both = transform.function(pixels, labels, draws)
    torch.testing.assert_close(both, mixed(pixels, labels, expected, 4))


def test_by_default_nothing_is_mixed() -> None:
    assert configure(nn.Linear(2, 2)).transform is None


@pytest.mark.parametrize(
    "options", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}]
)
def test_a_mixed_training_is_another_and_can_be_captured(options: dict[str, float]) -> None:
    def training() -> Training:
        return make_training(
            lambda model: configure(model, **options), images=random_images(40), batch_size=4
        )

    eager, replayed = training(), training()
    captured = CapturedStep(replayed, record=Recording)
    for each, take in ((eager, eager.take), (replayed, captured.take)):
        torch.manual_seed(1)
        each.begin_epoch(0, 1)
        take(10)
    torch.testing.assert_close(eager.losses, replayed.losses, rtol=1e-3, atol=1e-5)
    plain = make_training(configure, images=random_images(40), batch_size=4)
    torch.manual_seed(1)
    plain.begin_epoch(0, 1)
    plain.take(10)
    assert not torch.allclose(plain.losses, eager.losses)
