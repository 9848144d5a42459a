"""What comes before a trial's first step: CUDA's start, the images' way there, the capture."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import torch

from benchmark.training import Clock, ResidentImages, TimeAccount, started_engine, tuned
from perf.gpu.jobs import Figures, Job, Measurement
from perf.gpu.made import make_training, why_not_captured
from perf.gpu.options import Options
from perf.random_images import draw_images


def jobs(options: Options) -> Iterator[Job]:
    """One job: each step of it needs the one before."""
    yield Job("set-up", 60, partial(measurements, options))


def measurements(options: Options) -> Iterator[Measurement]:
    """In the order in which a trial's process does it."""
    yield Measurement("set-up: start of the device", partial(start_device, options))
    yield Measurement("set-up: images to the device", partial(bring_images, options))
    for number in ("first", "second"):
        what = f"set-up: the {number} capture in a process"
        yield Measurement(what, partial(capture, options))


def start_device(options: Options) -> Figures:
    """Seconds until the device has done a first thing."""
    start = time.perf_counter()
    torch.zeros(1, device=options.device)
    Clock(options.device)
    return {"seconds": time.perf_counter() - start}


def bring_images(options: Options) -> Figures:
    """Seconds until an epoch's images lie on the device."""
    images = draw_images(options.count, 0)
    clock = Clock(options.device)
    with clock.measure() as stretch:
        ResidentImages(images, options.device)
    return {"seconds": stretch.seconds, "images": options.count}


def capture(options: Options) -> Figures:
    """Seconds of rehearsing and capturing; those of a process's first load libraries."""
    account = TimeAccount(options.device)
    with tuned(options.device, options.precision):
        training = make_training(options, "baseline_cnn")
        with started_engine(training, "auto", account) as engine:
            reason = why_not_captured(engine, options.device)
    return {"seconds": account.seconds("capture"), "reason": reason}
