"""What the weights of a run will take on the disk, said before they are written."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.printable import size_text
from benchmark.records import TrialEvent, TrialSpec

# Of what is free; with more, there is advice.
MUCH = 0.5


@dataclass
class SpaceForWeights:
    """Says it of each model once, when the first of its trials has been set up."""

    folder: Path
    pending: Sequence[TrialSpec]
    warn: Callable[[str], None]
    told: set[str] = field(default_factory=set)

    def note(self, event: TrialEvent) -> None:
        """Take notice of an event."""
        if event.start is None or event.trial.model in self.told or not event.start.weights_bytes:
            return
        self.told.add(event.trial.model)
        trials = sum(spec.model == event.trial.model for spec in self.pending)
        needed = trials * event.start.weights_bytes
        free = shutil.disk_usage(self.folder).free
        advice = "; keep_weights: false keeps none" if needed > MUCH * free else ""
        named = f"{trials} trials" if trials > 1 else "1 trial"
        self.warn(
            f"the weights of {named} of {event.trial.model} will take {size_text(needed)} "
            f"({size_text(free)} are free){advice}"
        )
