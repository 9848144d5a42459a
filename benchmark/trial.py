"""One trial, from spec to record: what a worker runs."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy
import torch
from torch import nn

from benchmark.catalog import Catalog, load_catalog
from benchmark.complexity import count_macs, count_parameters
from benchmark.config import validate_options
from benchmark.datasets import load_dataset
from benchmark.entries import Callback, ImageSplits, Optimization, TrainingPlan
from benchmark.environment import describe_environment
from benchmark.errors import BenchmarkError, StoreError, one_line
from benchmark.models import build_model
from benchmark.plugin import PLUGIN_FAULTS
from benchmark.records import (
    EpochRecord,
    ModelRecord,
    ParameterCount,
    Status,
    Timing,
    TrialEvent,
    TrialRecord,
    TrialSpec,
    pack_bits,
)
from benchmark.training.clock import PeakMemory
from benchmark.training.data import ResidentImages, subset
from benchmark.training.loop import DivergedError, Evaluation, train
from benchmark.training.steps import TrainingStep

Report = Callable[[TrialEvent], None]

_INITIAL_WEIGHTS_STREAM = 0
_TRAINING_STREAM = 1


@dataclass
class _Findings:
    """What is known of a trial so far."""

    params: ParameterCount | None = None
    macs: int | None = None
    setup_seconds: float | None = None
    epochs: list[EpochRecord] = field(default_factory=list)
    evaluation: Evaluation | None = None
    warnings: list[str] = field(default_factory=list)


def run_trial(spec: TrialSpec, report: Report) -> TrialRecord:
    """Train one model once and say what became of it.

    Whatever the model, the recipe or a callback raises ends in the record, with its status and
    reason; ``report`` is called at the trial's start and after every epoch.
    """
    started = time.perf_counter()
    memory = PeakMemory(torch.device(spec.device))
    catalog = load_catalog(spec.plugins)
    findings = _Findings()
    observers = _Observers(catalog, spec, findings.warnings)
    report(TrialEvent(spec))
    error: BaseException | None = None
    try:
        _train(spec, catalog, findings, observers, report, started)
    except StoreError:
        # Raised by report: the run's trouble, not the model's.
        raise
    except (*PLUGIN_FAULTS, KeyboardInterrupt) as caught:
        error = caught
    total_seconds = time.perf_counter() - started
    record = _record(spec, catalog, findings, error, total_seconds, memory.bytes())
    if error is None:
        observers.tell("on_trial_end", record)
    else:
        observers.tell("on_trial_error", error)
    return record.model_copy(update={"warnings": tuple(findings.warnings)})


def seed_everything(seed: int, stream: int) -> None:
    """Seed Python's, NumPy's and torch's global generators, alike for alike arguments."""
    state = numpy.random.SeedSequence([seed, stream]).generate_state(3)
    random.seed(int(state[0]))
    numpy.random.seed(int(state[1]))
    torch.manual_seed(int(state[2]))


def _train(
    spec: TrialSpec,
    catalog: Catalog,
    findings: _Findings,
    observers: _Observers,
    report: Report,
    started: float,
) -> None:
    splits = _load_images(spec, catalog)
    model = _prepare_model(spec, catalog, splits, findings)
    observers.tell("on_trial_start", model)
    device = torch.device(spec.device)
    step = TrainingStep(
        model,
        _configure(spec, catalog, model),
        ResidentImages(splits.train, device),
        spec.protocol.batch_size,
        spec.protocol.precision,
    )
    test = ResidentImages(splits.test, device)
    seed_everything(spec.seed, _TRAINING_STREAM)
    findings.setup_seconds = time.perf_counter() - started
    for epoch, evaluation in train(step, test, seed=spec.seed, epochs=spec.protocol.epochs):
        findings.epochs.append(epoch)
        findings.evaluation = evaluation
        report(TrialEvent(spec, epoch))
        observers.tell("on_epoch_end", epoch)


def _load_images(spec: TrialSpec, catalog: Catalog) -> ImageSplits:
    dataset = load_dataset(spec.dataset, catalog.datasets, spec.data_directory)
    wanted = spec.protocol.dataset
    if dataset.fingerprint != wanted.fingerprint:
        raise BenchmarkError(
            f"data set {wanted.name!r} has changed since the run began: "
            f"its fingerprint is {dataset.fingerprint[:12]}, not {wanted.fingerprint[:12]}"
        )
    return ImageSplits(
        train=subset(dataset.splits.train, wanted.train_images),
        test=subset(dataset.splits.test, wanted.test_images),
        classes=dataset.splits.classes,
    )


def _prepare_model(
    spec: TrialSpec, catalog: Catalog, splits: ImageSplits, findings: _Findings
) -> nn.Module:
    input_shape = splits.train.pixels.shape[1:]
    # Built on the CPU, so that a seed gives the same initial weights on every device.
    seed_everything(spec.seed, _INITIAL_WEIGHTS_STREAM)
    model = build_model(catalog.models[spec.model], input_shape, len(splits.classes))
    findings.params = count_parameters(model)
    findings.macs = count_macs(model, input_shape)
    return model.to(device=spec.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _configure(spec: TrialSpec, catalog: Catalog, model: nn.Module) -> Optimization:
    protocol = spec.protocol
    recipe = catalog.recipes[protocol.recipe.name].entry
    plan = TrainingPlan(
        epochs=protocol.epochs,
        steps_per_epoch=protocol.steps_per_epoch,
        batch_size=protocol.batch_size,
        options=validate_options(recipe.options, protocol.recipe.options),
    )
    optimization = recipe.configure(model, plan)
    if not isinstance(optimization, Optimization):
        raise BenchmarkError(
            f"recipe {recipe.name!r} gave a {type(optimization).__name__} "
            "where an Optimization is wanted"
        )
    if len(optimization.learning_rates) != plan.total_steps:
        raise BenchmarkError(
            f"recipe {recipe.name!r} gave {len(optimization.learning_rates)} learning rates "
            f"for {plan.total_steps} steps"
        )
    return optimization


class _Observers:
    """A trial's callbacks. One that raises is dropped with a warning; the trial goes on."""

    def __init__(self, catalog: Catalog, spec: TrialSpec, warnings: list[str]) -> None:
        self._warnings = warnings
        self._callbacks: list[Callback] = catalog.callbacks(spec, warnings.append)

    def tell(self, event: str, argument: Any) -> None:
        for callback in [*self._callbacks]:
            try:
                getattr(callback, event)(argument)
            except PLUGIN_FAULTS as error:
                self._callbacks = [kept for kept in self._callbacks if kept is not callback]
                name = type(callback).__qualname__
                self._warnings.append(f"callback {name} is dropped: {event}: {one_line(error)}")


def _record(
    spec: TrialSpec,
    catalog: Catalog,
    findings: _Findings,
    error: BaseException | None,
    total_seconds: float,
    peak_memory_bytes: int,
) -> TrialRecord:
    protocol = spec.protocol
    plugin = catalog.models[spec.model].plugin
    status, reason = _status(spec, findings, error)
    correct = findings.evaluation.correct if status == "completed" and findings.evaluation else None
    return TrialRecord(
        status=status,
        reason=reason,
        seed=spec.seed,
        model=ModelRecord(
            name=spec.model,
            plugin=plugin.name,
            distribution=plugin.distribution,
            version=plugin.version,
        ),
        dataset=protocol.dataset,
        recipe={"name": protocol.recipe.name, **protocol.recipe.options},
        protocol=protocol.hash,
        batch_size=protocol.batch_size,
        steps_per_epoch=protocol.steps_per_epoch,
        device=spec.device,
        precision=protocol.precision,
        params=findings.params,
        macs=findings.macs,
        epochs=tuple(findings.epochs),
        timing=_timing(findings, total_seconds),
        peak_memory_bytes=peak_memory_bytes,
        correct=None if correct is None else pack_bits(correct),
        environment=describe_environment(),
    )


def _status(
    spec: TrialSpec, findings: _Findings, error: BaseException | None
) -> tuple[Status, str | None]:
    match error:
        case None:
            return "completed", None
        case KeyboardInterrupt():
            epoch = len(findings.epochs) + 1
            return "interrupted", f"in epoch {epoch} of {spec.protocol.epochs}"
        case DivergedError():
            return "diverged", str(error)
        case BenchmarkError():
            return "failed", str(error)
        case _:
            return "failed", one_line(error)


def _timing(findings: _Findings, total_seconds: float) -> Timing:
    seconds = [epoch.train_seconds for epoch in findings.epochs]
    return Timing(
        setup_seconds=findings.setup_seconds,
        first_epoch_seconds=seconds[0] if seconds else None,
        epoch_seconds=statistics.median(seconds[1:]) if seconds[1:] else None,
        total_seconds=total_seconds,
    )
