"""A run's table as somebody asks for it: which columns, in which order and format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from benchmark.analysis import (
    CONFIDENCE,
    DOUBTS,
    Doubt,
    Standings,
    look_confidence,
    summarize,
)
from benchmark.catalog import Catalog
from benchmark.entries import Column
from benchmark.errors import BenchmarkError
from benchmark.printable import printable
from benchmark.records import TrialRecord
from benchmark.report.caption import Coverage, write_caption
from benchmark.report.control import control_sentences
from benchmark.report.formats import FORMATS, FORMATS_FOR_PROGRAMS
from benchmark.report.sentences import leader_sentence
from benchmark.report.table import DEFAULT_WIDTH, Table, render, row_values, tabulate
from benchmark.spelling import did_you_mean
from benchmark.store import RunDescription, Version
from benchmark.summaries import ACCURACY

Word = TypeVar("Word", bound=str)


@dataclass(frozen=True)
class RunTable:
    """The table of a run: ``str()`` is what the command line prints, ``len()`` counts its rows.

    ``verdict`` says which row is the best and by how much, or that the run cannot tell.
    """

    table: Table
    format: str
    caption: str
    verdict: str = ""

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Each row's values by their column's name, as the format ``json`` has them."""
        return [row_values(self.table, row) for row in self.table.rows]

    def text(self, width: int = DEFAULT_WIDTH) -> str:
        """The table in its format, ``simple`` within ``width`` characters."""
        return printable(render(self.table, self.format, self.caption, width, self.verdict))

    def __len__(self) -> int:
        return len(self.table.rows)

    def __str__(self) -> str:
        return self.text()

    # As an interpreter shows what a line of it gave.
    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The table as Jupyter shows it."""
        return printable(render(self.table, "html", self.caption, verdict=self.verdict))


@dataclass(frozen=True)
class TableView:
    """How a table is shown: its format, its columns, and the one its rows are sorted by.

    The accuracies' intervals are about ``doubt``. Unless columns ``were_named``, those that need a
    rank are left out where there are not two models.
    """

    format: str
    columns: tuple[Column, ...]
    sort: Column | None
    catalog: Catalog
    doubt: Doubt = "both"
    were_named: bool = False

    @classmethod
    def choose(
        cls,
        catalog: Catalog,
        format: str,
        columns: Sequence[str] | None,
        sort: str | None,
        doubt: str = "both",
    ) -> TableView:
        """Look the columns up, by default those that the format is for.

        Raises UnknownNameError for a column, BenchmarkError for a format and for a doubt that there
        is not.
        """
        sort_column = None if sort is None else catalog.table_columns[sort].entry
        known = checked_word("format", format, FORMATS)
        return cls(
            known,
            tuple(_columns(catalog, known, columns)),
            sort_column,
            catalog,
            checked_word("doubt", doubt, DOUBTS),
            were_named=columns is not None,
        )

    def table(
        self,
        records: Iterable[TrialRecord],
        description: RunDescription | None,
        versions: Sequence[Version],
        warn: Callable[[str], None],
        note: str = "",
    ) -> RunTable:
        """Make the table of records, with a caption if it is known what was run.

        They are to come in the order of ``versions``; no more than one's are held at a time.
        """
        # Ranks and sentences are about the accuracy, whatever else was asked for.
        metrics = [*dict.fromkeys((ACCURACY, *(description.config.metrics if description else ())))]
        coverage = Coverage(metrics)
        planned = {
            (variant.model, variant.identity): variant
            for variant in (description.variants if description else ())
        }
        keys = [(version.label, version.identity) for version in versions]
        distinctions = dict(zip(keys, (version.distinction for version in versions), strict=True))
        shown = [planned[key] for key in keys if key in planned]
        confidence = look_confidence(len(description.looks)) if description else CONFIDENCE
        controls = {
            variant.model: variant.control_of for variant in shown if variant.control_of is not None
        }
        standings = Standings(controls=controls)
        columns = self._columns(metrics, warn)
        summaries = summarize(records, shown, warn, distinctions, self.doubt)
        table = tabulate(
            coverage.noting(standings.noting(summaries)),
            filter(None, [*columns, self.sort]),
            warn,
            partial(standings.ranks, confidence),
        )
        if self.sort is not None and self.sort in table.columns:
            table = table.sorted_by(self.sort)
        caption = write_caption(description, coverage, self.doubt) if description else ""
        caption = "\n".join(filter(None, [caption, note]))
        verdict = "\n".join(
            filter(
                None,
                [
                    leader_sentence(standings, confidence),
                    *control_sentences(standings, confidence),
                ],
            )
        )
        shown_columns = self._shown_columns(columns, standings.count)
        judged_by = description.protocol.dataset.judged_by if description else "test"
        headed = table.with_columns(shown_columns).headed(self._headers(judged_by))
        for line in coverage.missing_metrics():
            warn(line)
        return RunTable(headed, self.format, caption, verdict)

    def _columns(self, metrics: Sequence[str], warn: Callable[[str], None]) -> list[Column]:
        """Those that were named, or those of the format, with the metrics before the rank."""
        if self.were_named:
            return [*self.columns]
        known = self.catalog.metric_columns
        for name in metrics:
            if name not in known:
                warn(f"metric {name!r} is not shown: no plugin offers it; name its plugin with -p")
        found = [column for name in metrics for column in known.get(name, ())]
        if self.format not in FORMATS_FOR_PROGRAMS:
            found = [column for column in found if column.shown]
        return with_metrics(self.columns, found)

    def _headers(self, judged_by: str) -> dict[str, str]:
        """Those of the metrics, which say what images they are of; of test images, if brief."""
        headers = {name: columns[0].header for name, columns in self.catalog.metric_columns.items()}
        return {
            name: f"{judged_by}\n{header}"
            for name, header in headers.items()
            if judged_by != "test" or "\n" not in header
        }

    def _shown_columns(self, columns: Sequence[Column], rows: int) -> list[Column]:
        if self.were_named or self.format in FORMATS_FOR_PROGRAMS or rows > 1:
            return [*columns]
        return [column for column in columns if not column.needs_rank]


def with_metrics(columns: Sequence[Column], of_metrics: Sequence[Column]) -> list[Column]:
    """The columns with those of metrics among them: before the rank, which follows from one."""
    place = next((i for i, column in enumerate(columns) if column.needs_rank), len(columns))
    return [*columns[:place], *of_metrics, *columns[place:]]


def checked_word(what: str, word: str, known: tuple[Word, ...]) -> Word:
    """The one of the known words that it is; raises BenchmarkError where it is none."""
    for one in known:
        if one == word:
            return one
    hint = did_you_mean(word, known) or f" (there are: {', '.join(known)})"
    raise BenchmarkError(f"no such {what} {word!r}{hint}")


def _columns(catalog: Catalog, format: str, names: Sequence[str] | None) -> list[Column]:
    if names is not None:
        known = catalog.table_columns
        return [known[name].entry for name in _checked(names)]
    every = [offer.entry for offer in catalog.columns.unchosen]
    if format in FORMATS_FOR_PROGRAMS:
        return every
    return [column for column in every if column.shown]


def _checked(names: Sequence[str]) -> Sequence[str]:
    if isinstance(names, str):
        raise BenchmarkError(f"columns: should be a list of names, got {names!r}")
    if not names:
        raise BenchmarkError("columns: should name at least one")
    for name in names:
        if names.count(name) > 1:
            raise BenchmarkError(f"columns: names {name!r} twice")
    return names
