"""Part 5: which kernels a step is made of, and how long each takes."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmark.training import PART_BYTES, TimeAccount, Training, started_engine, tuned
from perf.built_in import MODELS, RECIPES
from perf.gpu.jobs import Job, Measurement
from perf.gpu.made import finish_epoch, make_training, take_first_steps, why_not_captured
from perf.gpu.options import Options

REPLAYS = 20
TOP = 15
# What the device does, as a trace of PyTorch's calls it; a CPU's trace has operators instead.
ON_THE_DEVICE = frozenset({"kernel", "gpu_memcpy", "gpu_memset"})
ON_A_CPU = frozenset({"cpu_op"})


def jobs(options: Options) -> Iterator[Job]:
    """A job each of both models by both recipes."""
    for model, recipe in itertools.product(MODELS, RECIPES):
        name = f"{model}, {recipe}"
        yield Job(name, 60, partial(measurements, options, name, model, recipe))


def measurements(options: Options, name: str, model: str, recipe: str) -> Iterator[Measurement]:
    """How many kernels there are in a step; then those that take longest, a row each."""
    kernels = profiled(options, model, recipe)
    replays = kernels.replays
    total = sum(microseconds for _, microseconds in kernels.values())
    counts = {
        "kernels_a_step": sum(count for count, _ in kernels.values()) / replays,
        "microseconds_a_step": total / replays,
        "reason": kernels.reason,
    }
    yield Measurement(name, lambda: counts)
    longest = sorted(kernels.items(), key=lambda item: -item[1][1])[:TOP]
    for number, (kernel, (count, microseconds)) in enumerate(longest, start=1):
        figures = {
            "microseconds_a_step": microseconds / replays,
            "share": microseconds / total,
            "a_step": count / replays,
        }
        yield Measurement(f"{name}, {number}: {kernel}", partial(dict, figures))


class Kernels(dict[str, tuple[int, float]]):
    """How often each kernel ran, and for how many microseconds in all, by its name.

    That is in ``replays`` steps, and ``reason`` is why they were no replays.
    """

    replays = 0
    reason: str | None = None


def profiled(options: Options, model: str, recipe: str) -> Kernels:
    """The kernels of some steps, captured where they can be, and of nothing that is around them."""
    with tuned(options.device, options.precision):
        training = make_training(options, model, recipe)
        with started_engine(training, "auto", TimeAccount(options.device)) as engine:
            take_first_steps(training, engine.take)
            finish_epoch(training, engine.take)
            training.begin_epoch(0, 1)
            # Before a part's first step its images are gathered, which is no replay's doing.
            engine.take(1)
            replays = min(REPLAYS, steps_a_part(training) - 1)
            profiler = _profile(lambda: engine.take(replays), options)
            kernels = read_trace(_exported(profiler, options.work), has_cuda=options.has_cuda)
            kernels.replays = replays
            kernels.reason = why_not_captured(engine, options.device)
    return kernels


def steps_a_part(training: Training) -> int:
    """How many steps there are from one gather of an epoch's images to the next.

    Raises ValueError where each step has a gather of its own.
    """
    image_bytes = training.batches.images.pixels[0].nbytes
    steps = min(PART_BYTES // (training.batch_size * image_bytes), training.steps_per_epoch)
    if steps < 2:
        raise ValueError(
            "each step gathers its own images: choose a smaller --batch-size, or a larger --count"
        )
    return steps


def _profile(work: Callable[[], None], options: Options) -> Any:
    if not options.has_cuda:
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            work()
        return profiler
    activities = [ProfilerActivity.CUDA]
    # The profiler's own start is no step's, nor is what was at work before.
    with profile(activities=activities):
        torch.cuda.synchronize(options.device)
    with profile(activities=activities) as profiler:
        work()
        torch.cuda.synchronize(options.device)
    return profiler


def read_trace(trace: dict[str, Any], *, has_cuda: bool) -> Kernels:
    """The kernels of a trace in the format of Chrome's, as PyTorch writes it."""
    kinds = ON_THE_DEVICE if has_cuda else ON_A_CPU
    counts: defaultdict[str, int] = defaultdict(int)
    microseconds: defaultdict[str, float] = defaultdict(float)
    for event in trace["traceEvents"]:
        if event.get("cat") in kinds and "dur" in event:
            counts[event["name"]] += 1
            microseconds[event["name"]] += event["dur"]
    if not counts:
        raise LookupError(f"the profiler saw none of {', '.join(sorted(kinds))}")
    return Kernels({name: (count, microseconds[name]) for name, count in counts.items()})


def _exported(profiler: Any, folder: Path) -> dict[str, Any]:
    file = folder / "trace.json"
    profiler.export_chrome_trace(str(file))
    trace: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    return trace
