"""A plugin of models that do to their process what no model should, in their second epoch."""

from __future__ import annotations

import ctypes
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmark import CaptureError, ModelEntry, Options, Tracker, TrackerEntry, hookimpl
from benchmark.records import EpochRecord

# Steps of an epoch, in every run that this plugin is for.
STEPS = 4
OUTPUT_MEGABYTES = 12
NOTES = "where.json"
# The numbers of the trials' processes that are stuck in ``act``, and of those that they started.
PROCESSES = Path("processes.txt")
# Written by a test that lets the model ``waits`` continue.
CONTINUE = Path("continue")
KILLED_IN_EPOCH = "KILLED_IN_EPOCH"
# Written when a capture has failed, with the number of the process.
CAPTURE_FAILED = Path("capture.txt")
CAPTURE_FAULT = "operation not permitted when stream is capturing"
# What has a run load it and look on with it.
CHOSEN = ("-p", __file__, "--tracker", "log", "--tracker", "where")


class Linear(nn.Module):
    """A model that works; ``act`` is called in the first step of the second epoch."""

    def __init__(self, input_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        self.dense = nn.Linear(math.prod(input_shape), num_classes)
        self.dropout = nn.Dropout(0.2)
        self.steps = itertools.count(1)

    def forward(self, pixels: Tensor) -> Tensor:
        if self.training and next(self.steps) == STEPS + 1:
            self.act()
        return self.dense(self.dropout(pixels.flatten(1)))

    def act(self) -> None:
        """Do what the model is here for."""


class Raises(Linear):
    def act(self) -> None:
        raise RuntimeError("no such layer\nand a second line")


class Diverges(Linear):
    def act(self) -> None:
        nn.init.constant_(self.dense.weight, math.nan)


class RunsOutOfMemory(Linear):
    def act(self) -> None:
        self.hoard = torch.ones(6 * 2**30, dtype=torch.uint8)


class RunsOutOfMemoryInC(Linear):
    """Is refused what nobody thought it could be refused."""

    def act(self) -> None:
        new = ctypes.CDLL("libstdc++.so.6")["_Znwm"]
        new.argtypes = [ctypes.c_size_t]
        new(2**40)


class RunsOutOfGpuMemory(Linear):
    """Raises what PyTorch raises then: a GPU is not needed for that."""

    def act(self) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 90.00 GiB.")


class StartsThreads(Linear):
    """Starts one thread after another until there can be no more."""

    def act(self) -> None:
        while True:
            threading.Thread(target=time.sleep, args=(10_000,), daemon=True).start()


class KeepsAThread(Linear):
    """Its process would wait for this thread."""

    def act(self) -> None:
        threading.Thread(target=time.sleep, args=(10_000,)).start()


class IsKilled(Linear):
    def act(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Crashes(Linear):
    def act(self) -> None:
        ctypes.string_at(0)


class CrashesWhenBuilt(Linear):
    def __init__(self, input_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__(input_shape, num_classes)
        ctypes.string_at(0)


class Exits(Linear):
    def act(self) -> None:
        print("the end is near", flush=True)
        os._exit(0)


class Interrupts(Linear):
    def act(self) -> None:
        raise KeyboardInterrupt


class Prints(Linear):
    def act(self) -> None:
        for number in range(OUTPUT_MEGABYTES):
            print(f"{number:09d}\n" * 100_000, end="", flush=True)


class CannotBePickled(Linear):
    def act(self) -> None:
        self.lock = threading.Lock()
        self.function = lambda: None


class LeavesItsMark(Linear):
    """Changes all that the next trial would not survive in the same process."""

    def act(self) -> None:
        torch.manual_seed(0)
        torch.set_default_dtype(torch.float64)
        torch.use_deterministic_algorithms(True)
        os.environ["OMP_NUM_THREADS"] = "1"
        torch.set_num_threads(1)
        os.chdir("/")
        sys.path.clear()


class CapturedHalfWay(Linear):
    """Raises what a capture raises that fails half way; in the trial's second process it works."""

    def act(self) -> None:
        if CAPTURE_FAILED.exists():
            print("tried again", flush=True)
            return
        print("tried", flush=True)
        CAPTURE_FAILED.write_text(str(os.getpid()))
        raise CaptureError(CAPTURE_FAULT)


class NeverCaptured(Linear):
    """Raises the same in each of the trial's processes."""

    def act(self) -> None:
        raise CaptureError(CAPTURE_FAULT)


class Waits(Linear):
    """Waits until a test lets it continue."""

    def act(self) -> None:
        with PROCESSES.open("a") as processes:
            processes.write(f"{os.getpid()}\n")
        while not CONTINUE.exists():
            time.sleep(0.01)


class Spins(Linear):
    """Never returns, though its process is alive, and ignores what should end it."""

    def act(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(10_000)"])
        PROCESSES.write_text(f"{os.getpid()} {child.pid}")
        while True:
            time.sleep(0.01)


class LeavesAProcess(Linear):
    def act(self) -> None:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(10_000)"])
        PROCESSES.write_text(str(child.pid))


class HoldsTheLock(Linear):
    """Sleeps without letting any other thread of its process run."""

    def act(self) -> None:
        PROCESSES.write_text(str(os.getpid()))
        while True:
            ctypes.PyDLL(None).sleep(10_000)


MODELS = {
    "steady": Linear,
    "raises": Raises,
    "diverges": Diverges,
    "runs_out_of_memory": RunsOutOfMemory,
    "refused_in_c": RunsOutOfMemoryInC,
    "out_of_gpu_memory": RunsOutOfGpuMemory,
    "starts_threads": StartsThreads,
    "keeps_a_thread": KeepsAThread,
    "is_killed": IsKilled,
    "crashes": Crashes,
    "crashes_when_built": CrashesWhenBuilt,
    "exits": Exits,
    "interrupts": Interrupts,
    "prints": Prints,
    "cannot_be_pickled": CannotBePickled,
    "leaves_its_mark": LeavesItsMark,
    "leaves_a_process": LeavesAProcess,
    "captured_half_way": CapturedHalfWay,
    "never_captured": NeverCaptured,
    "waits": Waits,
    "spins": Spins,
    "holds_the_lock": HoldsTheLock,
}


@hookimpl
def benchmark_models() -> Iterator[ModelEntry]:
    for name, model in MODELS.items():
        yield ModelEntry(name, model)


@hookimpl
def benchmark_trackers() -> Iterator[TrackerEntry]:
    yield TrackerEntry("where", Where)


class Where(Tracker):
    """Writes down in which process a trial ends, its path for modules and its environment.

    Kills the process at the end of the epoch that the environment names.
    """

    def __init__(self, options: Options) -> None:
        pass

    def on_epoch_end(self, epoch: EpochRecord) -> None:
        if os.environ.get(KILLED_IN_EPOCH) == str(epoch.number):
            os.kill(os.getpid(), signal.SIGKILL)

    def on_trial_end(self, record: Any, model: nn.Module) -> None:
        assert self.trial is not None
        notes = {
            "process": os.getpid(),
            "parent": os.getppid(),
            "path": sys.path,
            "environment": dict(os.environ),
            "no_graph_because": self.trial.no_graph_because,
        }
        (self.trial.directory / NOTES).write_text(json.dumps(notes))
