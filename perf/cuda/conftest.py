"""The device of the tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from benchmark.training import tuned


@pytest.fixture
def device() -> Iterator[torch.device]:
    """The device, set up for a training in fp32."""
    # Asked for here and not when tests are collected: to ask starts CUDA.
    name = os.environ.get("PERF_GPU_DEVICE", "cuda")
    if name.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU")
    device = torch.device("cuda", 0) if name == "cuda" else torch.device(name)
    with tuned(device, "fp32"), deterministic_convolutions():
        yield device


@contextmanager
def deterministic_convolutions() -> Iterator[None]:
    """Have cuDNN add in a fixed order, so that what differs is the graph's doing."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before
