"""Recording a CUDA graph, with stand-ins for a device: what is asked of it, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmark.training import recording
from benchmark.training.clock import Clock
from benchmark.training.device import tuned
from benchmark.training.memory import PeakMemory
from benchmark.training.recording import on_a_stream_of_its_own, record_cuda_graph

MIB = 2**20


class Stream:
    """A stream of one of two GPUs."""

    def __init__(self, gpu: Any, device: int = 0) -> None:
        self._gpu, self.device = gpu, device

    def wait_stream(self, other: Stream) -> None:
        self._gpu.calls.append("wait")


class Gpu:
    """What PyTorch asks of a GPU while it records, written down, and its allocator's counts."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.is_in_disorder = False
        self.workspaces = 0
        self.allocated = self.peak = 100 * MIB
        self.default = Stream(self)
        self.current = self.default

    def allocate(self, amount: int) -> None:
        self.allocated += amount
        self.peak = max(self.peak, self.allocated)

    def reset_peak(self, device: object = None) -> None:
        self.peak = self.allocated

    def clear_workspaces(self) -> None:
        self.calls.append("clear")
        self.allocate(-self.workspaces)
        self.workspaces = 0


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gpu]:
    gpu = Gpu()

    @contextmanager
    def current(stream: Stream) -> Iterator[None]:
        before, gpu.current = gpu.current, stream
        try:
            yield
        finally:
            gpu.current = before

    class Graph:
        def capture_begin(self, *pool: Any, capture_error_mode: str, **others: Any) -> None:
            assert gpu.current is not gpu.default
            gpu.calls.append(f"begin {capture_error_mode}")

        def capture_end(self) -> None:
            gpu.calls.append("end")
            if gpu.is_in_disorder:
                raise RuntimeError("capture was invalidated")

        def replay(self) -> None:
            gpu.calls.append("replay")

        def reset(self) -> None:
            gpu.calls.append("reset")

    replacements: dict[str, Any] = {
        "CUDAGraph": Graph,
        "Stream": lambda device: Stream(gpu, device),
        "stream": current,
        "set_stream": lambda stream: setattr(gpu, "current", stream),
        "current_stream": lambda device=None: gpu.current,
        "current_device": lambda: 0,
        "device": lambda device: current(gpu.current),
        "synchronize": lambda device=None: None,
        "empty_cache": lambda: None,
        "memory_allocated": lambda device=None: gpu.allocated,
        "max_memory_allocated": lambda device=None: gpu.peak,
        "reset_peak_memory_stats": gpu.reset_peak,
    }
    for name, replacement in replacements.items():
        monkeypatch.setattr(torch.cuda, name, replacement)
    clear = "_cuda_clearCublasWorkspaces"
    monkeypatch.setattr(torch._C, clear, gpu.clear_workspaces, raising=False)
    monkeypatch.setattr(torch._C, "_host_emptyCache", lambda: None, raising=False)
    recording._stream.cache_clear()
    yield gpu
    recording._stream.cache_clear()


CUDA = torch.device("cuda", 0)


def test_a_step_is_recorded_on_the_stream_of_the_training_and_leaves_other_threads_alone(
    gpu: Gpu,
) -> None:
    with on_a_stream_of_its_own(CUDA):
        recorded = record_cuda_graph(lambda: gpu.calls.append("body"))
        recorded.replay()
        recorded.release()
    order = ["clear", "begin thread_local", "body", "end", "clear", "replay", "reset"]
    assert gpu.calls == ["wait", *order, "wait"]
    assert gpu.current is gpu.default


def test_a_recording_knows_what_its_replays_use(gpu: Gpu) -> None:
    def body() -> None:
        # A workspace, which is the graph's and nobody else's when it is recorded.
        gpu.workspaces = 8 * MIB
        gpu.allocate(gpu.workspaces)
        gpu.allocate(42 * MIB)
        gpu.allocate(-32 * MIB)

    memory = PeakMemory(CUDA)
    with on_a_stream_of_its_own(CUDA):
        with memory.left_out():
            # A rehearsal, of which nothing stays.
            gpu.allocate(900 * MIB)
            gpu.allocate(-900 * MIB)
            recorded = record_cuda_graph(body)
        assert recorded.replayed_bytes == 40 * MIB
        memory.replayed_bytes = recorded.replayed_bytes
        with memory.left_out():
            # An evaluation.
            gpu.allocate(500 * MIB)
            gpu.allocate(-500 * MIB)
    assert memory.bytes() == 150 * MIB
    # Eager steps, which the allocator counts.
    memory.replayed_bytes = 0
    gpu.allocate(30 * MIB)
    gpu.allocate(-30 * MIB)
    assert memory.bytes() == 150 * MIB
    gpu.allocate(60 * MIB)
    assert memory.bytes() == 170 * MIB


def test_what_fails_in_a_capture_is_what_is_raised(gpu: Gpu) -> None:
    def fails() -> None:
        gpu.is_in_disorder = True
        try:
            raise LookupError("which the model handles")
        except LookupError:
            raise RuntimeError("operation not permitted")  # noqa: B904

    with pytest.raises(RuntimeError, match="operation not permitted"):  # noqa: SIM117
        with on_a_stream_of_its_own(CUDA):
            record_cuda_graph(fails)
    assert gpu.calls == ["wait", "clear", "begin thread_local", "end"]
    assert gpu.current is gpu.default


def test_a_device_in_disorder_does_not_hide_why(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_in_disorder(device: object = None) -> None:
        raise RuntimeError("capture was invalidated")

    def work() -> None:
        with clock.measure():
            monkeypatch.setattr(torch.cuda, "synchronize", is_in_disorder)
            raise ValueError("the first")

    event = SimpleNamespace(record=lambda stream: None)
    monkeypatch.setattr(torch.cuda, "Event", lambda **how: event)
    clock = Clock(CUDA)
    with pytest.raises(ValueError, match="the first"):
        work()


def test_each_gpu_has_one_stream_for_all_trainings(gpu: Gpu) -> None:
    used = []
    for index in (0, 1, 0, 1):
        with tuned(torch.device("cuda", index), "bf16"):
            used.append(gpu.current)
    assert isinstance(gpu.current, Stream)
    assert used[0] is used[2]
    assert used[1] is used[3]
    assert [stream.device for stream in used[:2]] == [0, 1]
