"""An experiment in turn with the step as it is: each captured where there is CUDA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from benchmark.training import TRAINING, Clock, seed_everything
from perf.figures import ratio
from perf.interleave import interleave

# As many as PyTorch's notes on CUDA graphs take before a capture, and cuDNN's search needs one.
WARM_UP_CALLS = 3


class Steps(Protocol):
    """What takes the steps of an epoch; see ``perf.experiments.step.Step``."""

    calls: int

    @property
    def losses(self) -> Tensor:
        """Each step's mean loss."""

    def begin(self) -> None:
        """Go to the epoch's first batch."""

    def __call__(self) -> None:
        """Take the next step, or the next ones."""

    def finish(self) -> None:
        """Work out what is left to work out once an epoch."""


def compare(
    experiment: Callable[[], Steps],
    as_it_is: Callable[[], Steps],
    device: torch.device,
    repeats: int,
) -> dict[str, Any]:
    """Time epochs of both in turn, after one that warms up; returns the figures of a row."""
    contenders = {"as_it_is": as_it_is(), "experiment": experiment()}
    blocks = {name: epoch_timer(steps, device) for name, steps in contenders.items()}
    for block in blocks.values():
        block()
    seconds = interleave(blocks, repeats, _say_nothing)
    compared = ratio(seconds["experiment"], seconds["as_it_is"])
    return {
        "ratio": compared.median,
        "lowest": compared.lowest,
        "highest": compared.highest,
        "seconds": seconds["experiment"],
        "as_it_is_seconds": seconds["as_it_is"],
        "last_loss": _last_loss(contenders["experiment"]),
        "as_it_is_last_loss": _last_loss(contenders["as_it_is"]),
    }


def epoch_timer(steps: Steps, device: torch.device) -> Callable[[], float]:
    """A function that takes an epoch's steps and returns its seconds."""
    take, clock = prepared(steps, device), Clock(device)

    def epoch() -> float:
        seed_everything(0, TRAINING)
        with clock.measure() as stretch:
            steps.begin()
            for _ in range(steps.calls):
                take()
            steps.finish()
        return stretch.seconds

    return epoch


def prepared(steps: Steps, device: torch.device) -> Callable[[], None]:
    """What takes the next steps: a captured graph's replay on CUDA, themselves elsewhere.

    To warm up, and to capture, trains: steps are taken from the epoch's first batch on. All of it
    goes to the current stream, which must not be the default one: to be called where a device is
    ``tuned``.
    """
    if device.type != "cuda":
        return steps
    for _ in range(WARM_UP_CALLS):
        steps.begin()
        steps()
    steps.begin()
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream(device)
    # Of this thread only: PyTorch's own threads may allocate meanwhile.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        steps()
    return graph.replay


def _last_loss(steps: Steps) -> float:
    return float(steps.losses.double().mean())


def _say_nothing(line: str) -> None:
    del line
