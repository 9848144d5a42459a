"""One trial, from spec to record: what a worker runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import torch
from torch import nn

from benchmark.catalog import Catalog, load_catalog
from benchmark.errors import (
    PLUGIN_FAULTS,
    CaptureError,
    CheckpointError,
    StoreError,
)
from benchmark.events import TrialEvent
from benchmark.process_settings import settings_put_back
from benchmark.records import (
    EpochRecord,
    TrialRecord,
)
from benchmark.running_clock import RunningClock
from benchmark.specs import TrialSpec
from benchmark.training import (
    Checkpoints,
    EpochProgress,
    Judgement,
    PeakMemory,
    TimeAccount,
    Training,
    machine_conditions,
    phases,
    started_engine,
    train,
    training_conditions,
    tuned,
)
from benchmark.trial.checkpointing import Checkpointing
from benchmark.trial.code import require_same_code, with_origins_here
from benchmark.trial.evaluated_model import show_evaluated_model
from benchmark.trial.findings import Findings, make_record, with_warnings
from benchmark.trial.judging import Judge
from benchmark.trial.keeping import WeightsKeeper, keep_predictions
from benchmark.trial.preparing import prepare
from benchmark.trial.progress import reporting_progress
from benchmark.trial.resumption import go_on
from benchmark.trial.trackers import Trackers

Report = Callable[[TrialEvent], None]

SUSPENDED = (
    "the process was suspended, or got no processor, for a second or longer: "
    "the epochs in which that happened are not timings"
)


def run_trial(spec: TrialSpec, report: Report) -> TrialRecord:
    """Train one model once and say what became of it, going on from a checkpoint if there is one.

    Whatever the model, the recipe or a tracker raises ends in the record, with its status and
    reason; ``report`` is called at the trial's start and after every epoch, and in between, from
    another thread, with the trial's progress.

    Raises StoreError where the disk refuses, and CheckpointError where the trial cannot go on as
    it began: the run's trouble, not the model's. Raises CaptureError where the trial is to be
    carried out again in a fresh process, ``without_graph``.
    """
    spec = _placed(spec)
    device = torch.device(spec.device)
    with RunningClock() as running_clock:
        account = TimeAccount(device, running_clock)
        with account.charge("setup"):
            findings = Findings(account, PeakMemory(device), EpochProgress(device))
        with (
            reporting_progress(spec, findings, report),
            Trackers(findings.warnings.append) as trackers,
        ):
            return _carry_out(spec, findings, trackers, report)


def _carry_out(
    spec: TrialSpec, findings: Findings, trackers: Trackers, report: Report
) -> TrialRecord:
    account = findings.account
    if spec.shares_device:
        findings.warnings.append(
            f"{spec.device} was not for this trial alone: its times are no timings"
        )
    with account.charge("reporting"):
        report(TrialEvent(trial=spec.key))
    try:
        with account.charge("setup"):
            catalog = load_catalog(spec.plugins)
            require_same_code(spec, catalog)
            spec = with_origins_here(spec, catalog)
        with account.charge("reporting"):
            trackers.create(catalog, spec.trackers, spec)
        with (
            settings_put_back(findings.note_changed_setting),
            tuned(torch.device(spec.device), spec.protocol.precision),
        ):
            training = _train(spec, catalog, findings, trackers, report)
    except (StoreError, CheckpointError, CaptureError):
        raise
    except (*PLUGIN_FAULTS, KeyboardInterrupt) as error:
        record = make_record(spec, findings, error)
        trackers.call("on_trial_error", error)
    else:
        with account.charge("checkpoint"):
            assert findings.evaluation is not None
            findings.predictions = keep_predictions(spec, findings.evaluation)
        record = make_record(spec, findings, None)
        show_evaluated_model(spec, training, with_warnings(record, findings), findings, trackers)
    return with_warnings(record, findings)


def _placed(spec: TrialSpec) -> TrialSpec:
    """The trial with its GPU's number, where nobody has chosen one."""
    if spec.device == "cuda":
        return spec.on(f"cuda:{torch.cuda.current_device()}")
    return spec


def trial_checkpoints(spec: TrialSpec, *, is_remote: bool = False) -> Checkpoints:
    """The checkpoints of a trial, here and now; if it ``is_remote``, for whatever machine."""
    conditions = training_conditions(spec)
    if is_remote:
        return Checkpoints(spec.directory, conditions, is_partial=True)
    return Checkpoints(spec.directory, conditions | machine_conditions(spec))


def _train(
    spec: TrialSpec, catalog: Catalog, findings: Findings, trackers: Trackers, report: Report
) -> Training:
    account = findings.account
    with account.charge("checkpoint"):
        # First: what a model does to its process is no part of what it is compared with.
        checkpoints = trial_checkpoints(spec)
    with account.charge("setup"):
        training, judge, keep, watch = prepare(spec, catalog, findings)
    with account.charge("checkpoint"):
        go_on(training, spec.seed, checkpoints, findings)
    with account.charge("setup"):
        start = findings.start(spec.device, keep.needed_bytes(training.model))
        watch.begin()
    with account.charge("reporting"):
        trackers.model = training.model
        trackers.call("on_trial_start", spec, training.model, len(findings.epochs))
        report(TrialEvent(trial=spec.key, start=start, warnings=tuple(findings.warnings)))
    with Checkpointing(spec, training, checkpoints, findings) as checkpointing:
        for epoch in _epochs(spec, training, judge, keep, findings):
            with account.charge("checkpoint"):
                watch.look()
            checkpointing.end_epoch(epoch.number)
            with account.charge("reporting"):
                report(TrialEvent(trial=spec.key, epoch=epoch, warnings=tuple(findings.warnings)))
                trackers.call("on_epoch_end", epoch)
    return training


def _epochs(
    spec: TrialSpec, training: Training, judge: Judge, keep: WeightsKeeper, findings: Findings
) -> Iterator[EpochRecord]:
    """Train what is left to train, and note what is found epoch by epoch."""
    account = findings.account
    left = range(len(findings.epochs) + 1, spec.protocol.epochs + 1)
    for epochs, has_dropout in phases(left, training.optimization.dropout_epochs):
        # An engine may bake in what a layer does, so each phase has one of its own.
        training.drops_out = has_dropout
        with ExitStack() as started:
            with findings.memory.left_out():
                wanted = started_engine(training, spec.engine, account, spec.no_graph_because)
                engine = started.enter_context(wanted)
            findings.memory.replayed_bytes = engine.replayed_bytes
            findings.engine, findings.engine_reason = engine.name, engine.reason
            trained = train(
                training,
                engine.take,
                _outside_the_peak(judge, findings.memory),
                keep,
                seed=spec.seed,
                epochs=epochs,
                account=account,
                progress=findings.progress,
                earlier=findings.epochs,
            )
            for epoch, judgement in trained:
                # One that was begun before, by a process that was stopped, is no timing.
                is_whole = epoch.number == 1 or epoch.number > left.start
                timed = epoch.timed and is_whole and not spec.shares_device
                if not epoch.timed and SUSPENDED not in findings.warnings:
                    findings.warnings.append(SUSPENDED)
                findings.epochs.append(epoch.model_copy(update={"timed": timed}))
                findings.evaluation = judgement.final
                yield findings.epochs[-1]


def _outside_the_peak(judge: Judge, memory: PeakMemory) -> Callable[[nn.Module, int], Judgement]:
    """The same judge, whose large batches are no part of the training's memory."""

    def judge_outside_the_peak(model: nn.Module, epoch: int) -> Judgement:
        with memory.left_out():
            return judge(model, epoch)

    return judge_outside_the_peak
