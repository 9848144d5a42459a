"""What is known of a trial while it runs, and the record that it becomes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmark.complexity import MacCount
from benchmark.environment import core_version, describe_environment, describe_hardware
from benchmark.errors import BenchmarkError, OtherCodeError, one_line
from benchmark.events import TrialStart
from benchmark.kept_files import KeptFile
from benchmark.protocol import Protocol
from benchmark.records import (
    EpochRecord,
    Machine,
    ParameterCount,
    Status,
    Timing,
    TrialRecord,
    pack_bits,
)
from benchmark.specs import TrialSpec
from benchmark.training import (
    DivergedError,
    EpochProgress,
    Evaluation,
    Layout,
    PeakMemory,
    TimeAccount,
)

LOST = "parameters that became trainable during training are never trained"
UNSAVED = "attributes that training changes and no checkpoint keeps"


@dataclass
class Findings:
    """What is known of a trial so far."""

    account: TimeAccount
    memory: PeakMemory
    progress: EpochProgress
    params: ParameterCount | None = None
    macs: MacCount | None = None
    layout: Layout | None = None
    engine: str = "eager"
    engine_reason: str | None = None
    resumed: int = 0
    epochs: list[EpochRecord] = field(default_factory=list)
    evaluation: Evaluation | None = None
    predictions: KeptFile | None = None
    weights: KeptFile | None = None
    is_set_up: bool = False
    warnings: list[str] = field(default_factory=list)

    def start(self, device: str, weights_bytes: int) -> TrialStart:
        """Note that the trial is set up; returns what is known of it by then."""
        self.is_set_up = True
        assert self.params is not None
        return TrialStart(
            params=self.params,
            **_macs(self.macs),
            layout=self.layout,
            weights_bytes=weights_bytes,
            hardware=Machine(**describe_hardware(with_gpus=device.startswith("cuda"))),
            before=tuple(self.epochs),
        )

    def note_changed_setting(self, change: str) -> None:
        """Remark that the training changed a setting of its process, which is put back."""
        self.warnings.append(f"the training changed {change}; put back when it ended")

    def note_lost(self, names: Sequence[str]) -> None:
        """Remark, once, that the optimiser does not know parameters of the model's."""
        if names and not any(LOST in warning for warning in self.warnings):
            self.warnings.append(f"{LOST}: {_listed(names)}")

    def note_unsaved(self, names: Sequence[str]) -> None:
        """Remark, once, that attributes of the model's change and are in no checkpoint."""
        if not names or any(UNSAVED in warning for warning in self.warnings):
            return
        self.warnings.append(
            f"{UNSAVED}: {_listed(names)}; a resumed training may differ from an uninterrupted "
            "one (make them buffers, or return them from get_extra_state)"
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")


def make_record(spec: TrialSpec, findings: Findings, error: BaseException | None) -> TrialRecord:
    """The record of a trial that ended, with ``error`` or without."""
    # First: the trial is over, and to describe the environment takes a while.
    timing = _timing(findings.epochs, findings.account)
    status, reason = _status(spec, findings, error)
    evaluation = findings.evaluation if status == "completed" else None
    return TrialRecord(
        **_asked_for(spec),
        environment=Machine(**describe_environment()),
        status=status,
        reason=reason,
        engine=findings.engine,
        engine_reason=findings.engine_reason,
        resumed=findings.resumed,
        layout=findings.layout,
        params=findings.params,
        **_macs(findings.macs),
        epochs=tuple(findings.epochs),
        timing=timing,
        peak_memory_bytes=findings.memory.bytes(),
        **_outcome(findings, evaluation),
    )


def _outcome(findings: Findings, evaluation: Evaluation | None) -> dict[str, Any]:
    """What a completed trial's last evaluation came to."""
    if evaluation is None:
        return {"correct": None}
    return {
        "correct": pack_bits(evaluation.correct),
        "predictions_file": findings.predictions,
        "weights_file": findings.weights,
        "metrics": dict(evaluation.metrics),
    }


def with_warnings(record: TrialRecord, findings: Findings) -> TrialRecord:
    """The record, with all warnings so far."""
    # Some are found more than once: in the count and in the check, say.
    return record.model_copy(update={"warnings": tuple(dict.fromkeys(findings.warnings))})


def record_lost_trial(
    spec: TrialSpec,
    *,
    status: Status,
    reason: str,
    start: TrialStart | None,
    epochs: Sequence[EpochRecord],
    warnings: Sequence[str],
    total_seconds: float,
) -> TrialRecord:
    """The record of a trial whose process can say nothing any more; for executors.

    ``start``, ``epochs`` and ``warnings`` are what it has reported, ``total_seconds`` is how long
    it lived. If it was not set up, nobody knows more of where it was than of this machine.
    """
    hardware = start.hardware.model_dump() if start else {}
    return TrialRecord(
        **_asked_for(spec),
        environment=Machine(**{**describe_environment(), **hardware}),
        status=status,
        reason=reason,
        engine=None,
        engine_reason=None,
        resumed=0,
        params=start.params if start else None,
        macs=start.macs if start else None,
        macs_is_lower_bound=start.macs_is_lower_bound if start else False,
        layout=start.layout if start else None,
        epochs=tuple(epochs),
        timing=Timing(total_seconds=total_seconds),
        peak_memory_bytes=None,
        correct=None,
        warnings=tuple(warnings),
    )


def stage(protocol: Protocol, epochs: int, *, is_set_up: bool) -> str:
    """Where a trial is that has had so many epochs, as a reason says it: ``in epoch 3 of 50``."""
    if not is_set_up:
        return "while it was set up"
    if epochs >= protocol.epochs:
        return "after its last epoch"
    return f"in epoch {epochs + 1} of {protocol.epochs}"


def _asked_for(spec: TrialSpec) -> dict[str, Any]:
    """What a record says of its trial whatever becomes of it."""
    protocol = spec.protocol
    return {
        **dict(spec.variant),
        "seed": spec.seed,
        "core_version": core_version(),
        "dataset": protocol.dataset,
        "recipe": protocol.recipe,
        "recipe_origin": spec.recipe_origin,
        "protocol": protocol.hash,
        "batch_size": protocol.batch_size,
        "steps_per_epoch": protocol.steps_per_epoch,
        "device": spec.device,
        "precision": protocol.precision,
        "compiled": spec.compile,
    }


def _macs(count: MacCount | None) -> dict[str, Any]:
    return {
        "macs": count.macs if count else None,
        "macs_is_lower_bound": bool(count and count.uncounted),
    }


def _status(
    spec: TrialSpec, findings: Findings, error: BaseException | None
) -> tuple[Status, str | None]:
    match error:
        case None:
            return "completed", None
        case KeyboardInterrupt():
            epochs, is_set_up = len(findings.epochs), findings.is_set_up
            return "interrupted", stage(spec.protocol, epochs, is_set_up=is_set_up)
        case DivergedError():
            return "diverged", str(error)
        case OtherCodeError():
            return "refused", str(error)
        case BenchmarkError():
            return "failed", str(error)
        case _:
            return "failed", one_line(error)


def _timing(epochs: list[EpochRecord], account: TimeAccount) -> Timing:
    steady = [epoch.train_seconds for epoch in epochs[1:] if epoch.timed]
    return Timing(
        setup_seconds=account.seconds("setup"),
        compile_seconds=account.seconds("compile"),
        capture_seconds=account.seconds("capture"),
        first_epoch_seconds=epochs[0].train_seconds if epochs and epochs[0].timed else None,
        epoch_seconds=statistics.median(steady) if steady else None,
        epoch_interquartile_seconds=_interquartile_range(steady),
        training_seconds=account.seconds("training"),
        evaluation_seconds=account.seconds("evaluation"),
        checkpoint_seconds=account.seconds("checkpoint"),
        reporting_seconds=account.seconds("reporting"),
        total_seconds=account.total_seconds(),
    )


def _interquartile_range(seconds: list[float]) -> float | None:
    if len(seconds) < 2:
        return None
    first, _, third = statistics.quantiles(seconds, n=4, method="inclusive")
    return third - first
