"""Trials one after another in this process: the simplest executor, and the easiest to debug."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence

from benchmark import (
    BenchmarkError,
    CaptureError,
    ExecutorEntry,
    Options,
    TrialEvent,
    TrialRecord,
    TrialSpec,
    hookimpl,
)
from benchmark.trial import run_trial

from .local import LocalExecutor, LocalOptions


class InlineExecutor:
    """Carries trials out in the calling process."""

    def run(
        self, specs: Sequence[TrialSpec], report: Callable[[TrialEvent], None]
    ) -> Iterator[TrialRecord]:
        """Yield each trial's record as it ends; one that is interrupted is the last.

        Where a capture fails half way, this process can train nothing more: that trial and the
        others go on in processes of their own. Raises BenchmarkError where they cannot.
        """
        for number, spec in enumerate(specs):
            record = _record_or_reason(spec, report)
            if isinstance(record, str):
                # What the failed capture held of the GPU's memory is wanted there now.
                gc.collect()
                left = [spec.without_graph(record), *specs[number + 1 :]]
                yield from LocalExecutor(LocalOptions(jobs=1)).run(left, report)
                return
            yield record
            if record.status == "interrupted":
                return


def _record_or_reason(spec: TrialSpec, report: Callable[[TrialEvent], None]) -> TrialRecord | str:
    """A trial's record, or why it has to be carried out again elsewhere."""
    try:
        return run_trial(spec, report)
    except CaptureError as error:
        _require_portable(spec, error)
        return str(error)


def _require_portable(spec: TrialSpec, error: CaptureError) -> None:
    if not spec.is_portable:
        raise BenchmarkError(
            f"{spec.key}: capturing a step as a graph failed half way, after which this process "
            f"can train nothing more ({error}); restart Python, and engine='eager' trains without"
        ) from error


def create(options: Options) -> InlineExecutor:
    """Make the executor; it has no options."""
    del options
    return InlineExecutor()


@hookimpl
def benchmark_executors() -> Iterator[ExecutorEntry]:
    """Offer the executor."""
    yield ExecutorEntry("inline", create, "in this process, one after another")
