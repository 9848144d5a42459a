"""What a run directory's ``run.json`` says: what was asked for, by all commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from benchmark.config import RunConfig
from benchmark.protocol import Protocol
from benchmark.records import (
    SCHEMA,
    Machine,
)
from benchmark.specs import PlannedVariant


class RunDescription(BaseModel):
    """What a run directory's ``run.json`` says.

    ``config`` is that of the last command that was given; ``variants`` are all that were asked for,
    by whichever command. Of those with the same label the last is the present one. ``looks`` are
    the numbers of seeds after any of which the trainings could have stopped, because what they
    showed decided it; none where it was never so.
    """

    model_config = ConfigDict(frozen=True)

    # "schema" is the name in the file; pydantic's own models have an attribute of that name.
    schema_version: Literal[1] = Field(default=SCHEMA, alias="schema")
    config: RunConfig
    variants: tuple[PlannedVariant, ...]
    protocol: Protocol
    environment: Machine
    looks: tuple[PositiveInt, ...] = ()

    @property
    def present(self) -> tuple[PlannedVariant, ...]:
        """Of each label the variant that the last command asked for, in the order of the labels."""
        return tuple({variant.model: variant for variant in self.variants}.values())

    def added_to(self, earlier: Sequence[PlannedVariant]) -> RunDescription:
        """The same with the variants of earlier commands and, where they are the same, seeds."""
        by_label: dict[str, dict[str, PlannedVariant]] = {}
        for variant in [*earlier, *self.variants]:
            versions = by_label.setdefault(variant.model, {})
            # Put last, because it is what the label stands for now.
            before = versions.pop(variant.identity, None)
            seeds = dict.fromkeys([*(before.seeds if before else ()), *variant.seeds])
            versions[variant.identity] = variant.model_copy(update={"seeds": tuple(seeds)})
        every = [variant for versions in by_label.values() for variant in versions.values()]
        return self.model_copy(update={"variants": tuple(every)})
