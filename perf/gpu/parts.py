"""What is measured, in the order of its importance: the time may not suffice for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from perf.gpu import (
    command_line,
    cuda_tests,
    depthwise,
    epochs,
    experiments,
    machine,
    profiling,
    set_up,
    smoke,
    whole_trainings,
)
from perf.gpu.jobs import Job
from perf.gpu.options import Options

PARTS: Mapping[str, Callable[[Options], Iterator[Job]]] = {
    "machine": machine.jobs,
    "tests": cuda_tests.jobs,
    "smoke": smoke.jobs,
    "depthwise": depthwise.jobs,
    "profile": profiling.jobs,
    "epochs": epochs.jobs,
    "set-up": set_up.jobs,
    "experiments": experiments.jobs,
    "command-line": command_line.jobs,
    "large-batches": epochs.large_batches,
    "trainings": whole_trainings.jobs,
    "compiled": experiments.compiled,
}
