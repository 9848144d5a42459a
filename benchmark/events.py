"""What is said of a trial while it runs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from benchmark.plain_data import Record
from benchmark.records import EpochRecord, Machine, ParameterCount, TrialRecord
from benchmark.specs import TrialKey


class TrialStart(Record):
    """What is known of a trial that is set up, with the epochs ``before`` from its checkpoint.

    Its weights will take so many ``weights_bytes`` on the disk, none if they are not to be kept.
    """

    params: ParameterCount
    macs: int | None
    macs_is_lower_bound: bool = False
    layout: Literal["channels_last", "contiguous"] | None = None
    weights_bytes: int = 0
    hardware: Machine
    before: tuple[EpochRecord, ...]


class TrialProgress(Record):
    """Where a trial is at the moment.

    ``part`` is what its time is being charged to, as in ``Timing``. So many ``steps`` of ``epoch``,
    which is 0 before the first, are done, and took so many ``seconds``.
    """

    part: str
    epoch: int = Field(ge=0)
    steps: int = Field(ge=0)
    seconds: float = Field(ge=0)


class TrialEvent(Record):
    """What just happened in ``trial``: it was set up, an epoch ended, or the trial did.

    Or nothing has, and there is only its ``progress``. With none of these it has begun to be set
    up. ``warnings`` are all that there have been so far, except beside ``progress``.
    """

    trial: TrialKey
    start: TrialStart | None = None
    epoch: EpochRecord | None = None
    record: TrialRecord | None = None
    progress: TrialProgress | None = None
    warnings: tuple[str, ...] = ()
