"""Augmentation: each image its own draw, decided by (seed, epoch), done by one gather."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch.nn import functional

from benchmark import Augmentation, BenchmarkError
from benchmark.training.augment import DRAWS, Augmenter
from tests.support.sampling import examples

CPU = torch.device("cpu")
sizes = st.integers(4, 12)
augmentations = st.builds(
    Augmentation, flip=st.booleans(), crop_padding=st.integers(0, 3), cutout=st.integers(0, 14)
)


def random_pixels(count: int, height: int, width: int, channels: int) -> torch.Tensor:
    generator = numpy.random.default_rng(count)
    shape = (count, height, width, channels)
    return torch.from_numpy(generator.integers(1, 256, shape, numpy.uint8))


def one_by_one(
    pixels: torch.Tensor, indices: torch.Tensor, draws: torch.Tensor, augmentation: Augmentation
) -> torch.Tensor:
    """The same with PyTorch's own padding, slicing and flipping, image by image."""
    _, height, width, _ = pixels.shape
    padding = augmentation.crop_padding
    images = []
    for index, draw in zip(indices, draws.T, strict=True):
        flip, shift_rows, shift_columns, hole_row, hole_column = draw.tolist()
        image = pixels[index].permute(2, 0, 1).unsqueeze(0).float()
        if augmentation.flip and flip:
            image = image.flip(3)
        padded = functional.pad(image, (padding,) * 4, mode="reflect")[0]
        top, left = padding + shift_rows, padding + shift_columns
        image = padded[:, top : top + height, left : left + width]
        if augmentation.cutout:
            top = hole_row - augmentation.cutout // 2
            left = hole_column - augmentation.cutout // 2
            rows = slice(max(top, 0), max(top + augmentation.cutout, 0))
            columns = slice(max(left, 0), max(left + augmentation.cutout, 0))
            image[:, rows, columns] = 0
        images.append(image.permute(1, 2, 0).to(torch.uint8))
    return torch.stack(images)


@settings(deadline=None, max_examples=examples(50))
@given(sizes, sizes, st.sampled_from([1, 3, 4]), augmentations, st.integers(0, 1000))
def test_a_batch_is_what_image_by_image_gives(
    height: int, width: int, channels: int, augmentation: Augmentation, seed: int
) -> None:
    pixels = random_pixels(7, height, width, channels)
    augmenter = Augmenter(augmentation, height, width, CPU)
    indices = torch.tensor([3, 0, 6, 3, 1])
    draws = augmenter.draw(5, seed, epoch=1)
    batch = augmenter.apply(pixels[indices], draws)
    assert batch.dtype == torch.uint8
    assert torch.equal(batch, one_by_one(pixels, indices, draws, augmentation))


@settings(deadline=None, max_examples=examples(50))
@given(augmentations, st.integers(0, 2**32), st.integers(1, 1000))
def test_seed_and_epoch_decide_the_draws(augmentation: Augmentation, seed: int, epoch: int) -> None:
    draws = Augmenter(augmentation, 8, 8, CPU).draw(64, seed, epoch)
    assert torch.equal(draws, Augmenter(augmentation, 8, 8, CPU).draw(64, seed, epoch))
    assert not torch.equal(draws, Augmenter(augmentation, 8, 8, CPU).draw(64, seed, epoch + 1))
    assert not torch.equal(draws, Augmenter(augmentation, 8, 8, CPU).draw(64, seed + 1, epoch))


def test_every_draw_is_in_its_range_and_every_value_comes_up() -> None:
    draws = Augmenter(Augmentation(crop_padding=2), 8, 6, CPU).draw(4000, 0, 1)
    seen = {name: sorted(set(draws[column].tolist())) for column, name in enumerate(DRAWS)}
    assert seen == {
        "flip": [0, 1],
        "shift_rows": [-2, -1, 0, 1, 2],
        "shift_columns": [-2, -1, 0, 1, 2],
        "hole_row": [*range(8)],
        "hole_column": [*range(6)],
    }
    assert 0.45 < draws[0].double().mean() < 0.55


def test_what_is_switched_on_does_not_change_the_other_draws() -> None:
    alone = Augmenter(Augmentation(flip=True), 8, 8, CPU).draw(1000, 3, 4)
    together = Augmenter(Augmentation(True, 2, 3), 8, 8, CPU).draw(1000, 3, 4)
    for column, name in enumerate(DRAWS):
        changed = not torch.equal(alone[column], together[column])
        assert changed == name.startswith("shift"), name


def test_images_are_drawn_for_one_by_one() -> None:
    pixels = random_pixels(1, 8, 8, 3)
    augmenter = Augmenter(Augmentation(flip=True, crop_padding=2), 8, 8, CPU)
    batch = augmenter.apply(pixels.repeat(64, 1, 1, 1), augmenter.draw(64, 0, 1))
    different = {tuple(image.flatten().tolist()) for image in batch}
    # 2 x 5 x 5 possible images, 64 draws.
    assert len(different) > 25


def test_the_images_themselves_stay_as_they_are() -> None:
    pixels = random_pixels(4, 8, 8, 3)
    before = pixels.clone()
    augmenter = Augmenter(Augmentation(True, 2, 4), 8, 8, CPU)
    augmenter.apply(pixels, augmenter.draw(4, 0, 1))
    assert torch.equal(pixels, before)


def test_a_padding_as_large_as_the_image_is_an_error() -> None:
    with pytest.raises(BenchmarkError, match=r"crop padding of 8 pixels.*8 x 12"):
        Augmenter(Augmentation(crop_padding=8), 8, 12, CPU)


@pytest.mark.parametrize("sizes", [{"crop_padding": -1}, {"cutout": -2}])
def test_a_negative_size_is_an_error(sizes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is a number of pixels, not -"):
        Augmentation(**sizes)
