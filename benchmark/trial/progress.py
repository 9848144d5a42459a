"""Where a trial is, reported about once a second from a thread of its own.

The training is not disturbed: what is reported it notes anyway, and nothing waits for the device.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from benchmark.events import (
    TrialEvent,
    TrialProgress,
)
from benchmark.specs import TrialSpec
from benchmark.trial.findings import Findings

PROGRESS_SECONDS = 1.0


@contextmanager
def reporting_progress(
    spec: TrialSpec, findings: Findings, report: Callable[[TrialEvent], None]
) -> Iterator[None]:
    """Report the trial's progress for as long as the context lasts."""
    left = threading.Event()

    def report_progress() -> None:
        # Whoever has left the pipe has no use for more of it.
        with suppress(BrokenPipeError):
            while not left.wait(PROGRESS_SECONDS):
                report(TrialEvent(trial=spec.key, progress=_progress(findings)))

    reporter = threading.Thread(target=report_progress, name="progress", daemon=True)
    reporter.start()
    try:
        yield
    finally:
        left.set()
        # Nothing is to be reported of a trial that has ended.
        reporter.join()


def _progress(findings: Findings) -> TrialProgress:
    position = findings.progress.read()
    return TrialProgress(part=findings.account.part, **position._asdict())
