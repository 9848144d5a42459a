"""What happens to a model in training that its record has to mention."""

from __future__ import annotations

import dataclasses

from torch import nn

from benchmark.optimization import Optimization
from benchmark.training import UnsavedAttributes, names_left_alone
from benchmark.trial.findings import Findings


class ModelWatch:
    """Notes attributes that change but are in no checkpoint, and parameters never trained.

    It is made before the first step: ``optimization`` is the recipe's for this ``model``. Only
    parameters that become trainable later count; a recipe may leave others alone.
    """

    def __init__(self, model: nn.Module, optimization: Optimization, findings: Findings) -> None:
        self._model = model
        self._optimization = optimization
        self._findings = findings
        self._unsaved = UnsavedAttributes(model)
        self._left_alone = {*names_left_alone(model, optimization)}

    def watched(self) -> Optimization:
        """The recipe's optimization, whose changes before an epoch are not noted.

        A training that resumes has these changes made again.
        """
        on_epoch_start = self._optimization.on_epoch_start
        if on_epoch_start is None:
            return self._optimization

        def change(model: nn.Module, epoch: int) -> None:
            with self._unsaved.left_out():
                on_epoch_start(model, epoch)

        return dataclasses.replace(self._optimization, on_epoch_start=change)

    def begin(self) -> None:
        """Take the model as it is now: what a checkpoint has put back is no change."""
        self._unsaved.changed()

    def look(self) -> None:
        """Note what has happened since the last look."""
        self._findings.note_unsaved(self._unsaved.changed())
        names = names_left_alone(self._model, self._optimization)
        self._findings.note_lost([name for name in names if name not in self._left_alone])
