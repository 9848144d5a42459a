"""How the rows of one table stand to one another, gathered row by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from benchmark.analysis.outcomes import Outcomes
from benchmark.analysis.ranks import rank_ranges
from benchmark.summaries import ModelSummary, RankRange

# Of more rows, what is needed to compare every pair would fill the memory.
MOST_ROWS = 1_000


@dataclass(frozen=True)
class Standing:
    """A row, by its name, and what its completed trials got right; None where none completed.

    ``control_of`` is the name of the row that it repeats with other seeds, if it does; ``identity``
    is that of its code.
    """

    name: str
    outcomes: Outcomes | None
    control_of: str | None = None
    identity: str = ""

    @property
    def can_be_ranked(self) -> bool:
        """Whether it has the two seeds without which nothing is known of their spread.

        A control has no rank: it is not a separate model.
        """
        return self.outcomes is not None and self.outcomes.seeds > 1 and self.control_of is None


@dataclass
class Standings:
    """The rows of one table in their order; nothing is kept of more than MOST_ROWS.

    ``controls`` has the label of each control, and that of the model which it repeats.
    """

    rows: list[Standing] = field(default_factory=list)
    count: int = 0
    controls: Mapping[str, str] = field(default_factory=dict)
    _ranges: dict[float, list[RankRange]] = field(default_factory=dict, repr=False)

    def noting(self, summaries: Iterable[ModelSummary]) -> Iterator[ModelSummary]:
        """The same summaries; each is noted as it passes."""
        for summary in summaries:
            self.count += 1
            if self.is_complete:
                outcomes = Outcomes.of_records(summary.records)
                repeated, identity = self._repeated(summary), summary.variant.identity
                self.rows.append(Standing(summary.label, outcomes, repeated, identity))
            else:
                self.rows.clear()
            yield summary

    def _repeated(self, summary: ModelSummary) -> str | None:
        model = self.controls.get(summary.model)
        return None if model is None else f"{model}{summary.distinction}"

    @property
    def is_complete(self) -> bool:
        """Whether there are few enough rows to compare each with each."""
        return self.count <= MOST_ROWS

    @property
    def ranked(self) -> list[tuple[str, Outcomes]]:
        """The rows that can be ranked; none where there are not two of them."""
        found = [
            (row.name, row.outcomes)
            for row in self.rows
            if row.outcomes is not None and row.can_be_ranked
        ]
        return found if len(found) > 1 else []

    @property
    def of_one_training(self) -> list[tuple[str, Outcomes]]:
        """The rows of which one trial completed, and which therefore have no rank."""
        return [
            (row.name, row.outcomes)
            for row in self.rows
            if row.outcomes is not None and row.outcomes.seeds == 1 and row.control_of is None
        ]

    def ranks(self, confidence: float = 0.95) -> list[RankRange | None]:
        """The rank of each row, in their order; None for one that cannot be ranked."""
        if not self.ranked:
            return [None] * self.count
        found = iter(self.ranges(confidence))
        return [next(found) if row.can_be_ranked else None for row in self.rows]

    def ranges(self, confidence: float = 0.95) -> list[RankRange]:
        """Those of ``ranked``, worked out once; to be asked for when all rows have been noted."""
        if confidence not in self._ranges:
            outcomes = [outcomes for _, outcomes in self.ranked]
            self._ranges[confidence] = rank_ranges(outcomes, confidence)
        return self._ranges[confidence]
