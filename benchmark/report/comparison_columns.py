"""The columns of a comparison, for programs and for people."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from benchmark.analysis import ComparedRow
from benchmark.report.comparison_sentences import row_sentence
from benchmark.report.table import Cell, plain
from benchmark.summaries import NO_FIGURE, Difference, Ratio

# Behind the name of a row that has another protocol than its reference.
MARK = " *"


@dataclass(frozen=True)
class ComparisonColumn:
    """A figure of a compared row: as programs read it, and as people do."""

    name: str
    value: Callable[[ComparedRow], Any]
    header: str = ""
    text: Callable[[ComparedRow], str] = lambda row: ""

    def cell(self, row: ComparedRow) -> Cell:
        """The figure of one row."""
        return Cell(plain(self.value(row)), self.text(row))


def _of_difference(name: str) -> Callable[[ComparedRow], Any]:
    return lambda row: getattr(row.difference, name, None)


def _of_ratio(ratio: str, name: str) -> Callable[[ComparedRow], Any]:
    return lambda row: getattr(getattr(row, ratio), name, None)


def _accuracy(row: ComparedRow) -> float | None:
    outcomes = row.contender.outcomes
    return None if outcomes is None else outcomes.mean


def _test_accuracy(row: ComparedRow) -> float | None:
    return _accuracy(row) if row.contender.protocol.dataset.test_images else None


def _epoch_seconds(row: ComparedRow) -> float | None:
    values = row.contender.epoch_seconds.values()
    return statistics.median(values) if values else None


def _peak_memory_bytes(row: ComparedRow) -> int | None:
    return max(row.contender.peak_memory_bytes.values(), default=None)


def _time_to(name: str) -> Callable[[ComparedRow], Any]:
    return lambda row: getattr(row.time_to, name, None)


FOR_PROGRAMS = (
    ComparisonColumn("model", lambda row: row.contender.name),
    ComparisonColumn("run", lambda row: str(row.contender.run)),
    ComparisonColumn("label", lambda row: row.contender.label),
    ComparisonColumn("identity", lambda row: row.contender.variant.identity),
    ComparisonColumn("protocol", lambda row: row.contender.protocol.hash),
    ComparisonColumn("reference", lambda row: row.reference and row.reference.name),
    ComparisonColumn("is_reference", lambda row: row.is_reference),
    ComparisonColumn("is_of_another_protocol", lambda row: row.is_of_another_protocol),
    ComparisonColumn("seeds", lambda row: list(row.contender.seeds)),
    ComparisonColumn("status", lambda row: row.contender.status),
    ComparisonColumn("accuracy", _accuracy),
    ComparisonColumn("test_accuracy", _test_accuracy),
    ComparisonColumn("difference", _of_difference("mean")),
    ComparisonColumn("difference_low", _of_difference("low")),
    ComparisonColumn("difference_high", _of_difference("high")),
    ComparisonColumn("confidence", _of_difference("confidence")),
    ComparisonColumn("seed_standard_error", _of_difference("seed_standard_error")),
    ComparisonColumn("image_standard_error", _of_difference("image_standard_error")),
    ComparisonColumn("degrees_of_freedom", _of_difference("degrees_of_freedom")),
    ComparisonColumn("p_value", _of_difference("p_value")),
    ComparisonColumn("trainings_p_value", _of_difference("trainings_p_value")),
    ComparisonColumn("superiority", _of_difference("superiority")),
    ComparisonColumn("detectable", _of_difference("detectable")),
    ComparisonColumn("rank", lambda row: [row.rank.best, row.rank.worst] if row.rank else None),
    ComparisonColumn("on_front", lambda row: row.on_front),
    ComparisonColumn("dominated_by", lambda row: row.dominating and row.dominating.name),
    ComparisonColumn("epoch_seconds", _epoch_seconds),
    ComparisonColumn("epoch_seconds_ratio", _of_ratio("epoch_seconds", "mean")),
    ComparisonColumn("epoch_seconds_ratio_low", _of_ratio("epoch_seconds", "low")),
    ComparisonColumn("epoch_seconds_ratio_high", _of_ratio("epoch_seconds", "high")),
    ComparisonColumn("params", lambda row: row.contender.params),
    ComparisonColumn("params_ratio", lambda row: row.params),
    ComparisonColumn("macs", lambda row: row.contender.macs),
    ComparisonColumn("macs_ratio", lambda row: row.macs),
    ComparisonColumn("peak_memory_bytes", _peak_memory_bytes),
    ComparisonColumn("peak_memory_ratio", _of_ratio("peak_memory", "mean")),
    ComparisonColumn("peak_memory_ratio_low", _of_ratio("peak_memory", "low")),
    ComparisonColumn("peak_memory_ratio_high", _of_ratio("peak_memory", "high")),
    ComparisonColumn("accuracy_to_reach", _time_to("accuracy")),
    ComparisonColumn("seconds_to_accuracy", _time_to("seconds")),
    ComparisonColumn("reached", _time_to("reached")),
    ComparisonColumn("reached_of", _time_to("trials")),
    ComparisonColumn("sentence", row_sentence),
)


def _name(row: ComparedRow) -> str:
    return f"{row.contender.name}{MARK if row.is_of_another_protocol else ''}"


def _accuracy_text(row: ComparedRow) -> str:
    accuracy = _accuracy(row)
    return NO_FIGURE if accuracy is None else f"{accuracy * 100:.2f}"


def _difference_text(row: ComparedRow) -> str:
    if row.is_reference:
        return "reference"
    return NO_FIGURE if row.difference is None else difference_text(row.difference)


def difference_text(difference: Difference) -> str:
    """A difference of accuracies in points, with its interval if it has one."""
    mean = difference.mean * 100
    # No number is a negative zero.
    text = f"{round(mean, 2) + 0.0:+.2f}"
    if difference.low is None or difference.high is None:
        return text
    low, high = difference.low * 100, difference.high * 100
    if math.isclose(high - mean, mean - low, abs_tol=0.005):
        return f"{text} ± {high - mean:.2f}"
    return f"{text} [{low:+.1f}, {high:+.1f}]"


def _p_value_text(row: ComparedRow) -> str:
    value = row.difference.p_value if row.difference else None
    if value is None:
        return NO_FIGURE
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _superiority_text(row: ComparedRow) -> str:
    value = row.difference.superiority if row.difference else None
    return NO_FIGURE if value is None else f"{value * 100:.0f}"


ACCURACY_COLUMN = ComparisonColumn("accuracy", _accuracy, "{}\nacc. (%)", _accuracy_text)
ACCURACY = (
    ComparisonColumn("model", lambda row: row.contender.name, "model", _name),
    ComparisonColumn(
        "seeds",
        lambda row: len(row.contender.seeds),
        "seeds",
        lambda row: str(len(row.contender.seeds)),
    ),
    ACCURACY_COLUMN,
    ComparisonColumn(
        "difference", _of_difference("mean"), "difference\n(points)", _difference_text
    ),
    ComparisonColumn("p_value", _of_difference("p_value"), "p", _p_value_text),
    ComparisonColumn("superiority", _of_difference("superiority"), "wins\n(%)", _superiority_text),
    ComparisonColumn(
        "rank",
        lambda row: row.rank and row.rank.best,
        "rank",
        lambda row: str(row.rank or NO_FIGURE),
    ),
)


def accuracy_columns(judged_by: str) -> list[ComparisonColumn]:
    """Those of the table of accuracies, whose header says which images they are of."""
    header = ACCURACY_COLUMN.header.format(judged_by)
    return [replace(c, header=header) if c is ACCURACY_COLUMN else c for c in ACCURACY]


def number_text(value: float) -> str:
    """A positive number with two or three digits, or as many as it has before the point."""
    if value >= 99_999.5:
        return f"{value:.2g}"
    if value >= 99.95:
        return f"{value:,.0f}"
    if value >= 9.995:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.0995 else f"{value:.2g}"


def ratio_text(ratio: Ratio | None) -> str:
    """How many times as much, with its interval if it has one."""
    if ratio is None:
        return NO_FIGURE
    if ratio.low is None or ratio.high is None:
        return number_text(ratio.mean)
    bounds = f"[{number_text(ratio.low)}, {number_text(ratio.high)}]"
    return f"{number_text(ratio.mean)} {bounds}"


def _epoch_text(row: ComparedRow) -> str:
    values = row.contender.epoch_seconds.values()
    if not row.is_reference:
        return ratio_text(row.epoch_seconds)
    return f"{number_text(statistics.geometric_mean(values))} s" if values else NO_FIGURE


def count_text(count: int) -> str:
    """A count with three digits."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size * 0.9995:
            return f"{number_text(count / size)} {unit}"
    return str(count)


def _params_text(row: ComparedRow) -> str:
    params = row.contender.params
    if not row.is_reference:
        return NO_FIGURE if row.params is None else number_text(row.params)
    return NO_FIGURE if params is None else count_text(params)


def _macs_text(row: ComparedRow) -> str:
    contender = row.contender
    if not row.is_reference:
        return NO_FIGURE if row.macs is None else number_text(row.macs)
    bound = "≥ " if contender.macs_is_lower_bound else ""
    return NO_FIGURE if contender.macs is None else f"{bound}{count_text(contender.macs)}"


def _peak_text(row: ComparedRow) -> str:
    values = row.contender.peak_memory_bytes.values()
    if not row.is_reference:
        return ratio_text(row.peak_memory)
    return f"{statistics.geometric_mean(values) / 2**20:,.0f} MiB" if values else NO_FIGURE


def _front_text(row: ComparedRow) -> str:
    return {True: "yes", False: "no", None: NO_FIGURE}[row.on_front]


COST = (
    ACCURACY[0],
    ComparisonColumn("epoch_seconds_ratio", _epoch_seconds, "epoch time", _epoch_text),
    ComparisonColumn("params_ratio", lambda row: row.contender.params, "params", _params_text),
    ComparisonColumn("macs_ratio", lambda row: row.contender.macs, "MACs", _macs_text),
    ComparisonColumn("peak_memory_ratio", _peak_memory_bytes, "peak memory", _peak_text),
    ComparisonColumn("on_front", lambda row: row.on_front, "on\nfront", _front_text),
)


def _time_to_text(row: ComparedRow) -> str:
    found = row.time_to
    if found is None or not found.trials:
        return NO_FIGURE
    return "not reached" if found.seconds is None else number_text(found.seconds)


def _reached_text(row: ComparedRow) -> str:
    found = row.time_to
    return f"{found.reached} of {found.trials}" if found and found.trials else NO_FIGURE


TIME_TO = (
    ACCURACY[0],
    ComparisonColumn("seconds_to_accuracy", _time_to("trials"), "median\n(s)", _time_to_text),
    ComparisonColumn("reached", _time_to("reached"), "reached\nby", _reached_text),
)
