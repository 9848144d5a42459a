"""How a training's steps are taken: eagerly or as a graph, of the model as it is or compiled."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmark.errors import DeviceError
from benchmark.optimization import Optimization
from benchmark.training.clock import TimeAccount
from benchmark.training.graph import NOT_CAPTURED, CapturedStep, NotCapturableError
from benchmark.training.seeds import seed_everything
from benchmark.training.state import restore, state_of
from benchmark.training.training import Training

CHANGED_BY_RECIPE = (
    "the recipe has an on_epoch_start, and a captured graph would not notice what that changes"
)
ACCUMULATES = (
    "the recipe accumulates gradients, and a captured graph would move the weights in every step"
)


@dataclass(frozen=True)
class Engine:
    """What takes steps, its name, and why it is not the one that was wanted.

    ``replayed_bytes`` is memory that a step uses and PyTorch does not count as allocated.
    """

    name: str
    take: Callable[[int], None]
    reason: str | None = None
    replayed_bytes: int = 0


def check_engine(wanted: str, device_type: str) -> None:
    """Raise DeviceError for a graph on a device that has none."""
    if wanted == "graph" and device_type != "cuda":
        raise DeviceError(
            f"engine graph needs a CUDA GPU, and this run is for {device_type}; "
            "use --engine auto or eager"
        )


@contextmanager
def started_engine(
    training: Training,
    wanted: str,
    account: TimeAccount,
    no_graph_because: str | None = None,
) -> Iterator[Engine]:
    """Compile and capture what is to be; the training's state is left as it was.

    ``wanted`` is auto, eager or graph. Where a graph cannot be had, or there is a reason to try
    none, steps are taken eagerly. What the engine has captured is let go in the end.

    Raises CaptureError where a capture has failed half way.
    """
    if training.compiled:
        with account.charge("compile"):
            _take_one_step(training)
    if wanted == "eager" or training.device.type != "cuda":
        yield Engine("eager", training.take)
        return
    reason = no_graph_because or _reason_against_a_graph(training.optimization)
    if reason is not None:
        yield Engine("eager", training.take, reason)
        return
    try:
        with account.charge("capture"):
            captured = CapturedStep(training)
    except NotCapturableError as error:
        yield Engine("eager", training.take, f"{NOT_CAPTURED}: {error}")
        return
    try:
        yield Engine("graph", captured.take, replayed_bytes=captured.replayed_bytes)
    finally:
        captured.release()


def _reason_against_a_graph(optimization: Optimization) -> str | None:
    """Why a recipe's steps are not even tried to be captured; None where they are."""
    if optimization.on_epoch_start is not None:
        return CHANGED_BY_RECIPE
    return ACCUMULATES if optimization.accumulated_batches > 1 else None


def _take_one_step(training: Training) -> None:
    before = copy.deepcopy(state_of(training))
    seed_everything(0)
    training.begin_epoch(0, 0)
    training.take(1)
    restore(training, before)
