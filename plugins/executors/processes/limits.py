"""The limits of a trial's process."""

from __future__ import annotations

from pydantic import Field

from benchmark import Options


class LimitOptions(Options):
    """Options of every executor that carries trials out in processes of their own.

    A trial is ended ``timeout_seconds`` after its first sign of life, and if its process gives no
    further one for ``silence_seconds``. Its process may allocate ``memory_gib`` GiB (enforced on
    Linux).
    """

    timeout_seconds: float | None = Field(default=None, gt=0)
    silence_seconds: float = Field(default=300.0, gt=0)
    memory_gib: float | None = Field(default=None, gt=0)

    @property
    def memory_bytes(self) -> int | None:
        """What a process may allocate, None for any."""
        return None if self.memory_gib is None else int(self.memory_gib * 2**30)
