"""A training put where its newest sound checkpoint left it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.errors import CheckpointError, one_line
from benchmark.files import is_there
from benchmark.records import WEIGHTS_FILE
from benchmark.training import (
    NONSENSE_FAULTS,
    TRAINING,
    Checkpoints,
    DamagedError,
    MisfitError,
    SavedTrial,
    Training,
    check_fits,
    is_out_of_memory,
    read_content,
    require_same_shapes,
    require_sound_optimizer,
    restore,
    seed_everything,
    state_of,
)
from benchmark.trial.findings import Findings


def go_on(training: Training, seed: int, checkpoints: Checkpoints, findings: Findings) -> None:
    """Put the training where its newest sound checkpoint left it, if there is one.

    Raises CheckpointError where its checkpoints are of another training, and BenchmarkError where
    the recipe cannot change the model as it did before.
    """

    def read(content: Any) -> SavedTrial:
        return read_content(content, training.optimization, training.steps_per_epoch)

    def use(content: Any) -> None:
        saved = read(content)
        _change_as_before(training, seed, len(saved.epochs))
        _restore(training, saved.training, checkpoints.folder)

    content = checkpoints.load(findings.warnings.append, use)
    if content is None:
        return
    saved = read(content)
    findings.epochs, findings.evaluation = saved.epochs, saved.evaluation
    if saved.weights is not None and is_there(checkpoints.folder / WEIGHTS_FILE):
        findings.weights = saved.weights
    findings.account.add(saved.seconds)
    findings.engine, findings.engine_reason = saved.engine, saved.engine_reason
    findings.resumed = saved.resumed + 1
    # In place: the trackers add to the same list.
    findings.warnings[:] = dict.fromkeys([*saved.warnings, *findings.warnings])


def _change_as_before(training: Training, seed: int, epochs: int) -> None:
    """Have the recipe change the model as it did for those epochs.

    What it changes need be in no checkpoint, and may build on what it changed before.
    """
    if training.optimization.on_epoch_start is None:
        return
    for epoch in range(1, epochs + 1):
        seed_everything(seed, TRAINING, epoch)
        training.model.train()
        training.change_for_epoch(epoch)


def _restore(training: Training, state: Mapping[str, Any], folder: Path) -> None:
    """Put a training where a checkpoint left it, or leave it as it is where that cannot be.

    Raises CheckpointError for the state of another training, DamagedError for one without sense.
    """
    present = copy.deepcopy(state_of(training))
    try:
        check_fits(training, state)
        # Tensors in a model's extra state may change their shapes.
        require_same_shapes({**state, "extra": {}}, present)
        restore(training, state)
        for optimizer, own in zip(
            training.optimization.optimizers, present["optimizers"], strict=True
        ):
            require_sound_optimizer(optimizer, own["param_groups"])
    except (MisfitError, ValueError) as error:
        restore(training, present)
        # A ValueError is an optimiser's, whose groups were others.
        raise CheckpointError(
            f"{folder}: the model or the recipe is not what it was at the last checkpoint: "
            f"{error}; put it back as it was, or start over with --fresh"
        ) from error
    except DamagedError:
        restore(training, present)
        raise
    except NONSENSE_FAULTS as error:
        if is_out_of_memory(error):
            raise
        restore(training, present)
        raise DamagedError(f"it makes no sense: {one_line(error)}") from error
