"""Parts 6 and 9: epochs by graph and eagerly, in turn, and what there is beside the epochs."""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import torch
from torch import nn

from benchmark.complexity import count_macs
from benchmark.training import (
    Checkpoints,
    CheckpointWriter,
    Clock,
    Engine,
    EvaluationBatches,
    PeakMemory,
    TimeAccount,
    Training,
    evaluate,
    started_engine,
    state_of,
    tuned,
)
from perf.built_in import MODELS, RECIPES, SHAPE
from perf.gpu.jobs import Figures, Job, Measurement
from perf.gpu.made import (
    epoch_timer,
    finish_epoch,
    make_training,
    noise,
    take_first_steps,
    why_not_captured,
)
from perf.gpu.options import Options
from perf.gpu.targets import of_an_epoch
from perf.interleave import orders

# Dense bf16, from NVIDIA's data sheets of the H100 (SXM) and the H200.
PEAK_FLOPS = {"NVIDIA H100 80GB HBM3": 989.4e12, "NVIDIA H200": 989.4e12}
# A forward pass, and twice as much backward; two operations a multiply-accumulate.
OPERATIONS_A_MAC = 6
SECONDS = 60


def jobs(options: Options) -> Iterator[Job]:
    """Of both models by both recipes: epochs, and then what there is beside them."""
    for model, recipe in itertools.product(MODELS, RECIPES):
        name = f"{model}, {recipe}"
        yield Job(name, SECONDS, partial(measurements, options, name, model, recipe))


def large_batches(options: Options) -> Iterator[Job]:
    """Epochs in larger batches, by the recipe ``adam``."""
    for model, batch_size in itertools.product(MODELS, options.batch_sizes):
        name = f"{model}, adam, batches of {batch_size}"
        compare = partial(compare_engines, options, model, "adam", batch_size)
        yield Job(name, SECONDS, partial(_only, f"{name}: epochs", compare))


def _only(what: str, measure: Callable[[], Figures]) -> Iterator[Measurement]:
    yield Measurement(what, measure)


def measurements(options: Options, name: str, model: str, recipe: str) -> Iterator[Measurement]:
    """Epochs of both engines; evaluation, calibration and a checkpoint of the trained model."""
    compare = partial(compare_engines, options, model, recipe, options.batch_size)
    yield Measurement(f"{name}: epochs", compare)
    beside = {"evaluation": time_evaluation, "checkpoint": time_checkpoint}
    for what, measure in beside.items():
        make = partial(make_training, options, model, recipe)
        yield Measurement(f"{name}: {what}", partial(_tuned, options, make, measure))


def _tuned(
    options: Options, make: Callable[[], Training], measure: Callable[[Options, Training], Figures]
) -> Figures:
    with tuned(options.device, options.precision):
        training = make()
        take_first_steps(training, training.take)
        return measure(options, training)


def compare_engines(options: Options, model: str, recipe: str, batch_size: int) -> Figures:
    """Epochs of both engines in turn, from the same seed over the same images.

    ``difference`` is how far a few steps of one lead from where the other's do, ``control`` how
    far eager steps do from eager ones: some kernels add in no fixed order.
    """
    device = options.device
    account = TimeAccount(device)

    def start(wanted: str) -> tuple[Training, Engine]:
        training = make_training(options, model, recipe, batch_size=batch_size)
        engine = started.enter_context(started_engine(training, wanted, account))
        take_first_steps(training, engine.take)
        return training, engine

    with tuned(device, options.precision), ExitStack() as started:
        eager, eager_engine = start("eager")
        control = relative_distance(start("eager")[0].model, eager.model)
        training, engine = start("auto")
        difference = relative_distance(training.model, eager.model)
        finish_epoch(eager, eager_engine.take)
        finish_epoch(training, engine.take)
        memory = PeakMemory(device)
        memory.replayed_bytes = engine.replayed_bytes
        timers = {
            "eager_seconds": epoch_timer(eager, eager_engine.take),
            "seconds": epoch_timer(training, engine.take),
        }
        seconds = _in_turn(timers, options.repeats)
    return {
        "seconds": seconds["seconds"],
        **of_an_epoch(options, model, recipe, batch_size),
        "eager_seconds": seconds["eager_seconds"],
        **_speed(training, seconds),
        "captured": engine.name == "graph",
        "capture_seconds": account.seconds("capture"),
        "difference": difference,
        "control": control,
        # Of both trainings together.
        "peak_bytes": memory.bytes(),
        "reason": why_not_captured(engine, device),
    }


def _speed(training: Training, seconds: dict[str, list[float]]) -> Figures:
    """What the seconds of epochs come to."""
    images = training.steps_per_epoch * training.batch_size
    median = statistics.median(seconds["seconds"])
    flops = operations_an_image(training.model) * images / median
    pairs = zip(seconds["eager_seconds"], seconds["seconds"], strict=True)
    return {
        "eager_over_graph": [eager / graph for eager, graph in pairs],
        "milliseconds_a_step": 1000 * median / training.steps_per_epoch,
        "images": images,
        "flops": flops,
        "of_peak": peak_share(flops, training.device),
    }


def _in_turn(timers: dict[str, Callable[[int], float]], repeats: int) -> dict[str, list[float]]:
    """Seconds of epochs, in each repeat with another first; a first one of each warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in timers}
    for epoch, order in enumerate(orders([*timers], repeats + 1), start=1):
        for name in order:
            seconds[name].append(timers[name](epoch))
    return {name: values[1:] for name, values in seconds.items()}


def time_evaluation(options: Options, training: Training) -> Figures:
    """Seconds of an evaluation on a fifth as many images, and of what is done for it before.

    That is to lend the model its average and to calibrate it, where the recipe has it so.
    """
    images = noise(options.count // 5, options.device)
    # As a trial does: the first evaluation, which is not counted, finds out how large they may be.
    batches = EvaluationBatches()
    clock = Clock(options.device)
    figures: dict[str, list[float]] = {"seconds": [], "lending_seconds": []}
    for _ in range(options.repeats + 1):
        with ExitStack() as lent:
            with clock.measure() as lending:
                model = lent.enter_context(training.evaluated_model())
            with clock.measure() as evaluation:
                evaluate(model, images, options.precision, training.prepare, batches=batches)
        figures["seconds"].append(evaluation.seconds)
        figures["lending_seconds"].append(lending.seconds)
    return {"images": len(images), **{name: values[1:] for name, values in figures.items()}}


def time_checkpoint(options: Options, training: Training) -> Figures:
    """Seconds of a checkpoint, as a trial has it written.

    ``copy_seconds`` is what the training waits for, ``write_seconds`` what a thread then takes.
    """
    folder = Path(tempfile.mkdtemp(dir=options.work))
    clock = Clock(options.device)
    figures: dict[str, list[float]] = {"copy_seconds": [], "write_seconds": []}
    with closing(CheckpointWriter(Checkpoints(folder, {}))) as writer:
        # The first copy, which is not counted, makes the memory that the others take.
        for _ in range(options.repeats + 1):
            with clock.measure() as copy:
                writer.write({"training": state_of(training)})
            with clock.measure() as write:
                writer.finish()
            figures["copy_seconds"].append(copy.seconds)
            figures["write_seconds"].append(write.seconds)
    size = max(file.stat().st_size for file in folder.iterdir())
    return {**{name: values[1:] for name, values in figures.items()}, "bytes": size}


def operations_an_image(model: nn.Module) -> int:
    """Floating-point operations with which ``model`` is trained on one image."""
    return OPERATIONS_A_MAC * count_macs(model, SHAPE).macs


def peak_share(flops: float, device: torch.device) -> float | None:
    """FLOP/s as a share of the device's peak; None where that is not known."""
    if device.type != "cuda":
        return None
    peak = PEAK_FLOPS.get(torch.cuda.get_device_name(device))
    return None if peak is None else flops / peak


def relative_distance(left: nn.Module, right: nn.Module) -> float:
    """How far two models' weights are apart, relative to their size."""
    weights = zip(left.parameters(), right.parameters(), strict=True)
    differences = [(mine - theirs).detach().double().norm() for mine, theirs in weights]
    size = torch.stack([weight.detach().double().norm() for weight in right.parameters()]).norm()
    return float(torch.stack(differences).norm() / size)
