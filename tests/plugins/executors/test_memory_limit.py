"""A trial that was refused memory names the limit; one that failed of itself does not."""

from __future__ import annotations

import os

import pytest

from benchmark_plugins.executors.processes.memory_limit import MemoryLimit

LIMIT = "; its process may allocate no more than 1.5 GiB (executor.memory_gib)"


def made(limit_gib: float | None = 1.5) -> MemoryLimit:
    limit = None if limit_gib is None else int(limit_gib * 2**30)
    return MemoryLimit(limit, os.getpid())


REFUSALS = [
    "MemoryError",
    "_ArrayMemoryError: Unable to allocate 64.0 GiB for an array with shape (8589934592,)",
    "RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't "
    "allocate memory: you tried to allocate 34359738368 bytes.",
    "OSError: [Errno 12] Cannot allocate memory",
    "RuntimeError: std::bad_alloc",
    "ImportError: libtorch.so: failed to map segment from shared object",
    "RuntimeError: can't start new thread",
]
OTHERS = [
    "OutOfMemoryError: CUDA out of memory. Tried to allocate 90.00 GiB.",
    "RuntimeError: no such layer",
    "KeyError: 'memory'",
]


@pytest.mark.parametrize("reason", REFUSALS)
def test_a_refusal_names_the_limit(reason: str) -> None:
    assert made().named_where_refused(reason) == reason + LIMIT
    died = "its process ended with exit code 1, while it was set up"
    output = f"Traceback (most recent call last):\n{reason}\n  Stack of thread 1\n"
    assert made().named_where_likely(died, output) == died + LIMIT


@pytest.mark.parametrize("reason", OTHERS)
def test_other_failures_do_not(reason: str) -> None:
    assert made().named_where_refused(reason) == reason
    assert made().named_where_likely(reason, reason) == reason


@pytest.mark.parametrize("reason", [*REFUSALS, *OTHERS])
def test_without_a_limit_none_is_named(reason: str) -> None:
    assert made(None).named_where_refused(reason) == reason
    assert made(None).named_where_likely(reason, reason) == reason


def test_a_crash_names_the_limit_where_it_was_near() -> None:
    """Here of this process, which has some hundreds of MiB."""
    near, far = made(0.05), made(10_000)
    for limit in (near, far):
        limit.look()
    assert near.named_where_likely("crashed", "") != "crashed"
    assert far.named_where_likely("crashed", "") == "crashed"
