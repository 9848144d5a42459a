"""How the rows of one table stand to one another, gathered row by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from benchmark.analysis.outcomes import Outcomes
from benchmark.analysis.ranks import rank_ranges
from benchmark.summaries import ModelSummary, RankRange

# Of more rows, what is needed to compare every pair would fill the memory.
MOST_ROWS = 1_000


@dataclass(frozen=True)
class Standing:
    """A row, by its name, and what its completed trials got right; None where none completed."""

    name: str
    outcomes: Outcomes | None

    @property
    def can_be_ranked(self) -> bool:
        """Whether it has the two seeds without which nothing is known of their spread."""
        return self.outcomes is not None and self.outcomes.seeds > 1


@dataclass
class Standings:
    """The rows of one table in their order; nothing is kept of more than MOST_ROWS."""

    rows: list[Standing] = field(default_factory=list)
    count: int = 0

    def noting(self, summaries: Iterable[ModelSummary]) -> Iterator[ModelSummary]:
        """The same summaries; each is noted as it passes."""
        for summary in summaries:
            self.count += 1
            if self.is_complete:
                outcomes = Outcomes.of_records(summary.records)
                self.rows.append(Standing(summary.label, outcomes))
            else:
                self.rows.clear()
            yield summary

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

    def ranks(self, confidence: float = 0.95) -> list[RankRange | None]:
        """The rank of each row, in their order; None for one that cannot be ranked."""
        ranked = self.ranked
        if not ranked:
            return [None] * self.count
        found = iter(rank_ranges([outcomes for _, outcomes in ranked], confidence))
        return [next(found) if row.can_be_ranked else None for row in self.rows]
