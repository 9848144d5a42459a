"""Part 8: a trial of each model by the command line, killed and continued; one that starts over.

That is one of a model whose capture fails half way: its steps are then taken eagerly, in a process
that has captured nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from perf.built_in import MODELS
from perf.gpu.jobs import GRAPHS_NEED_CUDA, Figures, Job, alone
from perf.gpu.options import Options
from perf.gpu.runs import Run, RunError, completed

SECONDS = 120
# Enough for a kill to come before the last one.
LEAST_EPOCHS = 10


def jobs(options: Options) -> Iterator[Job]:
    """A job a trial."""
    for model in MODELS:
        name = f"{model}, killed and continued"
        yield alone(name, SECONDS, partial(killed_and_continued, options, model))
    what = "a trial whose capture fails half way"
    yield alone(what, SECONDS, partial(starts_over, options))


def killed_and_continued(options: Options, model: str) -> Figures:
    """Kill a trial after its first checkpoint, and have the same command finish it."""
    epochs = max(options.epochs, LEAST_EPOCHS)
    run = Run(options, f"killed-{model}", models=[model], epochs=epochs, checkpoint_every=1)
    killed_seconds = run.kill_after_a_checkpoint()
    if run.records():
        raise RunError("the trial was over before it could be killed")
    seconds = run.finish()
    (record,) = completed(run.records(), 1)
    if not record.resumed:
        raise RunError("the trial did not go on from its checkpoint")
    return {
        "killed_after_seconds": killed_seconds,
        "continued_seconds": seconds,
        "epochs": len(record.epochs),
        "epoch_seconds": record.timing.epoch_seconds,
        "engine": record.engine,
        "reason": record.engine_reason or (None if options.has_cuda else GRAPHS_NEED_CUDA),
    }


def starts_over(options: Options) -> Figures:
    """The record has to say that steps were taken eagerly, and why; on a GPU alone it does."""
    run = Run(options, "starts-over", models=["fails_in_capture"], epochs=2)
    seconds = run.finish()
    (record,) = completed(run.records(), 1)
    if options.has_cuda and (record.engine != "eager" or not record.engine_reason):
        raise RunError(f"the record says engine {record.engine}, {record.engine_reason}")
    return {
        "seconds": seconds,
        "engine": record.engine,
        "reason": record.engine_reason or (None if options.has_cuda else GRAPHS_NEED_CUDA),
    }
