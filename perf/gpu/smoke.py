"""Part 3: whether a step is captured at all, of each training that should be."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import nn

from benchmark import CaptureError
from benchmark.errors import one_line
from benchmark.training import TimeAccount, Training, started_engine, tuned
from perf.built_in import MODELS, RECIPES, build_model, configure
from perf.gpu.awkward_models import FailsInCapture, KeepsFeatures, Recomputes, docs_sgd
from perf.gpu.jobs import Figures, Job, Measurement
from perf.gpu.made import (
    EPOCHS,
    NotCapturedError,
    make_training,
    take_first_steps,
    training_of,
    why_not_captured,
)
from perf.gpu.options import Options

SECONDS = 45


def jobs(options: Options) -> Iterator[Job]:
    """What should be captured, in one process; what leaves its process in disorder, in another."""
    yield Job("captures", SECONDS, partial(captures, options))
    yield Job("captures in a process where one failed", SECONDS, partial(after_a_failure, options))


def captures(options: Options) -> Iterator[Measurement]:
    """Both models by both recipes, with dropout and without; then what is awkward to capture."""
    for model, recipe, drops_out in itertools.product(MODELS, RECIPES, (True, False)):
        make = partial(make_training, options, model, recipe)
        name = f"{model}, {recipe}, {'with' if drops_out else 'without'} dropout"
        yield Measurement(name, partial(smoke, options, make, drops_out=drops_out))
    plain_sgd = partial(_trained_by_docs_sgd, options, lambda: build_model("baseline_cnn"))
    yield Measurement("SGD as docs/hooks/recipes.md has it", partial(smoke, options, plain_sgd))
    keeps = partial(_trained_by_adam, options, KeepsFeatures)
    yield Measurement("a model that keeps its features", partial(smoke, options, keeps))
    recomputes = partial(_trained_by_adam, options, Recomputes)
    yield Measurement("activation checkpointing", partial(captured_or_not, options, recomputes))


def smoke(options: Options, make: Callable[[], Training], *, drops_out: bool = True) -> Figures:
    """Capture a step and replay it a few times; raises NotCapturedError where there is no graph."""
    figures = captured_or_not(options, make, drops_out=drops_out)
    if options.has_cuda and not figures["captured"]:
        raise NotCapturedError(figures["reason"])
    return figures


def captured_or_not(
    options: Options, make: Callable[[], Training], *, drops_out: bool = True
) -> Figures:
    """Take a few steps, captured where they can be; the reason says why they are not."""
    with tuned(options.device, options.precision):
        training = make()
        training.drops_out = drops_out
        account = TimeAccount(options.device)
        with started_engine(training, "auto", account) as engine:
            loss = take_first_steps(training, engine.take)
    return {
        "captured": engine.name == "graph",
        "capture_seconds": account.seconds("capture"),
        "loss": _finite(loss),
        "reason": why_not_captured(engine, options.device),
    }


def after_a_failure(options: Options) -> Iterator[Measurement]:
    """A capture that fails half way, and another one in the same process after it.

    The first has to be noticed. The second is for the record: the product starts a fresh process.
    """
    yield Measurement("a capture that fails half way", partial(_failing, options))
    yield Measurement("a capture in the process where one failed", partial(_next_one, options))


def _failing(options: Options) -> Figures:
    with tuned(options.device, options.precision):
        training = _trained_by_adam(options, FailsInCapture)
        try:
            with started_engine(training, "auto", TimeAccount(options.device)) as engine:
                reason = why_not_captured(engine, options.device)
        except CaptureError as error:
            return {"raised": "CaptureError", "reason": one_line(error)}
    if reason is None:
        raise NotCapturedError("a step that cannot be captured was taken for captured")
    return {"raised": "nothing", "reason": reason}


def _next_one(options: Options) -> Figures:
    try:
        return captured_or_not(options, partial(make_training, options, "baseline_cnn"))
    # Whatever it is: that is what is to be found out.
    except Exception as error:
        return {"captured": False, "reason": one_line(error)}


def _trained_by_adam(options: Options, make_model: Callable[[], nn.Module]) -> Training:
    def optimize(model: nn.Module, steps: int, batch_size: int):  # type: ignore[no-untyped-def]
        return configure("adam", model, epochs=EPOCHS, steps_per_epoch=steps, batch_size=batch_size)

    return training_of(make_model(), options, optimize)


def _trained_by_docs_sgd(options: Options, make_model: Callable[[], nn.Module]) -> Training:
    return training_of(make_model(), options, docs_sgd)


def _finite(loss: float) -> float:
    if not torch.isfinite(torch.tensor(loss)):
        raise FloatingPointError(f"the loss is {loss}")
    return loss
