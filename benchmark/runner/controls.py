"""A control's name and its seeds are its own in the whole of a run, whichever command asked."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress

from benchmark.errors import BenchmarkError, StoreError
from benchmark.files import UnreadableError
from benchmark.specs import PlannedVariant
from benchmark.store import RunDescription, RunDirectory


def refuse_shared_controls(directory: RunDirectory, description: RunDescription) -> None:
    """Raise BenchmarkError where a control shares a name or a seed with what else the run has.

    ``description`` has all seeds that this command may come to.
    """
    earlier: tuple[PlannedVariant, ...] = ()
    # There may be none, and of one that is damaged something is said elsewhere.
    with suppress(StoreError, UnreadableError):
        earlier = directory.read_description().variants
    variants = description.added_to(earlier).variants
    repeated = defaultdict(set)
    for variant in variants:
        repeated[variant.model].add(variant.control_of)
    for label, models in repeated.items():
        if len(models) > 1:
            raise BenchmarkError(
                f"{directory.path} has a model {label} and a control of that name; give the model "
                "another label, or another --out"
            )
    owners = {
        seed: variant.model
        for variant in variants
        if variant.control_of is None
        for seed in variant.seeds
    }
    for control in (variant for variant in variants if variant.control_of is not None):
        for seed in control.seeds:
            if seed in owners:
                raise BenchmarkError(
                    f"{directory.path}: {control.model} is to have seeds that nothing else in the "
                    f"run has, and {owners[seed]} has {seed}, too; give other seeds, or another "
                    "--out"
                )
