"""A step recorded as a CUDA graph, and what else in the process a recording touches."""

from __future__ import annotations

import functools
import gc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

Body = Callable[[], None]


def _hold_nothing() -> None:
    pass


@dataclass(frozen=True)
class Recording:
    """What does again what was recorded, and lets go of it.

    ``replayed_bytes`` is what each replay uses of the device's memory that PyTorch does not count
    as allocated: what the recorded step allocated and freed.
    """

    replay: Body
    release: Body = _hold_nothing
    replayed_bytes: int = 0


Record = Callable[[Body], Recording]


def record_cuda_graph(body: Body) -> Recording:
    """Capture ``body`` as a CUDA graph on the current stream, which is not the default one.

    An exception from here leaves PyTorch's generator and allocator in disorder.
    """
    graph = torch.cuda.CUDAGraph()
    stream = torch.cuda.current_stream()
    with _workspaces_apart():
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        _capture(body, graph, stream)
        peak_bytes = torch.cuda.max_memory_allocated()
    return Recording(graph.replay, graph.reset, peak_bytes - torch.cuda.memory_allocated())


@contextmanager
def on_a_stream_of_its_own(device: torch.device) -> Iterator[None]:
    """Run all work for a GPU on one stream, always the same one.

    A graph cannot be captured on the default stream, nor while something of another stream takes
    part: a tensor of an earlier step, which a model keeps with its gradient's function, would.
    """
    stream = _stream(torch.cuda.current_device() if device.index is None else device.index)
    outside = torch.cuda.current_stream(device)
    stream.wait_stream(outside)
    with torch.cuda.stream(stream):
        yield
    # Not where something was raised: a capture that has failed would raise here, too.
    outside.wait_stream(stream)


@contextmanager
def waiting_for_the_device_raises() -> Iterator[None]:
    """Have PyTorch raise an error where the host would wait for the GPU."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        # It warns that it does not see every wait; the capture would.
        warnings.simplefilter("ignore")
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


@functools.cache
def _stream(index: int) -> torch.cuda.Stream:
    return torch.cuda.Stream(index)  # type: ignore[no-untyped-call]


def _capture(body: Body, graph: torch.cuda.CUDAGraph, stream: torch.cuda.Stream) -> None:
    failure: Exception | None = None
    try:
        # Other threads may go on asking the device: a display does, for its events.
        with (
            _no_garbage_collection(),
            torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"),
        ):
            try:
                body()
            except Exception as error:
                failure = error
                raise
    except Exception as error:
        # To end such a capture raises, too.
        raise failure or error  # noqa: B904


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Collect garbage before, and none inside: to free an earlier training's memory is no step."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def _workspaces_apart() -> Iterator[None]:
    """Have cuBLAS take a workspace for the graph alone, and another one for what comes after.

    It keeps one for each stream. The graph would go on writing to one that is freed, or that others
    use.
    """
    torch._C._cuda_clearCublasWorkspaces()
    yield
    torch._C._cuda_clearCublasWorkspaces()
