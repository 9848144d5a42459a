"""Which code a record's figures come from, as far as the record says.

Figures of different code are never summed up. A plugin's source is not all of a model's code: what
it imports from elsewhere shows in the numbers of parameters and multiply-accumulates alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmark.records import (
    ModelRecord,
    Origin,
    ParameterCount,
    TrialRecord,
    TrialSpec,
    canonical_json,
)

SHORT_DIGEST = 8
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Provenance:
    """A model and a recipe, each with its plugin's source, and the size of the network.

    The size, ``params`` and ``macs``, is None where a trial ended before it was known.
    """

    model: ModelRecord
    recipe: Origin
    params: ParameterCount | None = None
    macs: int | None = None

    @classmethod
    def of(cls, record: TrialRecord) -> Provenance:
        """What a record says."""
        return cls(record.model, record.recipe_origin, record.params, record.macs)

    @classmethod
    def expected(cls, spec: TrialSpec) -> Provenance:
        """What is known of a trial before its model is built."""
        return cls(spec.origin, spec.recipe_origin)

    @property
    def digest(self) -> str:
        """A few hexadecimal digits that tell it from others."""
        facts = dict(self._facts())
        return hashlib.sha256(canonical_json(facts)).hexdigest()[:SHORT_DIGEST]

    def differences(self, other: Provenance) -> list[str]:
        """What is not as it is in ``other``, in words; a size that is not known does not differ."""
        here, there = dict(self._facts()), dict(other._facts())
        return [
            f"{name} {here[name]}, now {there[name]}"
            for name in here
            if name in there and here[name] != there[name]
        ]

    def __str__(self) -> str:
        """The size of the network, and the source, as a line names them."""
        facts = dict(self._facts())
        parts = [f"{facts[name]} {name}" for name in ("parameters", "MACs") if name in facts]
        return ", ".join([*parts, f"source {facts['source']}"])

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield from _origin_facts(self.model, "")
        yield from _origin_facts(self.recipe, "recipe's ")
        if self.params is not None:
            yield "parameters", f"{self.params.total:,}"
            yield "trainable parameters", f"{self.params.trainable:,}"
            yield "values in buffers", f"{self.params.buffers:,}"
        if self.macs is not None:
            yield "MACs", f"{self.macs:,}"


def _origin_facts(origin: Origin, whose: str) -> Iterator[tuple[str, str]]:
    yield f"{whose}plugin", origin.plugin
    yield f"{whose}distribution", origin.distribution or "none"
    yield f"{whose}version", origin.version or "none"
    yield f"{whose}source", origin.source[:SHORT_DIGEST] if origin.source else UNKNOWN


def by_provenance(
    records: Sequence[TrialRecord],
) -> list[tuple[Provenance, tuple[TrialRecord, ...]]]:
    """The records of one model, those of the same code together, in their order.

    A record without a size, of a trial that ended early, joins those of its source.
    """
    groups: dict[Provenance, list[TrialRecord]] = {}
    for record in sorted(records, key=_unknown_sizes):
        provenance = Provenance.of(record)
        if provenance not in groups:
            alike = (known for known in groups if not known.differences(provenance))
            is_whole = not _unknown_sizes(record)
            provenance = provenance if is_whole else next(alike, provenance)
        groups.setdefault(provenance, []).append(record)
    places = {record.key: place for place, record in enumerate(records)}
    ordered = [
        (provenance, tuple(sorted(group, key=lambda record: places[record.key])))
        for provenance, group in groups.items()
    ]
    return sorted(ordered, key=lambda group: places[group[1][0].key])


def _unknown_sizes(record: TrialRecord) -> int:
    return (record.params is None) + (record.macs is None)
