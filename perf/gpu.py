"""What a GPU makes of the engine: eager steps against a captured graph, and whole trainings.

``make perf-gpu`` runs this on a machine without a network, within eight minutes::

    make perf-gpu IMAGES=cifar10-jpeg.tar.xz

It writes ``results.json``, ``table.md`` and the records of the trainings. Each comparison is
printed and on disk as soon as it is made, so a run that is cut off still has what it measured; one
that fails is a row with its reason. On a CPU it measures eager steps alone; so its tests run it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tarfile
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import nn

import benchmark
from benchmark import Images, ModelEntry, TrainingPlan
from benchmark.catalog import load_catalog
from benchmark.complexity import count_macs
from benchmark.environment import describe_environment
from benchmark.errors import one_line
from benchmark.files import write_atomically
from benchmark.training import (
    INITIAL_WEIGHTS,
    TRAINING,
    Clock,
    Engine,
    ResidentImages,
    TimeAccount,
    Training,
    resolve_device,
    resolve_precision,
    seed_everything,
    started_engine,
    tuned,
)

MODELS = ("baseline_cnn", "separable_cnn")
BATCH_SIZES = (128, 512, 1024)
SHAPE = (3, 32, 32)
CLASSES = 10

# Dense bf16, from NVIDIA's data sheets of the H100 (SXM) and the H200.
PEAK_FLOPS = {"NVIDIA H100 80GB HBM3": 989.4e12, "NVIDIA H200": 989.4e12}
# A forward pass, and twice as much backward; two operations a multiply-accumulate.
OPERATIONS_A_MAC = 6
# Two trainings that round differently drift apart; after so few steps they still say something.
COMPARED_STEPS = 10

TABLE_HEAD = (
    "| model | batch | eager (s/epoch) | graph (s/epoch) | eager / graph | of peak "
    f"| weights apart after {COMPARED_STEPS} steps (eager twice) | reason |\n"
    "|---|---|---|---|---|---|---|---|"
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write what came of it; exits with 1 where a comparison or a training failed."""
    given = _parse(arguments)
    device = resolve_device(given.device)
    given.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"environment": describe_environment(), "engines": []}
    print(TABLE_HEAD, flush=True)
    for model in MODELS:
        for batch_size in given.batch_sizes:
            row = attempt(model, batch_size, given.count, given.repeats, device)
            results["engines"].append(row)
            _write(given.out, results)
            print(table_row(row), flush=True)
    code = int(any(row["status"] == "failed" for row in results["engines"]))
    if given.images is not None:
        code = train(given.images, given.out, device, given.epochs, given.seeds) or code
    if code:
        raise SystemExit(code)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to try this out")
    parser.add_argument("--images", type=Path, help="folder or archive to train on for real")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=50_000, help="images an epoch of noise has")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=BATCH_SIZES)
    parser.add_argument("--epochs", type=int, default=50, help="of the trainings")
    parser.add_argument("--seeds", type=int, default=3, help="of the trainings")
    given = parser.parse_args(arguments)
    if given.images is not None and not given.images.exists():
        parser.error(f"--images: {given.images} does not exist")
    return given


def _write(out: Path, results: dict[str, Any]) -> None:
    write_atomically(out / "results.json", (json.dumps(results, indent=1) + "\n").encode())
    write_atomically(out / "table.md", engine_table(results["engines"]).encode())


def attempt(
    model: str, batch_size: int, count: int, repeats: int, device: torch.device
) -> dict[str, Any]:
    """Compare the engines; whatever goes wrong is the row's reason and costs no other row."""
    try:
        figures = compare_engines(model, batch_size, count, repeats, device)
    except Exception as error:
        traceback.print_exc()
        figures = {"status": "failed", "reason": one_line(error)}
    return {"model": model, "batch_size": batch_size, **figures}


def compare_engines(
    model: str, batch_size: int, count: int, repeats: int, device: torch.device
) -> dict[str, Any]:
    """Epochs of both engines in turn, from the same seed over the same ``count`` images.

    ``difference`` is how far a few steps of one lead from where the other's do, ``control`` how
    far eager steps do from eager ones: some kernels add in no fixed order.
    """
    precision = resolve_precision("auto", device)

    def start(wanted: str) -> tuple[Training, Engine]:
        training = make_training(model, batch_size, count, device, precision)
        engine = started.enter_context(started_engine(training, wanted, TimeAccount(device)))
        take_first_steps(training, engine.take)
        return training, engine

    with tuned(device, precision), ExitStack() as started:
        eager, eager_engine = start("eager")
        training, engine = start("auto")
        difference = relative_distance(training.model, eager.model)
        control = relative_distance(start("eager")[0].model, eager.model)
        timers = {
            "eager": epoch_timer(eager, eager_engine.take),
            "auto": epoch_timer(training, engine.take),
        }
        seconds: dict[str, list[float]] = {name: [] for name in timers}
        for epoch in range(1, repeats + 2):
            for name, run_epoch in timers.items():
                seconds[name].append(run_epoch(epoch))
    images = training.steps_per_epoch * batch_size
    flops = operations_an_image(training.model) * images / statistics.median(seconds["auto"][1:])
    return {
        "status": "measured",
        "images": images,
        "precision": precision,
        "captured": engine.name == "graph",
        "reason": engine.reason or (None if device.type == "cuda" else "graphs need CUDA"),
        # The first epoch of each engine warms it up.
        "eager_seconds": seconds["eager"][1:],
        "seconds": seconds["auto"][1:],
        "flops": flops,
        "peak_share": peak_share(flops, device),
        "difference": difference,
        "control": control,
    }


def make_training(
    model: str, batch_size: int, count: int, device: torch.device, precision: str
) -> Training:
    """A training of ``model`` with the recipe ``adam`` on ``count`` images of noise."""
    catalog = load_catalog()
    entry: ModelEntry = catalog.models[model].entry
    recipe = catalog.recipes["adam"].entry
    seed_everything(0, INITIAL_WEIGHTS)
    module = entry.build(SHAPE, CLASSES).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    options = recipe.options.from_mapping({})
    # As many steps as any number of repeats takes.
    plan = TrainingPlan(1000, count // batch_size, batch_size, options, CLASSES)
    return Training(
        module, recipe.configure(module, plan), noise(count, device), batch_size, precision
    )


def take_first_steps(training: Training, take: Callable[[int], None]) -> None:
    """Train for a few steps, the same ones each time."""
    seed_everything(0, TRAINING, 0)
    training.begin_epoch(0, 0)
    take(min(COMPARED_STEPS, training.steps_per_epoch))


def noise(count: int, device: torch.device) -> ResidentImages:
    """Images and labels without meaning, the same ones each time."""
    generator = numpy.random.default_rng(0)
    pixels = generator.integers(0, 256, (count, *SHAPE), numpy.uint8)
    return ResidentImages(Images(pixels, generator.integers(0, CLASSES, count)), device)


def epoch_timer(training: Training, take: Callable[[int], None]) -> Callable[[int], float]:
    """A function that trains an epoch and returns its seconds, as a trial's clock has them."""
    clock = Clock(training.device)

    def run_epoch(epoch: int) -> float:
        seed_everything(0, TRAINING, epoch)
        with clock.measure() as stretch:
            training.begin_epoch(0, epoch)
            take(training.steps_per_epoch)
        return stretch.seconds

    return run_epoch


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


def engine_table(engines: Sequence[dict[str, Any]]) -> str:
    """The engines' figures as a table in Markdown."""
    return "\n".join([TABLE_HEAD, *map(table_row, engines)]) + "\n"


def table_row(row: dict[str, Any]) -> str:
    """The figures of one comparison, or dashes where it failed, and the reason."""
    reason = (row["reason"] or "-").replace("|", r"\|")
    figures = ["-"] * 5 if row["status"] == "failed" else _figures(row)
    cells = [f"`{row['model']}`", str(row["batch_size"]), *figures, reason]
    return f"| {' | '.join(cells)} |"


def _figures(row: dict[str, Any]) -> list[str]:
    eager, graph = (statistics.median(row[key]) for key in ("eager_seconds", "seconds"))
    ratios = [a / b for a, b in zip(row["eager_seconds"], row["seconds"], strict=True)]
    return [
        f"{eager:.4f}",
        f"{graph:.4f}" if row["captured"] else "not captured",
        f"{eager / graph:.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        "-" if row["peak_share"] is None else f"{row['peak_share']:.1%}",
        f"{row['difference']:.1e} ({row['control']:.1e})",
    ]


def train(images: Path, out: Path, device: torch.device, epochs: int, seeds: int) -> int:
    """Train both models as a user would, and print their table; returns 1 if a trial failed."""
    root = images if images.is_dir() else unpack(images, out / "images")
    run = benchmark.run(
        "cifar10",
        dataset={"name": "imagefolder", "root": root},
        device=str(device),
        epochs=epochs,
        seeds=seeds,
        out=out / "runs",
        data_dir=out / "data",
    )
    print(run.table())
    return int(any(record.status != "completed" for record in run.records))


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an archive that holds one folder, and return that."""
    with tarfile.open(archive) as content:
        content.extractall(folder, filter="data")
    (root,) = folder.iterdir()
    return root


if __name__ == "__main__":
    main()
