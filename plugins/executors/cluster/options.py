"""The options of a run on a cluster."""

from __future__ import annotations

from pydantic import Field

from ..processes.limits import LimitOptions


class RayOptions(LimitOptions):
    """Options of the executor ``ray``, beside the limits of a trial."""

    address: str | None = None
    """The cluster's: "auto" for the one that this machine is part of, or host and port.

    Without one Ray looks for RAY_ADDRESS, and else starts on this machine for this run.
    """

    dashboard: bool = False
    """Whether a Ray that is started for this run has its dashboard."""

    num_cpus: int = Field(default=1, ge=1)
    """The cores that a trial takes, and its threads."""

    num_gpus: float | None = Field(default=None, ge=0, le=1)
    """The GPUs that a trial takes; null is one for a trial on CUDA."""

    max_retries: int = Field(default=3, ge=0)
    """How often a trial whose node or task is lost is submitted again."""

    def gpus_for(self, device: str) -> float:
        """How many GPUs a trial on that device takes."""
        if self.num_gpus is None:
            return float(device.startswith("cuda"))
        return self.num_gpus
