"""The seeds that a config asks for: a number, a list, or as many as it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from benchmark.config.checker import Checker

# Far beyond any use; a slip of the finger should not fill the memory with trials.
MOST_SEEDS = 10_000
LARGEST_SEED = 2**32 - 1
# Every pair of models is compared, and of more models that would fill the memory.
MOST_COMPARED = 1_000


class SeedsUntil(BaseModel):
    """Seeds that are added until the leading models differ, or there are ``until`` each.

    Or until they agree within ``resolve`` percentage points; None leaves that out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    until: int
    resolve: float | None = Field(default=None, gt=0, le=100)

    @field_validator("until", mode="before")
    @classmethod
    def _can_be_compared(cls, until: Any) -> Any:
        if not is_whole_number(until) or not 2 <= until <= MOST_SEEDS:
            raise ValueError(f"should be a number of seeds from 2 to {MOST_SEEDS:,}, got {until!r}")
        return until


def chosen_seeds(checker: Checker) -> Any:
    """What ``seeds`` says; None where it is not there, or is a mapping with faults."""
    raw = checker.document.data.get("seeds")
    if not isinstance(raw, dict):
        return raw
    try:
        return SeedsUntil.model_validate(raw)
    except ValidationError as error:
        checker.validation_faults(
            error,
            SeedsUntil,
            "'seeds'",
            lambda key: ("seeds", *key),
            lambda place: ": how many seeds there may be at most",
        )
        return None


def refuse_nothing_to_compare(checker: Checker, models: Sequence[object]) -> None:
    """Note a fault where seeds are to be added until models differ, and there are not two."""
    if len(models) < 2:
        message = "compares models, and there is only one; give a number of seeds, or another model"
        checker.fault(("seeds", "until"), message)
    elif len(models) > MOST_COMPARED:
        message = f"compares every pair of models, of {MOST_COMPARED:,} at most; there are "
        checker.fault(("seeds", "until"), f"{message}{len(models):,}")


def listed_seeds(seeds: Any) -> tuple[int, ...]:
    """The seeds that a number or a list stands for; raises ValueError."""
    expected = (
        "should be a number of seeds (1 or more), a list of different whole numbers, or {until: N} "
        "(--seeds until:N)"
    )
    if is_whole_number(seeds) and seeds > MOST_SEEDS:
        raise ValueError(f"should be {MOST_SEEDS:,} seeds at most, got {seeds}")
    if is_whole_number(seeds) and seeds >= 1:
        return tuple(range(seeds))
    if not isinstance(seeds, list) or not seeds:
        raise ValueError(f"{expected}, got {seeds!r}")
    if not all(is_whole_number(seed) and 0 <= seed <= LARGEST_SEED for seed in seeds):
        raise ValueError(f"{expected}, got {seeds!r}")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"{expected}, got {seeds!r}, which has one twice")
    return tuple(seeds)


def is_whole_number(value: Any) -> bool:
    """Whether a value is one; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)
