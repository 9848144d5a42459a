"""What a recipe says of steps, batches and rates, held to loops that PyTorch's users write."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn, optim
from torch.nn import functional
from torch.optim import lr_scheduler
from torchvision.transforms.v2 import functional as torchvision_functional

from benchmark import (
    Augmentation,
    BenchmarkError,
    EpochFigures,
    Images,
    Normalization,
    Optimization,
    RecipeEntry,
    Transform,
)
from benchmark.training.data import ResidentImages, epoch_order
from benchmark.training.evaluation import evaluate
from benchmark.training.moved_parameters import names_left_alone
from benchmark.training.preparation import as_floats
from benchmark.training.state import MisfitError, check_fits, restore, state_of
from benchmark.training.training import Training
from tests.support.made_training import CPU, random_images

Optimize = Callable[[nn.Module], Optimization]
FACTORS = [1.0] * 100


def dense_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.Tanh(), nn.Linear(8, 3))


def sgd(model: nn.Module, **more: Any) -> Optimization:
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return Optimization(optimizer, FACTORS, functional.cross_entropy, **more)


def training_of(
    optimize: Optimize = sgd, *, images: int = 40, batch_size: int = 4, **more: Any
) -> Training:
    model = dense_model()
    return Training(model, optimize(model), random_images(images), batch_size, "fp32", **more)


def with_changes(**changes: Any) -> Training:
    return training_of(lambda model: sgd(model, **changes))


def take_epoch(training: Training, epoch: int = 1) -> None:
    training.begin_epoch(0, epoch)
    training.take(training.steps_per_epoch)


def batches(images: int = 40, batch_size: int = 4, epoch: int = 1) -> list[tuple[Tensor, Tensor]]:
    """An epoch's batches, as the order says and nothing else."""
    resident = random_images(images)
    order = epoch_order(images, 0, epoch)[: images // batch_size * batch_size]
    return [
        (as_floats(resident.pixels[indices]), resident.labels[indices])
        for indices in order.view(-1, batch_size)
    ]


def assert_same_weights(training: Training, model: nn.Module, **tolerance: Any) -> None:
    for mine, theirs in zip(training.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, **tolerance)


# How a step is taken


def test_lbfgs_takes_the_steps_that_it_takes_in_a_loop_of_its_own() -> None:
    def optimize(model: nn.Module) -> Optimization:
        optimizer = optim.LBFGS(model.parameters(), lr=0.5, max_iter=4)
        loss = functional.cross_entropy
        return Optimization(optimizer, FACTORS, loss, update=optimizer.step)

    training, model = training_of(optimize), dense_model()
    optimizer = optim.LBFGS(model.parameters(), lr=0.5, max_iter=4)
    losses = []
    for pixels, labels in batches():

        def closure(pixels: Tensor = pixels, labels: Tensor = labels) -> Tensor:
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(pixels), labels)
            loss.backward()
            return loss.detach()

        losses.append(optimizer.step(closure))
    take_epoch(training)
    assert_same_weights(training, model, rtol=0, atol=0)
    # The first loss of a step is the one that is noted; PyTorch returns it as well.
    assert training.losses.tolist() == [float(loss) for loss in losses]


def test_hits_are_those_of_the_first_call_of_the_closure() -> None:
    def update(closure: Callable[[], Tensor]) -> None:
        closure()
        with torch.no_grad():
            for parameter in training.model.parameters():
                parameter.zero_()
        closure()

    training = with_changes(update=update)
    pixels, labels = batches()[0]
    expected = int((training.model(pixels).argmax(1) == labels).sum())
    training.begin_epoch(0, 1)
    training.take(1)
    assert training.hits[0] == expected
    assert training.losses[0] != pytest.approx(numpy.log(3))


# Of the epoch's ten batches, none, two, one and three are left at its end; or it has fewer.
@pytest.mark.parametrize("together", [2, 4, 3, 7, 20])
def test_accumulated_gradients_are_those_of_one_large_batch(together: int) -> None:
    training, model = with_changes(accumulated_batches=together), dense_model()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for epoch in (1, 2):
        parts = batches(epoch=epoch)
        for first in range(0, len(parts), together):
            # What is left at the epoch's end is a smaller batch.
            pixels, labels = map(torch.cat, zip(*parts[first : first + together], strict=True))
            optimizer.zero_grad()
            functional.cross_entropy(model(pixels), labels).backward()
            optimizer.step()
        take_epoch(training, epoch)
    assert_same_weights(training, model, rtol=1e-4, atol=1e-6)


def test_an_average_takes_accumulated_weights_in_when_they_move() -> None:
    training = with_changes(accumulated_batches=5, ema_decay=0.5)
    assert training.average is not None
    expected = [value.clone() for value in training.average.values.values()]
    training.begin_epoch(0, 1)
    for _ in range(2):
        training.take(5)
        weights = training.model.parameters()
        expected = [0.5 * mean + 0.5 * now for mean, now in zip(expected, weights, strict=True)]
    torch.testing.assert_close([*training.average.values.values()], expected)


def test_several_optimisers_take_their_steps_with_their_own_rates() -> None:
    def optimizers(model: nn.Module) -> tuple[optim.Optimizer, ...]:
        first, second = model[1].parameters(), model[3].parameters()  # type: ignore[index]
        return optim.SGD(first, lr=0.1), optim.Adam(second, lr=0.01)

    def optimize(model: nn.Module) -> Optimization:
        factors = [1 - step / 100 for step in range(100)]
        return Optimization(optimizers(model), factors, functional.cross_entropy)

    training, model = training_of(optimize), dense_model()
    bare = optimizers(model)
    for step, (pixels, labels) in enumerate(batches()):
        model.zero_grad()
        functional.cross_entropy(model(pixels), labels).backward()
        for optimizer, rate in zip(bare, (0.1, 0.01), strict=True):
            optimizer.param_groups[0]["lr"] = rate * (1 - step / 100)
            optimizer.step()
    take_epoch(training)
    assert_same_weights(training, model)
    assert [*names_left_alone(training.model, training.optimization)] == []


def test_parameters_of_a_loss_are_kept_with_the_training() -> None:
    def training() -> tuple[Training, nn.Parameter]:
        temperature = nn.Parameter(torch.ones(()))

        def optimize(model: nn.Module) -> Optimization:
            optimizers = (optim.SGD(model.parameters(), lr=0.1), optim.SGD([temperature], lr=0.1))
            return Optimization(
                optimizers,
                FACTORS,
                lambda logits, labels: functional.cross_entropy(logits * temperature, labels),
            )

        return training_of(optimize), temperature

    (first, own), (second, other) = training(), training()
    take_epoch(first)
    assert own != other
    state = state_of(first)
    check_fits(second, state)
    restore(second, state)
    assert own == other
    with pytest.raises(MisfitError, match="more optimisers now, or fewer"):
        check_fits(training_of(), state)


# What a model is given


def test_images_are_normalised_as_torchvision_does_it_wherever_the_model_is_given_some() -> None:
    mean, deviation = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
    normalization = Normalization(mean, deviation)
    training = with_changes(normalization=normalization, calibration_images=8)
    seen: list[Tensor] = []
    training.model.insert(1, nn.BatchNorm1d(192))  # type: ignore[operator]
    training.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    def normalized(pixels: Tensor) -> Tensor:
        return torchvision_functional.normalize(as_floats(pixels), mean, deviation)

    images, test = random_images(40), random_images(30)
    order = epoch_order(40, 0, 1)
    take_epoch(training)
    torch.testing.assert_close(torch.cat(seen), normalized(images.pixels[order]))
    seen.clear()
    with training.evaluated_model() as model:
        evaluate(model, test, "fp32", training.prepare)
    calibrated, evaluated = torch.cat(seen).split([8, 30])
    torch.testing.assert_close(calibrated, normalized(images.pixels[order[:8]]))
    torch.testing.assert_close(evaluated, normalized(test.pixels))
    assert training.normalization == normalization


def test_one_mean_and_deviation_are_for_all_channels() -> None:
    training = with_changes(normalization=Normalization([0.5], [0.25]))
    pixels = random_images(40).pixels
    torch.testing.assert_close(training.prepare(pixels), (as_floats(pixels) - 0.5) / 0.25)


def test_a_transform_is_given_batches_and_draws_that_seed_and_epoch_decide() -> None:
    seen: list[tuple[Tensor, ...]] = []

    def look(pixels: Tensor, labels: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        seen.append((pixels, labels, draws))
        return pixels / 2, labels

    training = with_changes(transform=Transform(look, draws=3))
    given: list[Tensor] = []
    training.model.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    for epoch in (1, 2, 1):
        take_epoch(training, epoch)
    first, second, again = (seen[start : start + 10] for start in (0, 10, 20))
    for (pixels, labels, draws), (wanted_pixels, wanted_labels) in zip(
        first, batches(), strict=True
    ):
        assert torch.equal(pixels, wanted_pixels)
        assert torch.equal(labels, wanted_labels)
        assert (draws.shape, draws.dtype) == ((4, 3), torch.float32)
    draws = torch.cat([part[2] for part in first])
    assert torch.equal(draws, torch.cat([part[2] for part in again]))
    assert not torch.equal(draws, torch.cat([part[2] for part in second]))
    assert 0 <= draws.min() < 0.05 < 0.95 < draws.max() < 1
    torch.testing.assert_close(given[0], batches()[0][0] / 2)


def test_the_draws_are_the_same_in_every_version() -> None:
    drawn: list[Tensor] = []

    def look(pixels: Tensor, labels: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        drawn.append(draws)
        return pixels, labels

    take_epoch(with_changes(transform=Transform(look, draws=2)), 7)
    expected = numpy.random.default_rng((4, 0, 7)).random((40, 2), "float32")
    assert torch.equal(torch.cat(drawn), torch.from_numpy(expected))


def test_soft_labels_hit_where_the_greatest_share_is() -> None:
    def soften(pixels: Tensor, labels: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
        return pixels, functional.one_hot(labels, 3) * 0.4 + 0.2

    hard, soft = with_changes(), with_changes(transform=Transform(soften))
    for training in (hard, soft):
        training.begin_epoch(0, 1)
        training.take(1)
    assert hard.hits[0] == soft.hits[0]
    pixels, labels = batches()[0]
    smoothed = functional.cross_entropy(dense_model()(pixels), labels, label_smoothing=0.6)
    torch.testing.assert_close(soft.losses[0], smoothed)


@pytest.mark.parametrize(
    ("returned", "complaint"),
    [
        (lambda p, y: None, "return (pixels, labels), not None"),
        (lambda p, y: p, "return (pixels, labels), not float32 of 4 x 3 x 8 x 8"),
        (lambda p, y: (p, y, y), "return (pixels, labels), not a tuple of 3"),
        (lambda p, y: (p.numpy(), y), "floats of 4 x 3 x 8 x 8, as it was given, not a ndarray"),
        (lambda p, y: (p[:, :, 1:], y), "as it was given, not float32 of 4 x 3 x 7 x 8"),
        (lambda p, y: (p.long(), y), "as it was given, not int64 of 4 x 3 x 8 x 8"),
        (lambda p, y: (p, y[:3]), "labels that are int64 of 4 or floats of 4 x classes, not int64"),
        (lambda p, y: (p, y.float()), "4 x classes, not float32 of 4"),
        (lambda p, y: (p, functional.one_hot(y)), "4 x classes, not int64 of 4 x "),
        (lambda p, y: (p, torch.ones(4, 5)), "labels of 4 x 5 where the model gives 4 x 3 logits"),
    ],
)
def test_a_transform_that_returns_something_else_is_told_what_it_should(
    returned: Callable[[Tensor, Tensor], Any], complaint: str
) -> None:
    transform = Transform(lambda pixels, labels, draws: returned(pixels, labels))
    training = with_changes(transform=transform)
    with pytest.raises(BenchmarkError, match=re.escape(complaint)) as caught:
        take_epoch(training)
    assert str(caught.value).startswith("the recipe's transform ")


# What a recipe cannot say


def as_they_are(pixels: Tensor, labels: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
    return pixels, labels


class WithoutRates(optim.Optimizer):
    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, {})


def attached_scheduler(model: nn.Module) -> optim.Optimizer:
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    lr_scheduler.StepLR(optimizer, 3)
    return optimizer


def one(model: nn.Module) -> optim.Optimizer:
    return optim.SGD(model.parameters(), lr=0.1)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda m: optim.LBFGS(m.parameters()), "optimizer LBFGS needs a closure: give update=opt"),
        (lambda m: WithoutRates(m.parameters()), "optimizer WithoutRates has parameter groups wit"),
        (attached_scheduler, "a learning rate scheduler is attached to optimizer SGD"),
        (
            lambda m: lr_scheduler.StepLR(one(m), 3),
            "optimizer is a torch.optim.Optimizer or several, not a StepLR; schedules are given as",
        ),
        (
            lambda m: lr_scheduler.ReduceLROnPlateau(one(m)),
            "not a ReduceLROnPlateau; schedules are given as numbers: learning_rate_factors, one a",
        ),
        (lambda m: (one(m), None), "optimizer is a torch.optim.Optimizer or several, not None"),
        (lambda m: (), "optimizer is a torch.optim.Optimizer or several, and there is none"),
        (lambda m: m.parameters(), "optimizer is a torch.optim.Optimizer or several, not a gener"),
    ],
)
def test_an_optimiser_that_cannot_be_used_is_told_why(
    make: Callable[[nn.Module], Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        Optimization(make(dense_model()), FACTORS, functional.cross_entropy)


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("learning_rate_factors", 0.1, "learning_rate_factors is a sequence of numbers, one a st"),
        ("learning_rate_factors", {0: 1.0}, "one a step, not a dict"),
        ("learning_rate_factors", [1.0, "x"], "learning_rate_factors[1] is 'x': a factor is a fin"),
        ("learning_rate_factors", [-1.0], "learning_rate_factors[0] is -1.0: a factor is a finite"),
        ("learning_rate_factors", [numpy.nan], "learning_rate_factors[0] is nan"),
        ("loss", None, "loss is a function, not None"),
        ("augment", None, "augment is a benchmark.Augmentation, not None; give a function of who"),
        ("augment", print, "not a builtin_function_or_method; give a function of whole batches as"),
        ("transform", print, "transform is a benchmark.Transform, not a builtin_function_or_meth"),
        ("normalization", 0.5, "normalization is a benchmark.Normalization, not 0.5"),
        ("ema_decay", 1.5, "ema_decay is a number between 0 and 1, not 1.5"),
        ("ema_decay", True, "ema_decay is a number between 0 and 1, not True"),
        ("calibration_images", -1, "calibration_images is a number of images, not -1"),
        ("calibration_images", 0.5, "calibration_images is a number of images, not 0.5"),
        ("dropout_epochs", "2", "dropout_epochs is a number of epochs, not '2'"),
        ("update", 3, "update is a function, not 3"),
        ("factor_after_epoch", [1.0], "factor_after_epoch is a function, not a list"),
        ("accumulated_batches", 0, "accumulated_batches is a number of batches, 1 or more, not 0"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(field: str, value: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        dataclasses.replace(sgd(dense_model()), **{field: value})


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Transform(3), "function is a function, not 3"),  # type: ignore[arg-type]
        (
            lambda: Transform(as_they_are, draws=-1),
            "draws is a number of draws for each image, not -1",
        ),
        (lambda: Normalization([0.5], [0.0]), "standard_deviation has positive numbers, not 0"),
        (lambda: Normalization([], []), "mean is of 0 channels, standard_deviation of 0"),
        (lambda: Normalization([0.1] * 3, [0.1] * 2), "mean is of 3 channels, standard_deviation"),
        (lambda: Normalization(0.5, [1.0]), "mean is a sequence of numbers, not 0.5"),  # type: ignore[arg-type]
        (lambda: Normalization([numpy.inf], [1.0]), "mean is a sequence of numbers, not a list"),
        (lambda: Augmentation(cutout=-1), "cutout is a number of pixels, not -1"),
        (lambda: RecipeEntry("x", print, logits=3), "the logits of 'x' should be a function"),  # type: ignore[arg-type]
    ],
)
def test_a_part_that_makes_no_sense_is_told_why(make: Callable[[], Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        make()


def test_what_a_recipe_may_be_given_as_is_taken() -> None:
    factors: Any = numpy.linspace(1, 0, 100)
    optimization = dataclasses.replace(sgd(dense_model()), learning_rate_factors=factors)
    assert len(optimization.optimizers) == 1
    factors = torch.ones(100)
    optimization = dataclasses.replace(optimization, learning_rate_factors=factors)
    training = training_of(lambda model: dataclasses.replace(optimization, optimizer=one(model)))
    take_epoch(training)
    assert training.learning_rate == pytest.approx(0.1)


def test_accumulation_beside_an_update_is_refused() -> None:
    with pytest.raises(ValueError, match="accumulated_batches is for steps without an update"):
        sgd(dense_model(), accumulated_batches=2, update=print)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"update": lambda closure: None}, "the recipe's update returned without a call of its"),
        ({"loss": lambda logits, labels: 0.5}, "the recipe's loss should return the batch's mean"),
        ({"loss": lambda logits, labels: None}, "mean loss as a tensor, not None"),
        ({"loss": lambda logits, labels: logits.sum(1)}, "mean loss, one number, not 4 of them"),
    ],
)
def test_a_step_that_cannot_be_taken_is_told_why(changes: dict[str, Any], complaint: str) -> None:
    training = training_of(lambda model: dataclasses.replace(sgd(model), **changes))
    with pytest.raises(BenchmarkError, match=re.escape(complaint)):
        take_epoch(training)


def test_an_optimiser_of_another_model_is_refused() -> None:
    with pytest.raises(BenchmarkError, match="optimizer SGD moves no parameter of the model: give"):
        training_of(lambda model: sgd(dense_model()))


def test_groups_that_are_added_later_are_refused() -> None:
    def optimize(model: nn.Module) -> Optimization:
        optimizer = optim.SGD(model[1].parameters(), lr=0.1)  # type: ignore[index]
        return Optimization(optimizer, FACTORS, functional.cross_entropy)

    training = training_of(optimize)
    (optimizer,) = training.optimization.optimizers
    optimizer.add_param_group({"params": [*training.model[3].parameters()]})  # type: ignore[index]
    with pytest.raises(BenchmarkError, match="have 2 parameter groups, and had 1 when they were"):
        take_epoch(training)


def test_a_normalization_of_other_channels_is_refused() -> None:
    with pytest.raises(BenchmarkError, match="is of 2 channels, and the images have 3"):
        with_changes(normalization=Normalization([0.1, 0.2], [1.0]))


@pytest.mark.parametrize(
    ("decide", "complaint"),
    [
        (lambda figures: None, "gave None after epoch 2: a factor is a finite number"),
        (lambda figures: -0.5, "gave -0.5 after epoch 2: a factor is a finite number"),
        (lambda figures: float("inf"), "gave inf after epoch 2: a factor is a finite number"),
        (lambda figures: figures[0].test_loss, "failed after epoch 2: AttributeError"),
    ],
)
def test_a_factor_that_is_none_is_told_with_its_epoch(
    decide: Callable[[Any], Any], complaint: str
) -> None:
    training = with_changes(factor_after_epoch=decide)
    figures = [EpochFigures(epoch, 1.0, 0.5, None, None) for epoch in (1, 2)]
    with pytest.raises(BenchmarkError, match=re.escape(complaint)):
        training.rates.decide(figures)


def test_logits_that_are_none_are_told() -> None:
    training = training_of(logits=lambda outputs: {"logits": outputs})
    with pytest.raises(BenchmarkError, match="the logits should be a tensor, not a dict"):
        take_epoch(training)


def test_all_parts_of_the_outputs_are_floats_of_32_bits() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = dense_model()

        def forward(self, pixels: Tensor) -> Any:
            logits = self.dense(pixels)
            return ({"logits": logits}, logits, 3) if self.training else logits

    seen: list[Any] = []

    def loss(outputs: Any, labels: Tensor) -> Tensor:
        seen.append(outputs)
        return functional.cross_entropy(outputs[0]["logits"], labels)

    model = Pair()
    images = Images(numpy.zeros((8, 3, 8, 8), numpy.uint8), numpy.arange(8) % 3)
    training = Training(
        model,
        dataclasses.replace(sgd(model), loss=loss),
        ResidentImages(images, CPU),
        4,
        "bf16",
        logits=lambda outputs: outputs[1],
    )
    take_epoch(training)
    named, logits, number = seen[0]
    assert (named["logits"].dtype, logits.dtype, number) == (torch.float32, torch.float32, 3)
