"""The figures of the GPU's measurements."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch
from torch import nn

from benchmark.training import batches, checkpoint_writer, clock
from benchmark.training.evaluation import Evaluation, evaluate
from benchmark.training.evaluation_batches import EvaluationBatches
from benchmark.training.host_copies import HostCopies
from perf.gpu import cuda_tests, epochs, profiling, targets
from perf.gpu.epochs import compare_engines, peak_share, relative_distance
from perf.gpu.jobs import SkippedError
from perf.gpu.made import make_training
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


def test_targets_are_those_of_their_workload_on_a_gpu(options: Options) -> None:
    on_gpu = replace(options, device_name="cuda:0", count=50_000, batch_size=128, epochs=50)
    assert targets.of_an_epoch(on_gpu, "separable_cnn", "adam", 128) == {"target_seconds": 0.18}
    assert targets.of_a_training(on_gpu, 50_000) == {
        "target_seconds": 20,
        "training_target_seconds": 10,
    }
    assert targets.of_an_epoch(on_gpu, "separable_cnn", "adam", 512) == {}
    assert targets.of_a_training(on_gpu, 49_999) == {}
    assert targets.of_a_training(replace(on_gpu, epochs=49), 50_000) == {}
    assert targets.of_a_training(replace(on_gpu, device_name="cpu"), 50_000) == {}


def test_what_is_profiled_has_no_gather(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    four_steps = 4 * 8 * 3 * 32 * 32
    for module in (batches, profiling):
        monkeypatch.setattr(module, "PART_BYTES", four_steps)
    gathered = []
    gather = batches.Batches._gather_part

    def gather_recognizably(of: batches.Batches, first: int) -> None:
        gathered.append(first)
        torch.special.bessel_j0(torch.zeros(1))
        gather(of, first)

    monkeypatch.setattr(batches.Batches, "_gather_part", gather_recognizably)
    kernels = profiling.profiled(replace(options, count=8 * 8), "separable_cnn", "adam")
    assert kernels.replays == 3
    assert kernels["aten::_fused_adam_"][0] == 3
    assert not any("bessel" in name for name in kernels)
    # Both parts of the epoch before it; then the first, and the profiled steps come out of that.
    assert gathered[-3:] == [0, 4 * 8, 0]


def test_where_each_step_gathers_there_is_no_profile_but_the_remedy(options: Options) -> None:
    with pytest.raises(ValueError, match="a larger --count"):
        profiling.profiled(replace(options, count=8), "separable_cnn", "adam")


def test_a_model_is_evaluated_in_the_batches_that_its_first_evaluation_found(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []

    def note(*arguments: Any, **named: Any) -> Evaluation:
        used.append(named["batches"])
        return evaluate(*arguments, **named)

    monkeypatch.setattr(epochs, "evaluate", note)
    figures = epochs.time_evaluation(options, make_training(options, "separable_cnn"))
    assert len(figures["seconds"]) == len(figures["lending_seconds"]) == 2
    assert len(used) == 3
    assert isinstance(used[0], EvaluationBatches)
    assert used[0] is used[1] is used[2]


def test_a_checkpoints_copy_is_apart_from_its_write(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock that only copies and waits move."""
    training, now = make_training(options, "separable_cnn"), [0.0]
    take, wait = HostCopies.take, checkpoint_writer.wait

    def take_slowly(copies: HostCopies, content: Any) -> Any:
        now[0] += 5
        return take(copies, content)

    def wait_long(writes: Any) -> Any:
        now[0] += 3
        return wait(writes)

    monkeypatch.setattr(HostCopies, "take", take_slowly)
    monkeypatch.setattr(checkpoint_writer, "wait", wait_long)
    monkeypatch.setattr(clock, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    figures = epochs.time_checkpoint(options, training)
    # Of the write before, which is over, no copy has a part.
    assert figures["copy_seconds"] == [5, 5]
    assert figures["write_seconds"] == [3, 3]
    assert figures["bytes"] > 98_887 * 4


def test_without_pytest_the_tests_are_skipped_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, options: Options
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (measurement,) = cuda_tests.measurements(options)
    with pytest.raises(SkippedError, match="make perf-gpu-wheels"):
        measurement.measure()
