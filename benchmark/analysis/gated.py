"""What a gate sees of a row: the change of a figure from its reference, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy

from benchmark.analysis.changes import (
    Change,
    RelativeChange,
    SettledChange,
    accuracy_change,
    exact_change,
    single_seed,
)
from benchmark.analysis.contender import Contender, shared_confidence
from benchmark.analysis.enough import looks_of

ACCURACY = "accuracy"
# Those that differ from seed to seed, and those that no seed changes.
MEASURED = ("epoch_seconds", "peak_memory_bytes")
COUNTED = ("params", "trainable_params", "macs")
FIGURES = (ACCURACY, *MEASURED, *COUNTED)


def change_of(figure: str, contender: Contender, reference: Contender | None) -> Change:
    """The change of a figure that a gate can have, from its reference to a row."""
    missing = _not_comparable(contender, reference)
    if missing or reference is None:
        return SettledChange(None, missing)
    if figure == ACCURACY:
        return _accuracy_change(contender, reference)
    if figure in MEASURED:
        return _measured_change(figure, contender, reference)
    return _counted_change(figure, contender, reference)


def _not_comparable(contender: Contender, reference: Contender | None) -> str:
    """Why the two cannot be compared; empty where they can."""
    if reference is None:
        return f"{contender.name} has no namesake to be compared with"
    for found in (contender, reference):
        if found.outcomes is None:
            return f"{found.name} has no completed trial"
    if contender.protocol.hash != reference.protocol.hash:
        return f"{contender.name} and {reference.name} were trained under different protocols"
    return ""


def _accuracy_change(contender: Contender, reference: Contender) -> Change:
    outcomes, others = contender.outcomes, reference.outcomes
    assert outcomes is not None
    assert others is not None
    if _has_the_same_answers(contender, reference):
        return SettledChange(
            0.0, f"{contender.name} has the code of {reference.name}, and gave the same answers"
        )
    looks = looks_of(shared_confidence([contender, reference]))
    return accuracy_change(contender.name, outcomes, reference.name, others, looks)


def _has_the_same_answers(contender: Contender, reference: Contender) -> bool:
    """Whether two seeds or more of the same code were right on the same images."""
    a, b = contender.outcomes, reference.outcomes
    assert a is not None
    assert b is not None
    return (
        contender.variant.identity == reference.variant.identity
        and contender.seeds == reference.seeds
        and len(contender.seeds) > 1
        and numpy.array_equal(a.accuracies, b.accuracies)
        and numpy.array_equal(a.shares, b.shares)
    )


def _counted_change(figure: str, contender: Contender, reference: Contender) -> Change:
    values = []
    for found in (contender, reference):
        if figure == "macs" and found.macs_is_lower_bound:
            return SettledChange(None, f"of the MACs of {found.name} only a lower bound is known")
        value: int | None = getattr(found, figure)
        if value is None:
            return _unknown(figure, found)
        values.append(Fraction(value))
    return exact_change(contender.name, *values)


def _measured_change(figure: str, contender: Contender, reference: Contender) -> Change:
    sides: list[dict[int, float]] = []
    for found in (contender, reference):
        by_seed: Mapping[int, float] = getattr(found, figure)
        sides.append({seed: value for seed, value in by_seed.items() if value > 0})
        if not sides[-1]:
            return _unknown(figure, found)
    if not contender.is_timed_like(reference):
        return SettledChange(
            None, f"{contender.name} and {reference.name} were trained on different machines"
        )
    values, others = sides
    single = single_seed((contender.name, len(values)), (reference.name, len(others)))
    if single:
        return single
    if len({*values.values()}) == len({*others.values()}) == 1:
        # Memory on a GPU often is that of the seed before, to the byte.
        value, other = (Fraction(next(iter(side.values()))) for side in sides)
        return exact_change(contender.name, value, other)
    return RelativeChange(contender.name, values, others, contender.run == reference.run)


def _unknown(figure: str, contender: Contender) -> SettledChange:
    return SettledChange(None, f"no completed trial of {contender.name} has a figure for {figure}")
