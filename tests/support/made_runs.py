"""Runs that nobody trained, to be compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy

from benchmark.analysis import planned_looks
from benchmark.catalog.shelves import load_catalog
from benchmark.config import SeedsUntil, find_document, load_config
from benchmark.records import (
    Timing,
    pack_bits,
)
from benchmark.specs import PlannedVariant
from benchmark.store.description import RunDescription
from benchmark.store.directory import RunDirectory
from tests.support.made_records import (
    DATASET,
    IDENTITY,
    PROTOCOL,
    failed_record,
    make_epoch,
    make_planned,
    make_record,
)

IMAGES = 1_000


class MadeRun:
    """A run in a folder, to which rows are added; ``changes`` are those of its protocol.

    Its config has the seeds of a preset, or was to add seeds ``until`` there are enough.
    """

    def __init__(self, folder: str | Path, until: int | None = None, **changes: Any) -> None:
        dataset = DATASET.model_copy(update={"test_images": IMAGES})
        self.protocol = PROTOCOL.model_copy(update={"dataset": dataset, **changes})
        self.directory = RunDirectory(Path(folder))
        self.variants: list[PlannedVariant] = []
        config = load_config(find_document("quickstart"), load_catalog())
        seeds = config.seeds if until is None else SeedsUntil(until=until)
        self.config = config.model_copy(update={"seeds": seeds})
        self.looks = () if until is None else planned_looks(until)

    def row(
        self,
        label: str,
        *accuracies: float,
        seconds: Sequence[float | None] = (),
        identity: str = IDENTITY,
        control_of: str | None = None,
        **changes: Any,
    ) -> MadeRun:
        """Add a row of trials with about these accuracies, each seed right on images of its own."""
        planned = make_planned(label, *range(len(accuracies)), identity=identity)
        self.variants.append(planned.model_copy(update={"control_of": control_of}))
        for seed, accuracy in enumerate(accuracies):
            correct = self.correct(label, seed, accuracy)
            fields = {
                "identity": identity,
                "dataset": self.protocol.dataset,
                "recipe": self.protocol.recipe,
                "protocol": self.protocol.hash,
                "batch_size": self.protocol.batch_size,
                "precision": self.protocol.precision,
                "epochs": (make_epoch(1, 0.1), make_epoch(2, correct.mean())),
                "correct": pack_bits(correct),
                "timing": Timing(
                    epoch_seconds=seconds[seed] if seconds else 2.0 + seed / 10, total_seconds=6.0
                ),
            }
            self.directory.write_record(make_record(label, seed, **{**fields, **changes}))
        return self._described()

    def failed(self, label: str) -> MadeRun:
        """Add a row of which no trial completed."""
        self.variants.append(make_planned(label, 0))
        changes = {"dataset": self.protocol.dataset, "protocol": self.protocol.hash}
        self.directory.write_record(failed_record(label).model_copy(update=changes))
        return self._described()

    def correct(self, label: str, seed: int, accuracy: float) -> Any:
        """Which images a trial is right on: all below a difficulty, with the noise of its seed."""
        images = self.protocol.dataset.test_images
        generator = numpy.random.default_rng([seed, *label.encode()])
        difficulty = numpy.linspace(0, 1, images) + generator.normal(0, 0.05, images)
        return difficulty < numpy.quantile(difficulty, accuracy)

    def _described(self) -> MadeRun:
        self.directory.write_description(
            RunDescription(
                config=self.config,
                variants=tuple(self.variants),
                protocol=self.protocol,
                environment={"processor": "P", "threads": 2},
                looks=self.looks,
            )
        )
        return self
