"""What a trial asks of a cluster, and what a cluster has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from benchmark import BenchmarkError

from .options import RayOptions

GIB = 2**30


@dataclass(frozen=True)
class Request:
    """The resources of one trial: cores, GPUs, and bytes of memory."""

    num_cpus: float
    num_gpus: float
    memory: int

    @classmethod
    def of(cls, options: RayOptions, device: str) -> Self:
        """What the options ask for a trial on a device; raises BenchmarkError."""
        if device == "cuda" and options.gpus_for(device) == 0:
            raise BenchmarkError("executor.num_gpus: trials on cuda need a GPU, or a part of one")
        return cls(options.num_cpus, options.gpus_for(device), options.memory_bytes or 0)

    @property
    def resources(self) -> dict[str, float]:
        """The same, by Ray's names for what a node has."""
        wanted = {"CPU": self.num_cpus, "GPU": self.num_gpus, "memory": self.memory}
        return {name: amount for name, amount in wanted.items() if amount}

    def trials_at_a_time(self, nodes: Sequence[Mapping[str, Any]]) -> int:
        """How many such trials these nodes have room for at a time."""
        return sum(self._trials_on(node["Resources"]) for node in nodes if node["Alive"])

    def refuse_if_impossible(self, nodes: Sequence[Mapping[str, Any]]) -> None:
        """Raise BenchmarkError where no node, even an idle one, has room for one trial."""
        if not self.trials_at_a_time(nodes):
            have = sorted({_described(node["Resources"]) for node in nodes if node["Alive"]})
            raise BenchmarkError(
                f"no node of the cluster has room for a trial of {_described(self.resources)}: "
                f"they have {' or '.join(have)}; ask for less with executor.num_cpus, "
                "executor.num_gpus or executor.memory_gib"
            )

    def _trials_on(self, available: Mapping[str, float]) -> int:
        return int(min(available.get(name, 0) // amount for name, amount in self.resources.items()))


def _described(resources: Mapping[str, float]) -> str:
    """Cores, GPUs and memory, for people."""
    parts = [_counted(resources.get(kind, 0), kind) for kind in ("CPU", "GPU")]
    if "memory" in resources:
        parts.append(f"{resources['memory'] / GIB:.1f} GiB")
    return ", ".join(parts)


def _counted(number: float, what: str) -> str:
    return f"{number:g} {what}" if number == 1 else f"{number:g} {what}s"
