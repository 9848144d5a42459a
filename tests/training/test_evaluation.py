"""A model judged by images, in batches that a CPU's cores or a GPU's memory decide on."""

from __future__ import annotations

import numpy
import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor, nn
from torch.nn import functional

from benchmark.training import as_floats
from benchmark.training.evaluation import Evaluation, evaluate
from benchmark.training.evaluation_batches import (
    EVALUATION_BATCH,
    LARGEST_BATCH,
    MEMORY_SHARE,
    EvaluationBatches,
    evaluation_batches,
    even_batches,
    largest_batch,
)
from tests.support.made_training import random_images

GIB = 2**30


def sizes(images: int, batches: list[slice]) -> list[int]:
    """How many images each batch has; all of them together are all images, each once."""
    covered = [range(images)[batch] for batch in batches]
    assert [image for part in covered for image in part] == [*range(images)]
    return [*map(len, covered)]


@given(st.integers(1, 5_000))
def test_an_evaluation_on_a_cpu_ends_with_no_batch_of_one(images: int) -> None:
    found = sizes(images, [*evaluation_batches(images)])
    assert 1 not in found or images == 1
    assert set(found[:-1]) <= {EVALUATION_BATCH}
    assert found[-1] <= EVALUATION_BATCH + 1
    assert EvaluationBatches().slices_of(images) == [*evaluation_batches(images)]


@given(st.integers(1, 20_000), st.integers(EVALUATION_BATCH, 20_000))
def test_batches_are_few_and_even(images: int, largest: int) -> None:
    found = sizes(images, even_batches(images, largest))
    assert max(found) <= largest
    assert max(found) - min(found) <= 1
    assert 1 not in found or images == 1
    assert (len(found) - 1) * largest < images


@given(st.integers(0, 2**36), st.integers(GIB, 200 * GIB))
def test_a_batch_takes_its_share_of_the_memory_at_most(taken: int, memory: int) -> None:
    largest = largest_batch(taken, memory)
    times, rest = divmod(largest, EVALUATION_BATCH)
    assert (rest, times & (times - 1)) == (0, 0)
    share = MEMORY_SHARE * memory
    assert times == 1 or times * taken <= share
    # Twice as many would take more, or are never worth it.
    assert largest == LARGEST_BATCH or 2 * times * max(taken, 1) > share - max(taken, 1)


def dense() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 3), nn.BatchNorm1d(3), nn.Dropout(0.9))


def assert_alike(one: Evaluation, other: Evaluation) -> None:
    assert one.loss == pytest.approx(other.loss, rel=1e-6)
    assert numpy.array_equal(one.predictions, other.predictions)
    assert numpy.array_equal(one.correct, other.correct)


def test_an_evaluation_sees_every_image_once() -> None:
    images, model = random_images(1203), dense()
    evaluation = evaluate(model, images, "fp32")
    with torch.no_grad():
        logits = model.eval()(as_floats(images.pixels))
    assert evaluation.loss == pytest.approx(float(functional.cross_entropy(logits, images.labels)))
    assert numpy.array_equal(evaluation.correct, (logits.argmax(1) == images.labels).numpy())
    assert evaluation.accuracy == evaluation.correct.mean()


@pytest.mark.parametrize("largest", [500, 700, 2000])
def test_the_figures_are_the_same_in_any_batches(largest: int) -> None:
    images, model = random_images(1203), dense()
    expected = evaluate(model, images, "fp32")
    assert_alike(evaluate(model, images, "fp32", batches=EvaluationBatches(largest)), expected)


class NeedsRoom(nn.Module):
    """A model for which memory runs out with more than so many images, as PyTorch says it."""

    def __init__(self, most: int, error: type[RuntimeError] = torch.OutOfMemoryError) -> None:
        super().__init__()
        self.most = most
        self.error = error
        self.model = dense()
        self.given: list[int] = []

    def forward(self, pixels: Tensor) -> Tensor:
        self.given.append(len(pixels))
        if len(pixels) > self.most:
            raise self.error("CUDA out of memory. Tried to allocate 90.00 GiB.")
        return self.model(pixels)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_where_memory_runs_out_batches_are_halved_and_stay_so(error: type[RuntimeError]) -> None:
    """Or where a kernel does not take so many numbers, which is a RuntimeError without a kind."""
    images, batches = random_images(1203), EvaluationBatches(4000)
    model = NeedsRoom(700, error)
    expected = evaluate(dense(), images, "fp32")
    assert_alike(evaluate(model, images, "fp32", batches=batches), expected)
    assert model.given == [1203, 601, 602]
    assert_alike(evaluate(model, images, "fp32", batches=batches), expected)
    assert model.given[3:] == [601, 602]


@pytest.mark.parametrize("batches", [EvaluationBatches(2000), EvaluationBatches()])
def test_where_it_runs_out_with_the_smallest_that_is_the_trial_s_error(
    batches: EvaluationBatches,
) -> None:
    model = NeedsRoom(100)
    with pytest.raises(torch.OutOfMemoryError):
        evaluate(model, random_images(1203), "fp32", batches=batches)
    assert min(model.given) < 501


class FakeGpu:
    """What PyTorch says of a GPU's memory, where a batch takes 1 MiB an image beside 3 GiB."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, memory_bytes: int) -> None:
        self.most = self.now = 3 * GIB
        properties = type("Properties", (), {"total_memory": memory_bytes})
        for name, said in {
            "memory_allocated": lambda device: self.now,
            "max_memory_allocated": lambda device: self.most,
            "reset_peak_memory_stats": lambda device: setattr(self, "most", self.now),
            "get_device_properties": lambda device: properties,
        }.items():
            monkeypatch.setattr(torch.cuda, name, said)

    def classify(self, batch: slice) -> None:
        self.most = max(self.most, self.now + (batch.stop - batch.start) * 2**20)


@pytest.mark.parametrize(
    ("memory_gib", "expected"), [(80, [5_000, 5_000]), (8, [2_000] * 5), (1, [500] * 20)]
)
def test_a_gpu_is_given_as_many_as_a_quarter_of_its_memory_has_room_for(
    monkeypatch: pytest.MonkeyPatch, memory_gib: int, expected: list[int]
) -> None:
    gpu = FakeGpu(monkeypatch, memory_gib * GIB)
    batches = EvaluationBatches()
    given: list[slice] = []

    searched: list[bool] = []
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)

    def classify(batch: slice) -> None:
        given.append(batch)
        searched.append(torch.backends.cudnn.benchmark)
        gpu.classify(batch)

    for _ in range(2):
        batches.measure_largest(10_000, torch.device("cuda", 0), classify)
    assert given == [slice(0, EVALUATION_BATCH)]
    assert searched == [False]
    assert sizes(10_000, batches.slices_of(10_000)) == expected


def test_what_a_small_set_leaves_open_a_larger_one_finds_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu, cuda = FakeGpu(monkeypatch, 80 * GIB), torch.device("cuda", 0)
    batches = EvaluationBatches()
    for images, expected in ((400, [400]), (10_000, [5_000, 5_000]), (400, [400])):
        batches.measure_largest(images, cuda, gpu.classify)
        assert sizes(images, batches.slices_of(images)) == expected
