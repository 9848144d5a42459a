"""The table of kept weights on other images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.analysis import EvaluatedRow, Relation
from benchmark.entries import MetricEntry
from benchmark.metric_columns import bounded
from benchmark.printable import printable
from benchmark.protocol import (
    Protocol,
    Selection,
)
from benchmark.report.comparison_columns import difference_text
from benchmark.report.formats import FORMATS, FORMATS_FOR_PROGRAMS
from benchmark.report.run_table import checked_word
from benchmark.report.sentences import listed
from benchmark.report.table import (
    DEFAULT_WIDTH,
    Cell,
    Table,
    plain,
    render,
    row_values,
)
from benchmark.summaries import ACCURACY, NO_FIGURE, Interval

_INTERVALS = "their 95 % intervals are over images: they are about these networks."
_RELATIONS: dict[Relation, str] = {
    "original": "These are the images that the models were judged by at the end of training.",
    "changed": (
        "Differences are to the accuracy at the end of training, paired by image; " + _INTERVALS
    ),
    "other": (
        "Differences are to the accuracy at the end of training, on other images; " + _INTERVALS
    ),
}


@dataclass(frozen=True)
class EvaluationColumn:
    """A figure of a row: as programs read it, and as people do."""

    name: str
    value: Callable[[EvaluatedRow], Any]
    header: str = ""
    text: Callable[[EvaluatedRow], str] | None = None

    def cell(self, row: EvaluatedRow) -> Cell:
        """The figure of one row."""
        value = self.value(row)
        return Cell(plain(value), str(value) if self.text is None else self.text(row))


COLUMNS = (
    EvaluationColumn("model", lambda row: row.label, "model"),
    EvaluationColumn("entry", lambda row: row.variant.entry),
    EvaluationColumn("options", lambda row: row.variant.options),
    EvaluationColumn("identity", lambda row: row.variant.identity),
    EvaluationColumn("seeds", lambda row: [*row.seeds], "seeds", lambda row: str(len(row.seeds))),
    EvaluationColumn(
        "accuracy",
        lambda row: row.accuracy.mean,
        "acc. (%)",
        lambda row: row.accuracy.text(in_percent=True),
    ),
    EvaluationColumn("accuracy_low", lambda row: row.accuracy.low),
    EvaluationColumn("accuracy_high", lambda row: row.accuracy.high),
    EvaluationColumn(
        "original_accuracy",
        lambda row: row.original.mean,
        "original\nacc. (%)",
        lambda row: f"{row.original.mean * 100:.2f}",
    ),
    EvaluationColumn(
        "difference",
        lambda row: row.difference.mean,
        "difference\n(points)",
        lambda row: difference_text(row.difference),
    ),
    EvaluationColumn("difference_low", lambda row: row.difference.low),
    EvaluationColumn("difference_high", lambda row: row.difference.high),
    EvaluationColumn("images", lambda row: row.images),
)


@dataclass(frozen=True)
class Evaluations:
    """Kept weights on other images: ``str()`` is what the command line prints.

    ``left_out`` counts trials whose weights could not be tested.
    """

    models: tuple[EvaluatedRow, ...]
    run: Path
    protocol: Protocol
    dataset: Selection
    fingerprint: str
    images: int
    device: str
    metrics: tuple[MetricEntry, ...]
    format: str
    left_out: int = 0

    def __post_init__(self) -> None:
        """Refuse a format that there is not, with a BenchmarkError."""
        checked_word("format", self.format, FORMATS)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Each row's figures by their name, as the format ``json`` has them."""
        table = self._table([*COLUMNS, *self._metric_columns()])
        return [row_values(table, row) for row in table.rows]

    def text(self, width: int = DEFAULT_WIDTH) -> str:
        """The table in its format, ``simple`` within ``width`` characters."""
        columns = [*COLUMNS, *self._metric_columns()]
        if self.format not in FORMATS_FOR_PROGRAMS:
            columns = [column for column in columns if column.header]
        return printable(render(self._table(columns), self.format, self.caption, width))

    def __len__(self) -> int:
        return len(self.models)

    def __str__(self) -> str:
        return self.text()

    # As an interpreter shows what a line of it gave.
    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The table as Jupyter shows it."""
        columns = [c for c in (*COLUMNS, *self._metric_columns()) if c.header]
        return printable(render(self._table(columns), "html", self.caption))

    @property
    def caption(self) -> str:
        """What was tested on what, and what the figures mean."""
        options = _options(self.dataset.options)
        return (
            f"{self.run.name}: kept weights on {' '.join([self.dataset.name, *options])} "
            f"({self.fingerprint[:8]}), {self.images:,} test images; {self.device}, "
            f"{self.protocol.precision}.\n"
            "Accuracy is the mean over seeds, with a 95 % interval over seeds and images"
            f"{self._exceptions()} from two seeds on. {_RELATIONS[self.models[0].images]}"
        )

    def _exceptions(self) -> str:
        """The metrics whose intervals are over seeds alone."""
        alone = [metric.name for metric in self.metrics if not metric.has_image_error]
        return f" ({listed(alone)}: seeds alone)" if alone else ""

    def _metric_columns(self) -> Iterator[EvaluationColumn]:
        """Of each metric but the accuracy, which has its own, the mean and the bounds."""
        for metric in self.metrics:
            if metric.name != ACCURACY:
                yield EvaluationColumn(
                    metric.name, _of(metric, "mean"), metric.header, partial(_text, metric)
                )
                yield EvaluationColumn(f"{metric.name}_low", _of(metric, "low"))
                yield EvaluationColumn(f"{metric.name}_high", _of(metric, "high"))

    def _table(self, columns: list[EvaluationColumn]) -> Table:
        return Table(
            tuple(columns), tuple({c.name: c.cell(row) for c in columns} for row in self.models)
        )


def _interval(metric: MetricEntry, row: EvaluatedRow) -> Interval | None:
    return bounded(metric, row.metrics.get(metric.name))


def _of(metric: MetricEntry, figure: str) -> Callable[[EvaluatedRow], Any]:
    return lambda row: getattr(_interval(metric, row), figure, None)


def _text(metric: MetricEntry, row: EvaluatedRow) -> str:
    interval = _interval(metric, row)
    return interval.text(in_percent=metric.in_percent) if interval else NO_FIGURE


def _options(options: Mapping[str, Any]) -> list[str]:
    """Those that are set."""
    return [f"{key}={_option(value)}" for key, value in options.items() if value is not None]


def _option(value: Any) -> str:
    """An option's value; of a data set that is wrapped, its name and its options."""
    if not isinstance(value, dict):
        return str(value)
    others = {key: item for key, item in value.items() if key != "name"}
    return f"({' '.join([value.get('name', ''), *_options(others)])})"
