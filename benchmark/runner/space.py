"""What the weights of a run will take on the disk, said before they are written."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.events import TrialEvent
from benchmark.printable import size_text
from benchmark.specs import TrialSpec

# Of what is free, for all models so far; with more, there is advice.
MUCH = 0.5


@dataclass
class SpaceForWeights:
    """Says it of each model once, when the first of its trials has been set up."""

    folder: Path
    warn: Callable[[str], None]
    needed_bytes: dict[str, int] = field(default_factory=dict)

    def note(self, event: TrialEvent, pending: Sequence[TrialSpec]) -> None:
        """Take notice of an event in a run of which these trials are to be trained."""
        model = event.trial.model
        if event.start is None or model in self.needed_bytes or not event.start.weights_bytes:
            return
        trials = sum(spec.model == model for spec in pending)
        needed = self.needed_bytes[model] = trials * event.start.weights_bytes
        free = shutil.disk_usage(self.folder).free
        is_much = sum(self.needed_bytes.values()) > MUCH * free
        advice = "; keep_weights: false keeps none" if is_much else ""
        named = f"{trials} trials" if trials > 1 else "1 trial"
        self.warn(
            f"the weights of {named} of {model} will take {size_text(needed)} "
            f"({size_text(free)} are free){advice}"
        )
