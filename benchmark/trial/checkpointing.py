"""When a trial's checkpoints are written, and what is in one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch

from benchmark.specs import TrialSpec
from benchmark.training import (
    Checkpoints,
    CheckpointWriter,
    NotPlainError,
    Training,
    require_plain,
    state_of,
)
from benchmark.trial.findings import Findings

# What a kill may cost. A copy of some megabytes takes milliseconds, less than a thousandth of it.
CHECKPOINT_SECONDS = 10.0


class Checkpointing:
    """Has a thread write a trial's checkpoints, inside its context.

    When the context is left, however that comes, nothing is being written any more. Raises
    StoreError where the disk refuses: with the checkpoint after, or when the context is left.
    """

    def __init__(
        self, spec: TrialSpec, training: Training, checkpoints: Checkpoints, findings: Findings
    ) -> None:
        self._spec = spec
        self._training = training
        self._findings = findings
        self._writer = CheckpointWriter(checkpoints)
        self._last_seconds = self._seconds()
        self._is_first_look = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        # Charged to nothing: of a GPU that has failed no time can be read.
        self._writer.close()

    def end_epoch(self, epoch: int) -> None:
        """Have a checkpoint written if one is due; the last epoch's is waited for."""
        with self._findings.account.charge("checkpoint"):
            if self._is_due(epoch):
                self._begin_to_write()
            elif self._is_first_look:
                # So that one hears of it at once if nothing can be written.
                self._plain_state()
            if epoch == self._spec.protocol.epochs:
                self._writer.finish()

    def _begin_to_write(self) -> None:
        state = self._plain_state()
        if state is not None:
            self._writer.write(_content(state, self._findings))
            self._last_seconds = self._seconds()

    def _is_due(self, epoch: int) -> bool:
        every = self._spec.checkpoint_every
        if epoch == self._spec.protocol.epochs:
            return True
        if every is not None:
            return epoch % every == 0
        return self._seconds() - self._last_seconds >= CHECKPOINT_SECONDS

    def _seconds(self) -> float:
        """What training and evaluating have taken so far, in earlier processes, too."""
        account = self._findings.account
        return account.seconds("training") + account.seconds("evaluation")

    def _plain_state(self) -> dict[str, Any] | None:
        """The training's state; None, with a warning, where it could not be read back."""
        self._is_first_look = False
        state = state_of(self._training)
        try:
            require_plain({"training": state})
        except NotPlainError as error:
            warning = f"no checkpoint can be written, because not all is plain data: {error}"
            if warning not in self._findings.warnings:
                self._findings.warnings.append(warning)
            return None
        return state


def _content(state: Mapping[str, Any], findings: Findings) -> dict[str, Any]:
    evaluation, weights = findings.evaluation, findings.weights
    assert evaluation is not None
    return {
        "training": state,
        "epochs": [epoch.model_dump() for epoch in findings.epochs],
        "evaluation": {
            "loss": evaluation.loss,
            "predictions": torch.from_numpy(evaluation.predictions),
            "correct": torch.from_numpy(evaluation.correct),
            "metrics": {name: f.model_dump() for name, f in evaluation.metrics.items()},
        },
        "weights": None if weights is None else weights.model_dump(),
        "seconds": findings.account.balance(),
        "engine": findings.engine,
        "engine_reason": findings.engine_reason,
        "resumed": findings.resumed,
        "warnings": findings.warnings,
    }
