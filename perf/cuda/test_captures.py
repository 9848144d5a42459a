"""What is awkward to capture, or cannot be, disturbs neither its training nor the next."""

from __future__ import annotations

import copy
import subprocess
import sys
import threading
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmark import CaptureError
from benchmark.training import TimeAccount, started_engine
from perf.cuda.trainings import (
    assert_trained_alike,
    by_recipe,
    captured,
    small_model,
    train,
    training_by,
)
from perf.gpu.awkward_models import FailsInCapture, KeepsFeatures, Recomputes


def test_a_model_that_keeps_a_tensor_of_autograds_is_captured(device: torch.device) -> None:
    training = training_by(by_recipe("adam"), KeepsFeatures(), device)
    # So that nodes of a stream from before the capture are alive during it.
    train(training, training.take, range(1, 2))
    with captured(training) as engine:
        train(training, engine.take, range(2, 3))
    assert torch.isfinite(training.losses).all()


def test_activation_checkpointing_trains_alike_captured_or_eagerly_with_a_reason(
    device: torch.device,
) -> None:
    eager, other = (training_by(by_recipe("adam"), Recomputes(), device) for _ in range(2))
    other.model.load_state_dict(copy.deepcopy(eager.model.state_dict()))
    # A capture that fails half way would raise: what stands against it is to be found before.
    with started_engine(other, "auto", TimeAccount(device)) as engine:
        assert engine.name == "graph" or engine.reason or device.type != "cuda"
        train(other, engine.take, range(1, 2))
    train(eager, eager.take, range(1, 2))
    assert_trained_alike(eager, other)


class WaitsForTheHost(nn.Module):
    """Decides on the host in each step, which rehearsing shows before a capture is tried."""

    def __init__(self) -> None:
        super().__init__()
        self.model = small_model()

    def forward(self, pixels: Tensor) -> Tensor:
        """Map N x 3 x 32 x 32 pixels to N x 10 logits."""
        logits: Tensor = self.model(pixels)
        return logits if float(logits.detach().sum()) > 0 else logits * 1.0


def test_a_model_that_waits_for_the_host_is_trained_eagerly(device: torch.device) -> None:
    training = training_by(by_recipe("adam"), WaitsForTheHost(), device)
    with started_engine(training, "auto", TimeAccount(device)) as engine:
        assert engine.name == "eager"
        if device.type == "cuda":
            assert engine.reason is not None
            assert engine.reason.startswith("not captured as a graph: ")
        train(training, engine.take, range(1, 2))
    assert torch.isfinite(training.losses).all()
    # And the next one in this process is captured.
    capture_and_train(device)


def fail_in_a_capture(device: torch.device) -> str | None:
    """Capture what cannot be captured; returns what a trial would be told of it."""
    training = training_by(by_recipe("adam"), FailsInCapture(), device)
    try:
        with started_engine(training, "auto", TimeAccount(device)) as engine:
            return engine.reason
    except CaptureError as error:
        return str(error)


def notice_a_failure(device: torch.device) -> None:
    """Have a capture fail, which must be noticed."""
    assert fail_in_a_capture(device), "the failure was not noticed"


def capture_and_train(device: torch.device) -> None:
    """Capture what can be captured, and train with it."""
    training = training_by(by_recipe("adam"), small_model(), device)
    with captured(training) as engine:
        train(training, engine.take, range(1, 2))
    assert torch.isfinite(training.losses).all()


def in_a_process(check: Callable[[torch.device], None], device: torch.device) -> None:
    """Call ``check`` in a Python of its own; a capture that fails leaves it in disorder."""
    program = f"""
import torch
from perf.cuda import test_captures
device = torch.device("cuda", {device.index})
with test_captures.tuned(device, "fp32"):
    test_captures.{check.__name__}(device)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_capture_that_fails_is_noticed_and_costs_no_other_process(device: torch.device) -> None:
    if device.type != "cuda":
        assert fail_in_a_capture(device) is None
        return
    in_a_process(notice_a_failure, device)
    in_a_process(capture_and_train, device)


def test_events_that_another_thread_polls_disturb_no_capture(device: torch.device) -> None:
    """A progress display looks at events while the next phase is captured."""
    over, polled = threading.Event(), threading.Event()
    failures: list[Exception] = []

    def poll() -> None:
        try:
            stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            while not over.is_set():
                event = torch.cuda.Event()  # type: ignore[no-untyped-call]
                event.record(stream)
                event.query()  # type: ignore[no-untyped-call]
                polled.set()
        except Exception as error:
            failures.append(error)
            polled.set()

    thread = threading.Thread(target=poll if device.type == "cuda" else polled.set)
    thread.start()
    try:
        polled.wait()
        capture_and_train(device)
    finally:
        over.set()
        thread.join()
    assert failures == []
