"""Trials one after another in this process: the simplest executor, and the easiest to debug."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from benchmark import ExecutorEntry, Options, TrialEvent, TrialRecord, TrialSpec, hookimpl
from benchmark.trial import run_trial


class InlineExecutor:
    """Carries trials out in the calling process."""

    def run(
        self, specs: Sequence[TrialSpec], report: Callable[[TrialEvent], None]
    ) -> Iterator[TrialRecord]:
        """Yield each trial's record as it ends; one that is interrupted is the last."""
        for spec in specs:
            record = run_trial(spec, report)
            yield record
            if record.status == "interrupted":
                return


def create(options: Options) -> InlineExecutor:
    """Make the executor; it has no options."""
    del options
    return InlineExecutor()


@hookimpl
def benchmark_executors() -> Iterator[ExecutorEntry]:
    """Offer the executor."""
    yield ExecutorEntry("inline", create, "in this process, one after another")
