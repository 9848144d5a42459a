"""What there is around the steps of a captured training: evaluation, state, peak memory."""

from __future__ import annotations

import copy
import gc
from contextlib import ExitStack

import pytest
import torch

from benchmark.training import (
    EvaluationBatches,
    PeakMemory,
    ResidentImages,
    TimeAccount,
    evaluate,
    restore,
    seed_everything,
    started_engine,
    state_of,
)
from perf.built_in import MODELS, RECIPES, build_model
from perf.cuda.trainings import (
    STEPS,
    assert_trained_alike,
    by_recipe,
    captured,
    small_model,
    train,
    training_by,
)
from perf.random_images import draw_images


@pytest.mark.parametrize("name", MODELS)
def test_an_evaluation_is_a_cpus_but_for_rounding(name: str, device: torch.device) -> None:
    seed_everything(0)
    model = build_model(name)
    images = draw_images(1100, 1)
    found, batches = [], EvaluationBatches()
    for place in (torch.device("cpu"), device):
        model.to(device=place, memory_format=torch.channels_last)  # type: ignore[call-overload]
        resident = ResidentImages(images, place)
        found.append(evaluate(model, resident, "fp32", batches=batches))
    here, there = found
    # A CPU has found nothing out; a GPU has room for them all at once.
    assert len(batches.slices_of(1100)) == (1 if device.type == "cuda" else 3)
    assert there.loss == pytest.approx(here.loss, rel=1e-4)
    # A few images in a thousand may lie so close to a border.
    assert (here.predictions == there.predictions).mean() > 0.995


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_captured_training_goes_on_from_its_state_as_it_would_have(
    recipe: str, device: torch.device
) -> None:
    first, second = (training_by(by_recipe(recipe), small_model(), device) for _ in range(2))
    with captured(first) as engine:
        train(first, engine.take, range(1, 2))
        state = copy.deepcopy(state_of(first))
        train(first, engine.take, range(2, 3))
    restore(second, state)
    with captured(second) as engine:
        train(second, engine.take, range(2, 3))
    assert first.steps_taken == second.steps_taken == 2 * STEPS
    assert_trained_alike(first, second)


def test_a_captured_trainings_model_is_averaged_calibrated_and_evaluated(
    device: torch.device,
) -> None:
    training = training_by(by_recipe("sgd_onecycle"), build_model("separable_cnn"), device)
    images = ResidentImages(draw_images(600, 1), device)
    with captured(training) as engine:
        train(training, engine.take, range(1, 2))
        before = [weight.detach().clone() for weight in training.model.parameters()]
        with training.evaluated_model() as model:
            evaluation = evaluate(model, images, "fp32", training.prepare)
            assert not all(map(torch.equal, before, model.parameters()))
        assert all(map(torch.equal, before, training.model.parameters()))
        assert evaluation.loss < 10
        # Lending put weights elsewhere or back: the graph must still write to them.
        train(training, engine.take, range(2, 3))
        assert not any(map(torch.equal, before, training.model.parameters()))


def test_the_peak_of_memory_is_a_trainings_also_where_replays_allocate_nothing(
    device: torch.device,
) -> None:
    def peak_bytes(wanted: str) -> int:
        # Nothing that an earlier training left is counted to this one.
        gc.collect()
        memory = PeakMemory(device)
        training = training_by(by_recipe("adam"), build_model("baseline_cnn"), device)
        with ExitStack() as started:
            with memory.left_out():
                engine = started.enter_context(
                    started_engine(training, wanted, TimeAccount(device))
                )
            assert (engine.replayed_bytes > 0) == (engine.name == "graph")
            memory.replayed_bytes = engine.replayed_bytes
            train(training, engine.take, range(1, 2))
        weights = sum(weight.nbytes for weight in training.model.parameters())
        # Adam keeps two more numbers for each weight, and there are gradients.
        assert memory.bytes() > 4 * weights
        return memory.bytes()

    eager, replayed = peak_bytes("eager"), peak_bytes("auto")
    if device.type == "cuda":
        # Activations and workspaces may be laid out otherwise, but are there all the same.
        assert eager / 2 < replayed < torch.cuda.get_device_properties(device).total_memory
