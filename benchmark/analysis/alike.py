"""Which of a variant's records can be of one network, and so may be summed up in one row.

This is a last guard. Records of the same identity differ here only where their code differs in
what no identity can see: a model that imports something else than it did, say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmark.records import (
    ParameterCount,
    TrialRecord,
)


@dataclass(frozen=True)
class Network:
    """What is known of the network that a trial trained; None where the trial ended before.

    ``version`` is that of the distribution that the model comes from.
    """

    params: ParameterCount | None
    macs: int | None
    version: str | None

    @classmethod
    def of(cls, record: TrialRecord) -> Network:
        """What a record says."""
        return cls(record.params, record.macs, record.origin.version)

    def can_be(self, other: Network) -> bool:
        """Whether nothing that is known of both differs."""
        has_same_params = None in (self.params, other.params) or self.params == other.params
        has_same_macs = None in (self.macs, other.macs) or self.macs == other.macs
        return has_same_params and has_same_macs and self.version == other.version

    def completed_by(self, other: Network) -> Network:
        """All that is known of either, which can be one network."""
        macs = other.macs if self.macs is None else self.macs
        return Network(self.params or other.params, macs, self.version)

    def __str__(self) -> str:
        """What is known, as a line names it."""
        return ", ".join(self._facts())

    def _facts(self) -> Iterator[str]:
        if self.params is not None:
            yield f"{self.params.total:,} parameters"
            yield f"{self.params.trainable:,} trainable"
        if self.macs is not None:
            yield f"{self.macs:,} MACs"
        if self.version is not None:
            yield f"version {self.version}"


def by_network(records: Sequence[TrialRecord]) -> list[tuple[Network, tuple[TrialRecord, ...]]]:
    """The records of each network together, in their order.

    A record that does not say all, of a trial that ended early, joins the first that it can be of.
    """
    groups: list[tuple[Network, list[int]]] = []
    places = sorted(range(len(records)), key=lambda place: _unknowns(records[place]))
    for place in places:
        network = Network.of(records[place])
        alike = (number for number, (known, _) in enumerate(groups) if known.can_be(network))
        number = next(alike, None)
        if number is None:
            groups.append((network, [place]))
            continue
        known, found = groups[number]
        found.append(place)
        groups[number] = (known.completed_by(network), found)
    return [
        (network, tuple(records[place] for place in sorted(found)))
        for network, found in sorted(groups, key=lambda group: min(group[1]))
    ]


def _unknowns(record: TrialRecord) -> int:
    return (record.params is None) + (record.macs is None)
