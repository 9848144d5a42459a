"""The options of a run on a cluster."""

from __future__ import annotations

from pydantic import Field

from ..processes.limits import LimitOptions


class RayOptions(LimitOptions):
    """Options of the executor ``ray``, beside the limits of a trial.

    ``address`` is the cluster's: ``auto`` for the one that this machine is part of, or host and
    port; without one Ray looks for ``RAY_ADDRESS``, and else starts on this machine for this run,
    with its ``dashboard`` if asked. A trial takes ``num_cpus`` cores, as many threads,
    ``num_gpus`` GPUs (None: one if it is trained on ``cuda``), and ``memory_gib`` of memory. One
    whose node or task is lost is submitted again, up to ``max_retries`` times.
    """

    address: str | None = None
    dashboard: bool = False
    num_cpus: int = Field(default=1, ge=1)
    num_gpus: float | None = Field(default=None, ge=0, le=1)
    max_retries: int = Field(default=3, ge=0)

    def gpus_for(self, device: str) -> float:
        """How many GPUs a trial on that device takes."""
        if self.num_gpus is None:
            return float(device.startswith("cuda"))
        return self.num_gpus
