"""Where random generators of Python, NumPy and PyTorch stand, and how to put them there again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy
import torch

GENERATORS = (torch.Generator, numpy.random.Generator, numpy.random.RandomState, random.Random)


@contextmanager
def generators_undone() -> Iterator[None]:
    """Put the random generators of Python, NumPy and PyTorch back to where they were."""
    python, legacy_numpy = random.getstate(), numpy.random.get_state()
    # To ask GPUs would start CUDA; until something has, they have drawn nothing.
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    gpus = range(torch.cuda.device_count()) if started else ()
    try:
        with torch.random.fork_rng(devices=gpus):
            yield
    finally:
        random.setstate(python)
        numpy.random.set_state(legacy_numpy)


def generator_state(generator: Any) -> Any:
    """A generator's state as plain data and tensors."""
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, numpy.random.RandomState):
        return _without_arrays(generator.get_state(legacy=False))
    return _without_arrays(generator.bit_generator.state)


def set_generator_state(generator: Any, state: Any) -> None:
    """Put a generator where ``generator_state`` found it."""
    if isinstance(generator, torch.Generator):
        generator.set_state(state)
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    elif isinstance(generator, numpy.random.RandomState):
        generator.set_state(_with_arrays(state))
    else:
        generator.bit_generator.state = _with_arrays(state)


def is_global(generator: Any) -> bool:
    """Whether a generator is one of the process's, which every epoch seeds."""
    own = (torch.default_generator, random._inst, numpy.random.mtrand._rand)
    return any(generator is other for other in own)


def _without_arrays(state: Any) -> Any:
    if isinstance(state, numpy.ndarray):
        return [int(number) for number in state]
    if isinstance(state, numpy.generic):
        return state.item()
    if isinstance(state, dict):
        return {key: _without_arrays(value) for key, value in state.items()}
    return state


def _with_arrays(state: Any) -> Any:
    if isinstance(state, list):
        return numpy.array(state, numpy.uint64 if max(state) >= 2**32 else numpy.uint32)
    if isinstance(state, dict):
        return {key: _with_arrays(value) for key, value in state.items()}
    return state
