"""The standard columns. Their names are the keys of ``--format json``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmark import NO_FIGURE, Column, hookimpl, three_digits

if TYPE_CHECKING:
    from benchmark import ModelSummary


# The distribution of benchmark itself.
CORE = "benchmark-models"


def _seeds(summary: ModelSummary) -> list[int]:
    """The seeds that the figures stand for: those of the completed trials."""
    return [record.seed for record in summary.completed]


def _versions(summary: ModelSummary) -> dict[str, list[str]]:
    """The versions of all that the trials were trained with; several where trials differ."""
    found: dict[str, dict[str, None]] = {}
    for record in summary.records:
        core = {CORE: record.core_version}
        for name, version in {**record.origin.versions, **core}.items():
            found.setdefault(name, {})[version] = None
    return {name: [*versions] for name, versions in sorted(found.items())}


def _params(summary: ModelSummary) -> int | None:
    return summary.constant(lambda record: record.params.total if record.params else None)


def _trainable_params(summary: ModelSummary) -> int | None:
    return summary.constant(lambda record: record.params.trainable if record.params else None)


def _macs(summary: ModelSummary) -> int | None:
    return summary.constant(lambda record: record.macs)


def _macs_text(summary: ModelSummary) -> str:
    macs = _macs(summary)
    if macs is None:
        return NO_FIGURE
    return f"{'≥ ' if _macs_is_lower_bound(summary) else ''}{macs / 1e6:,.2f}"


def _macs_is_lower_bound(summary: ModelSummary) -> bool | None:
    return summary.constant(lambda record: record.macs is not None and record.macs_is_lower_bound)


def _test_accuracy(summary: ModelSummary) -> float | None:
    return summary.test_accuracy.mean if summary.test_accuracy else None


def _test_accuracy_low(summary: ModelSummary) -> float | None:
    return summary.test_accuracy.low if summary.test_accuracy else None


def _test_accuracy_high(summary: ModelSummary) -> float | None:
    return summary.test_accuracy.high if summary.test_accuracy else None


def _largest_class_share(summary: ModelSummary) -> float | None:
    return summary.constant(lambda record: record.dataset.largest_class_share)


def _rank(summary: ModelSummary) -> list[int] | None:
    return [summary.rank.best, summary.rank.worst] if summary.rank else None


def _rank_text(summary: ModelSummary) -> str:
    return str(summary.rank) if summary.rank else NO_FIGURE


def _test_accuracy_text(summary: ModelSummary) -> str:
    return summary.test_accuracy.text(in_percent=True) if summary.test_accuracy else NO_FIGURE


def _epoch_seconds_text(summary: ModelSummary) -> str:
    return NO_FIGURE if summary.epoch_seconds is None else three_digits(summary.epoch_seconds)


def _peak_memory_text(summary: ModelSummary) -> str:
    peak = summary.peak_memory_bytes
    return NO_FIGURE if peak is None else f"{peak / 2**20:,.0f}"


def _status_text(summary: ModelSummary) -> str:
    completed = len(summary.completed)
    if summary.planned > 1 and completed:
        return f"{completed}/{summary.planned} ok"
    return summary.status


@hookimpl
def benchmark_columns() -> Iterator[Column]:
    """Offer the columns, in the order in which they stand."""
    yield Column("model", "model", lambda summary: summary.label)
    yield Column("params", "params", _params, "lower")
    yield Column("macs", "MACs\n(M)", _macs, "lower", _macs_text)
    yield Column(
        "test_accuracy",
        "test\nacc. (%)",
        _test_accuracy,
        "higher",
        _test_accuracy_text,
        shown=False,
    )
    yield Column("rank", "rank", _rank, "lower", _rank_text, needs_rank=True)
    yield Column(
        "epoch_seconds", "epoch\n(s)", lambda s: s.epoch_seconds, "lower", _epoch_seconds_text
    )
    yield Column(
        "peak_memory_bytes",
        "peak\n(MiB)",
        lambda summary: summary.peak_memory_bytes,
        "lower",
        _peak_memory_text,
    )
    yield Column("status", "status", lambda summary: summary.status, text=_status_text)
    yield Column("trainable_params", "trainable", _trainable_params, "lower", shown=False)
    yield Column("test_accuracy_low", "acc.\nfrom", _test_accuracy_low, "higher", shown=False)
    yield Column("test_accuracy_high", "acc.\nto", _test_accuracy_high, "higher", shown=False)
    yield Column(
        "largest_class_share", "largest\nclass (%)", _largest_class_share, "lower", shown=False
    )
    yield Column(
        "beats_largest_class",
        "beats\nlargest class",
        lambda summary: summary.beats_largest_class,
        shown=False,
    )
    yield Column("entry", "entry", lambda summary: summary.variant.entry, shown=False)
    yield Column("options", "options", lambda summary: summary.variant.options, shown=False)
    yield Column("identity", "identity", lambda summary: summary.variant.identity, shown=False)
    yield Column("versions", "versions", _versions, shown=False)
    yield Column("seeds", "seeds", _seeds, shown=False)
    yield Column("macs_is_lower_bound", "MACs are\na bound", _macs_is_lower_bound, shown=False)
