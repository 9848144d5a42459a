"""Carry the parts out: ``python -m perf.gpu --out DIR``."""

from __future__ import annotations

import argparse
import math
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from benchmark.errors import DeviceError
from benchmark.training import resolve_device
from perf.gpu.options import Options
from perf.gpu.parts import PARTS
from perf.gpu.processes import LOG, Conductor, asked_elsewhere
from perf.gpu.rows import Results


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, a part after another; returns 1 if a row failed, 130 if it was interrupted.

    Exits with 2, and one line, for a device or images that there are not, and a folder of no use.
    """
    deadline = time.monotonic()
    given = _parse(arguments)
    deadline += given.budget_seconds
    try:
        device_name = str(asked_elsewhere(partial(resolve_device, given.device)))
    except DeviceError as error:
        _refuse(str(error))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="perf-gpu-") as work:
        options = _options(given, device_name, Path(work))
        try:
            results = Results(options.out)
        except (OSError, ValueError) as error:
            _refuse(f"--out: {given.out}: {error}")
        conductor = Conductor(results, options.out / LOG, deadline)
        try:
            for part in given.parts:
                for job in PARTS[part](options):
                    conductor.carry_out(part, job)
        except KeyboardInterrupt:
            return 130
    return int(results.has_failures)


def _options(given: argparse.Namespace, device_name: str, work: Path) -> Options:
    return Options(
        out=given.out.resolve(),
        work=work,
        device_name=device_name,
        images=given.images,
        count=given.count,
        batch_size=given.batch_size,
        batch_sizes=tuple(given.batch_sizes),
        repeats=given.repeats,
        epochs=given.epochs,
        seeds=given.seeds,
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="perf.gpu", description="Measure what a GPU makes of the engine."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the rows")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS], metavar="PART")
    parser.add_argument(
        "--budget-seconds", type=_positive_seconds, default=540, help="for all of it"
    )
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to try this out")
    parser.add_argument("--images", type=Path, help="folder or archive to train on for real")
    parser.add_argument("--count", type=_positive, default=50_000, help="images an epoch has")
    parser.add_argument("--batch-size", type=_positive, default=128)
    parser.add_argument("--batch-sizes", type=_positive, nargs="+", default=(512, 1024))
    parser.add_argument("--repeats", type=_positive, default=7, help="epochs that are timed")
    parser.add_argument("--epochs", type=_positive, default=50, help="of the trainings")
    parser.add_argument("--seeds", type=_positive, default=3, help="of the trainings")
    given = parser.parse_args(arguments)
    if given.images is not None and not given.images.exists():
        _refuse(f"--images: {given.images} does not exist")
    if given.count < given.batch_size:
        _refuse(f"--count: {given.count} images make no batch of {given.batch_size}")
    return given


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("should be 1 or more")
    return number


def _positive_seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError("should be a number of seconds above 0")
    return number


def _refuse(reason: str) -> NoReturn:
    print(f"perf.gpu: error: {reason}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    sys.exit(main())
