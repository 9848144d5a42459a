"""Part 1: what the machine is, and whether all can be imported there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

import benchmark
from benchmark.environment import describe_environment
from benchmark.files import write_atomically
from perf.gpu.jobs import Figures, Job, SkippedError, alone
from perf.gpu.options import Options

ENVIRONMENT = "environment.json"

IMPORTS = {
    "torch": "import torch",
    "a trial's process": "from benchmark.trial import run_trial",
    "the command line": "from benchmark.cli.main import main",
}
STATE_OF_THE_GPU = "name,driver_version,clocks.sm,clocks.max.sm,power.limit,temperature.gpu"


def jobs(options: Options) -> Iterator[Job]:
    """The environment first of all; then how long imports take, each in a Python of its own."""
    yield alone("versions", 60, lambda: describe(options))
    for what, program in IMPORTS.items():
        yield alone(f"import of {what}", 60, lambda program=program: time_import(program))  # type: ignore[misc]
    yield alone("the GPU's state", 30, lambda: state_of_the_gpu(options))


def describe(options: Options) -> Figures:
    """Write ``environment.json``; the figures are what of it decides most."""
    environment = describe_environment()
    # Where the wheel is, and not the checkout.
    environment["benchmark"] = str(Path(str(benchmark.__file__)).parent)
    environment["cudnn"] = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    text = json.dumps(environment, indent=1) + "\n"
    write_atomically(options.out / ENVIRONMENT, text.encode())
    gpus = [gpu["name"] for gpu in environment["gpus"]]
    return {
        **environment["versions"],
        "cores": environment["cores"],
        "device": str(options.device),
        "GPUs": ", ".join(gpus) or "none",
        "precision": options.precision,
    }


def time_import(program: str) -> Figures:
    """Seconds of an import, by the clock of a process that does nothing else."""
    timed = (
        f"import time; start = time.perf_counter(); {program}; print(time.perf_counter() - start)"
    )
    done = subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, check=True)
    return {"seconds": float(done.stdout)}


def state_of_the_gpu(options: Options) -> Figures:
    """Its clocks and the like, which a figure depends on; asks, and sets nothing."""
    if not options.has_cuda or not shutil.which("nvidia-smi"):
        raise SkippedError("there is no GPU of NVIDIA's, or no nvidia-smi to ask")
    command = ["nvidia-smi", f"--query-gpu={STATE_OF_THE_GPU}", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    return {STATE_OF_THE_GPU: done.stdout.strip()}
