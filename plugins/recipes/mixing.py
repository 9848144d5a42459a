"""Mixup and CutMix: each image and its label mixed with another of the batch, on the device."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark import Transform

# Between so many quantiles of a Beta distribution, its inverse is taken for a line.
QUANTILES = 4096


def mixing(mixup: float, cutmix: float, num_classes: int, device: torch.device) -> Transform | None:
    """The transform that mixes by Beta(``mixup``, ``mixup``) and Beta(``cutmix``, ``cutmix``).

    With 0 there is no mixup, or no CutMix; with both, each batch has one of them at even odds.
    """
    mixers: list[Mixup | Cutmix] = [Mixup(mixup, device)] if mixup else []
    mixers += [Cutmix(cutmix, device)] if cutmix else []
    if not mixers:
        return None

    def mix(pixels: Tensor, labels: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        owns = [mixer.own_shares(pixels, draws) for mixer in mixers]
        # The batch's first draw decides for all of it. Asking the host would have it wait.
        own = torch.where(draws[0, 0] < 0.5, owns[0], owns[-1])
        return mixed(pixels, labels, own, num_classes)

    return Transform(mix, draws=4)


class Mixup:
    """Of each image, its own share everywhere (Zhang et al., 2018, "mixup")."""

    def __init__(self, alpha: float, device: torch.device) -> None:
        self._quantiles = quantiles(alpha, device)

    def own_shares(self, pixels: Tensor, draws: Tensor) -> Tensor:
        """Each pixel's share of its own image, B x 1 x H x W; ``draws`` are B x 4."""
        shares = from_quantiles(self._quantiles, draws[:, 1])
        return shares.view(-1, 1, 1, 1).expand(-1, 1, *pixels.shape[2:])


class Cutmix:
    """Of each image, all but a box (Yun et al., 2019, "CutMix").

    The box has the other image's share of the area, but for what of it lies outside, and its centre
    is anywhere in the image.
    """

    def __init__(self, alpha: float, device: torch.device) -> None:
        self._quantiles = quantiles(alpha, device)

    def own_shares(self, pixels: Tensor, draws: Tensor) -> Tensor:
        """Each pixel's share of its own image, 0 or 1, B x 1 x H x W; ``draws`` are B x 4."""
        side = (1 - from_quantiles(self._quantiles, draws[:, 1])).sqrt()
        rows = _inside(side, draws[:, 2], pixels.shape[2])
        columns = _inside(side, draws[:, 3], pixels.shape[3])
        box = rows.unsqueeze(2) & columns.unsqueeze(1)
        return (~box).unsqueeze(1).to(pixels.dtype)


def mixed(pixels: Tensor, labels: Tensor, own: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Mix each image with the one before it in the batch, and its label by the area that it has.

    ``own`` are the pixels' shares of their own image; returns labels of B x ``num_classes``.
    """
    classes = torch.arange(num_classes, device=labels.device)
    labels = (labels.unsqueeze(1) == classes).to(pixels.dtype)
    area = own.mean((1, 2, 3)).unsqueeze(1)
    return (
        pixels * own + pixels.roll(1, 0) * (1 - own),
        labels * area + labels.roll(1, 0) * (1 - area),
    )


def quantiles(alpha: float, device: torch.device) -> Tensor:
    """The quantiles of Beta(``alpha``, ``alpha``) at equal distances, from 0 to 1."""
    # Imported here: whoever only lists recipes need not wait for it.
    import numpy
    from scipy.special import betaincinv

    levels = numpy.linspace(0, 1, QUANTILES + 1)
    return torch.tensor(betaincinv(alpha, alpha, levels), dtype=torch.float32, device=device)


def from_quantiles(quantiles: Tensor, draws: Tensor) -> Tensor:
    """Draw by inverse transform: uniform ``draws`` of [0, 1) become draws of the distribution."""
    position = draws * (len(quantiles) - 1)
    below = position.long()
    return torch.lerp(quantiles[below], quantiles[below + 1], position - below)


def _inside(side: Tensor, centre: Tensor, size: int) -> Tensor:
    """Which of ``size`` rows or columns are in each box, bool of B x ``size``."""
    positions = torch.arange(size, device=side.device)
    middle = (centre * size).long().unsqueeze(1)
    half = (side * size / 2).long().unsqueeze(1)
    return (positions >= middle - half) & (positions < middle + half)
