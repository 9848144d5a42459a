"""BatchNorm's statistics: measured for the weights that are evaluated, and given back."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from benchmark import Optimization
from benchmark.training.batch_norm import calibrated
from benchmark.training.data import epoch_order
from benchmark.training.state import state_of
from tests.support.made_training import make_training, plain_sgd, random_images, train_all


def network(dropout: float) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Conv2d(4, 4, 3),
        nn.BatchNorm2d(4, momentum=0.01),
        nn.BatchNorm2d(4, track_running_stats=False),
    )


def batches() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(16, 3, 8, 8, generator=generator) for _ in range(3)]


def test_statistics_are_those_that_pytorch_measures_without_dropout() -> None:
    expected = network(dropout=0.0)
    update_bn(batches(), expected)
    with calibrated(network(dropout=0.5), batches(), "fp32") as model:
        assert not any(module.training for module in model.modules())
        torch.testing.assert_close(model.state_dict(), expected.state_dict())


def test_the_models_own_statistics_come_back() -> None:
    model = network(dropout=0.5)
    model(torch.rand(16, 3, 8, 8))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    places = {name: value.data_ptr() for name, value in model.state_dict().items()}
    with pytest.raises(ZeroDivisionError), calibrated(model, batches(), "fp32"):
        raise ZeroDivisionError
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert {name: value.data_ptr() for name, value in model.state_dict().items()} == places
    assert [model[1].momentum, model[5].momentum] == [0.1, 0.01]


class FrozenFirst(nn.Module):
    """Its first BatchNorm is held in evaluation mode while the second one trains."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        normalized: torch.Tensor = self.second(self.first(pixels))
        return normalized

    def train(self, mode: bool = True) -> FrozenFirst:
        super().train(mode)
        self.first.eval()
        return self


def test_a_layer_that_is_held_still_keeps_its_statistics() -> None:
    model = FrozenFirst()
    before, after = model.first.running_mean, model.second.running_mean
    assert before is not None
    assert after is not None
    with calibrated(model, batches(), "fp32"):
        assert before.count_nonzero() == 0
        assert after.count_nonzero() == 3


def test_a_model_without_batch_norm_costs_nothing() -> None:
    unread = iter(batches())
    with calibrated(nn.Flatten(), unread, "fp32"):
        assert len(list(unread)) == 3


def calibrated_sgd(model: nn.Module) -> Optimization:
    return dataclasses.replace(plain_sgd(model), calibration_images=20, ema_decay=0.9)


def averaged_sgd(model: nn.Module) -> Optimization:
    return dataclasses.replace(plain_sgd(model), ema_decay=0.9)


def test_a_training_is_the_same_with_and_without() -> None:
    images = random_images(64)
    with_it = make_training(calibrated_sgd, images=images, batch_size=16)
    without = make_training(averaged_sgd, images=images, batch_size=16)
    figures = [train_all(step, random_images(30), 5, 3) for step in (with_it, without)]
    losses = [[epoch.train_loss for epoch, _ in trained] for trained in figures]
    assert losses[0] == losses[1]
    torch.testing.assert_close(state_of(with_it), state_of(without), rtol=0, atol=0)
    # What is evaluated differs.
    assert figures[0][-1][1].loss != figures[1][-1][1].loss


def test_it_is_the_average_that_is_calibrated_on_whole_batches_as_they_are() -> None:
    training = make_training(calibrated_sgd, images=random_images(64), batch_size=16)
    train_all(training, random_images(30), 5, 2)
    assert training.average is not None
    with training.average.in_the_model():
        expected = make_training(images=random_images(64), batch_size=16).model
        expected.load_state_dict(training.model.state_dict())
    dropout = expected.get_submodule("3")
    assert isinstance(dropout, nn.Dropout)
    dropout.p = 0.0
    # 20 images are two batches of 16: the first two of the epoch.
    pixels = random_images(64).pixels
    first = epoch_order(64, seed=5, epoch=2)[:32].view(2, 16)
    update_bn([images_of(pixels[indices]) for indices in first], expected)
    with training.evaluated_model() as model:
        torch.testing.assert_close(model.state_dict(), expected.state_dict())


def images_of(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.permute(0, 3, 1, 2).float() / 255


def test_more_images_than_an_epoch_has_are_all_of_them() -> None:
    def all_images(model: nn.Module) -> Optimization:
        return dataclasses.replace(plain_sgd(model), calibration_images=10**6)

    training = make_training(all_images, images=random_images(64), batch_size=16)
    (_, evaluation), *_ = train_all(training, random_images(30), 5, 1)
    assert evaluation.loss > 0


def test_a_negative_number_of_images_is_refused() -> None:
    with pytest.raises(ValueError, match="calibration_images is a number of images, not -1"):
        dataclasses.replace(plain_sgd(nn.Linear(2, 2)), calibration_images=-1)
