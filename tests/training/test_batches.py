"""An epoch's batches: the same whatever parts they are gathered in, and drawn ahead or not."""

from __future__ import annotations

import dataclasses
from unittest.mock import patch

import numpy
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from benchmark import Augmentation, Transform
from benchmark.training import batches as module
from benchmark.training.augment import Augmenter
from benchmark.training.batches import Batches
from benchmark.training.data import ResidentImages, epoch_order
from benchmark.training.layout import FORMATS, Layout
from benchmark.training.preparation import Preparation
from tests.support.made_training import CPU, plain_sgd, random_images
from tests.support.sampling import examples

AUGMENTATION = Augmentation(flip=True, crop_padding=2, cutout=3)
SIDE = 8
IMAGE_BYTES = SIDE * SIDE * 3


def batches_of(
    images: ResidentImages,
    batch_size: int,
    layout: Layout = "channels_last",
    augmentation: Augmentation = AUGMENTATION,
    transform: Transform | None = None,
) -> Batches:
    optimization = dataclasses.replace(
        plain_sgd(nn.Linear(1, 1)), augment=augmentation, transform=transform
    )
    preparation = Preparation(layout, channels=3, device=CPU)
    return Batches(images, batch_size, optimization, preparation)


def epoch_of(batches: Batches, seed: int, epoch: int) -> tuple[Tensor, Tensor]:
    """All pixels and labels of an epoch, batch by batch."""
    batches.lay_out(seed, epoch)
    taken = []
    for _ in range(batches.per_epoch):
        batches.provide()
        taken.append(batches.next())
        batches.advance()
    pixels, labels = zip(*taken, strict=True)
    return torch.stack(pixels), torch.stack(labels)


@settings(deadline=None, max_examples=examples(30))
@given(
    count=st.integers(1, 40),
    batch_size=st.integers(1, 9),
    part_images=st.integers(0, 40),
    chunk_images=st.integers(0, 40),
    layout=st.sampled_from([*FORMATS]),
    augmentation=st.sampled_from([Augmentation(), AUGMENTATION]),
    epoch=st.integers(1, 9),
)
def test_an_epoch_is_its_order_augmented_whatever_its_parts_are(
    count: int,
    batch_size: int,
    part_images: int,
    chunk_images: int,
    layout: Layout,
    augmentation: Augmentation,
    epoch: int,
) -> None:
    batch_size = min(batch_size, count)
    images = random_images(count)
    with (
        patch.object(module, "PART_BYTES", part_images * IMAGE_BYTES),
        patch.object(module, "CPU_CHUNK_BYTES", chunk_images * IMAGE_BYTES),
    ):
        pixels, labels = epoch_of(batches_of(images, batch_size, layout, augmentation), 3, epoch)
    used = count - count % batch_size
    order = epoch_order(count, 3, epoch)[:used]
    augmenter = Augmenter(augmentation, SIDE, SIDE, CPU)
    wanted = augmenter.apply(images.pixels[order], augmenter.draw(used, 3, epoch))
    assert torch.equal(labels.flatten(), images.labels[order])
    assert torch.equal(pixels.flatten(0, 1), wanted.permute(0, 3, 1, 2).float().div(255))
    assert pixels[0].is_contiguous(memory_format=FORMATS[layout])


def test_what_is_drawn_ahead_is_what_would_have_been_drawn() -> None:
    def shown(pixels: Tensor, labels: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        return pixels * draws[:, :1, None, None], labels

    ahead, plain = (
        batches_of(random_images(20), 5, transform=Transform(shown, draws=1)) for _ in range(2)
    )
    for epoch, drawn in ((1, 2), (2, 9), (3, 4), (4, 5)):
        ahead.draw_ahead(7, drawn)
        for mine, theirs in zip(epoch_of(ahead, 7, epoch), epoch_of(plain, 7, epoch), strict=True):
            assert torch.equal(mine, theirs)


def test_draws_of_another_seed_are_not_used() -> None:
    ahead, plain = (batches_of(random_images(20), 5) for _ in range(2))
    ahead.draw_ahead(8, 1)
    assert torch.equal(epoch_of(ahead, 7, 1)[0], epoch_of(plain, 7, 1)[0])


@pytest.mark.parametrize(
    ("side", "wanted"), [(8, torch.int8), (127, torch.int8), (128, torch.int32)]
)
def test_draws_are_small_integers_that_hold_every_position(side: int, wanted: torch.dtype) -> None:
    augmenter = Augmenter(Augmentation(crop_padding=side - 1), side, side, CPU)
    draws = augmenter.draw(5000, 0, 1)
    assert draws.dtype == wanted
    assert (int(draws[1].min()), int(draws[1].max())) == (1 - side, side - 1)
    assert int(draws[3].max()) == side - 1
    assert numpy.unique(draws[3].numpy()).size == side
