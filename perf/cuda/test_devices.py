"""What a device computes, in what precision, and how long it takes, as a CPU knows it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmark.training import INITIAL_WEIGHTS, Clock, Training, seed_everything, tuned
from perf.built_in import MODELS, build_model
from perf.cuda.trainings import begin, by_recipe, captured, small_model, train, training_by


@pytest.mark.parametrize("name", MODELS)
def test_initial_weights_order_and_augmentation_are_a_cpus(name: str, device: torch.device) -> None:
    trainings = []
    for place in (torch.device("cpu"), device):
        seed_everything(0, INITIAL_WEIGHTS)
        trainings.append(training_by(by_recipe("sgd_onecycle"), build_model(name), place))
    here, there = trainings
    for mine, theirs in zip(here.model.parameters(), there.model.parameters(), strict=True):
        assert torch.equal(mine, theirs.cpu())
    for training in trainings:
        begin(training, 1)
    for _ in range(here.steps_per_epoch):
        (pixels, labels), (their_pixels, their_labels) = map(next_batch, trainings)
        assert torch.equal(labels, their_labels.cpu())
        torch.testing.assert_close(pixels, their_pixels.cpu())


def next_batch(training: Training) -> tuple[Tensor, Tensor]:
    """The pixels and labels of the next batch, without a step."""
    training.batches.provide()
    batch = training.batches.next()
    training.batches.advance()
    return batch


@pytest.mark.parametrize(("precision", "rounded"), [("fp32", False), ("tf32", True)])
def test_fp32_is_rounded_to_tf32_only_where_asked_for(
    precision: str, rounded: bool, device: torch.device
) -> None:
    needs_cuda(device)
    before = torch.backends.cudnn.allow_tf32
    with tuned(device, precision):
        left, right = (torch.rand(256, 256, dtype=torch.float64) for _ in range(2))
        product = (left.float().to(device) @ right.float().to(device)).cpu().double()
        error = float(((product - left @ right) / (left @ right)).abs().max())
        # TF32 keeps 10 bits of a factor, fp32 keeps 23.
        assert (error > 1e-5) == rounded
        # What torch.compile asks for is answered.
        assert torch.backends.cudnn.allow_tf32 == rounded
        assert torch.get_float32_matmul_precision() == ("high" if rounded else "highest")
    assert torch.backends.cudnn.allow_tf32 == before


def test_the_clock_waits_for_the_work_it_measures(device: torch.device) -> None:
    needs_cuda(device)
    factor = torch.rand(2048, 2048, device=device)
    done, begun = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    with Clock(device).measure() as stretch:
        begun.record()
        for _ in range(50):
            factor = (factor @ factor).softmax(0)
        done.record()
    # Nobody here has waited but the clock.
    assert done.query()  # type: ignore[no-untyped-call]
    assert stretch.seconds >= begun.elapsed_time(done) / 1000


def test_several_gpus_in_one_process_are_captured_each(device: torch.device) -> None:
    if device.type != "cuda" or torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA GPUs")
    losses = []
    for number in (1, 0):
        other = torch.device("cuda", number)
        with tuned(other, "fp32"):
            training = training_by(by_recipe("adam"), small_model(), other)
            with captured(training) as engine:
                train(training, engine.take, range(1, 2))
            losses.append(training.losses.cpu())
    torch.testing.assert_close(*losses, rtol=1e-3, atol=1e-4)


def needs_cuda(device: torch.device) -> None:
    """Skip a test that a CPU says nothing of."""
    if device.type != "cuda":
        pytest.skip("needs a CUDA GPU")
