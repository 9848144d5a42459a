"""The figures of the GPU's measurements."""

from __future__ import annotations

import numpy
import pytest
import torch
from torch import nn

from perf.gpu import cuda_tests, profiling
from perf.gpu.epochs import compare_engines, peak_share, relative_distance
from perf.gpu.jobs import SkippedError
from perf.gpu.options import Options

CPU = torch.device("cpu")


def test_both_engines_see_the_same_seed_and_on_a_cpu_are_the_same(options: Options) -> None:
    row = compare_engines(options, "separable_cnn", "adam", batch_size=8)
    assert (row["images"], row["captured"], row["of_peak"]) == (16, False, None)
    assert len(row["seconds"]) == len(row["eager_seconds"]) == 2
    assert row["difference"] == row["control"] == 0
    # 5.01 million multiply-accumulates, six operations each, 16 images an epoch.
    epoch_operations = row["flops"] * float(numpy.median(row["seconds"]))
    assert epoch_operations == pytest.approx(6 * 5.01e6 * 16, rel=0.01)


def test_the_distance_of_two_models() -> None:
    left, right = nn.Linear(3, 1, bias=False), nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        left.weight.copy_(torch.tensor([[3.0, 0.0, 4.0]]))
        right.weight.copy_(torch.tensor([[0.0, 0.0, 4.0]]))
    assert relative_distance(left, right) == pytest.approx(3 / 4)
    assert peak_share(1e12, CPU) is None


def test_a_trace_is_counted_by_what_ran_on_the_device() -> None:
    events = [
        {"cat": "kernel", "name": "add", "dur": 2.0},
        {"cat": "kernel", "name": "add", "dur": 3.0},
        {"cat": "gpu_memset", "name": "set", "dur": 1.0},
        {"cat": "cpu_op", "name": "aten::add", "dur": 9.0},
        {"cat": "kernel", "name": "without a duration"},
        {"name": "process_name"},
    ]
    trace = {"traceEvents": events}
    assert profiling.read_trace(trace, has_cuda=True) == {"add": (2, 5.0), "set": (1, 1.0)}
    assert profiling.read_trace(trace, has_cuda=False) == {"aten::add": (1, 9.0)}
    with pytest.raises(LookupError, match="the profiler saw none of"):
        profiling.read_trace({"traceEvents": []}, has_cuda=True)


def test_without_pytest_the_tests_are_skipped_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, options: Options
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (measurement,) = cuda_tests.measurements(options)
    with pytest.raises(SkippedError, match="make perf-gpu-wheels"):
        measurement.measure()
