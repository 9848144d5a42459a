"""The limits of a trial's process."""

from __future__ import annotations

from pydantic import Field

from benchmark import Options


class LimitOptions(Options):
    """Options of every executor that carries trials out in processes of their own."""

    timeout_seconds: float | None = Field(default=None, gt=0)
    """How long after its first sign of life a trial is ended; null lets it take its time."""

    silence_seconds: float = Field(default=300.0, gt=0)
    """How long after its last sign of life a trial is ended."""

    memory_gib: float | None = Field(default=None, gt=0)
    """What a trial's process may allocate, enforced on Linux; null is no limit."""

    @property
    def memory_bytes(self) -> int | None:
        """What a process may allocate, None for any."""
        return None if self.memory_gib is None else int(self.memory_gib * 2**30)
