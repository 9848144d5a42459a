"""Where a trial is, reported about once a second from a thread of its own.

The training is not disturbed: what is reported it notes anyway, and nothing waits for the device.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from benchmark.records import TrialEvent, TrialProgress, TrialSpec
from benchmark.trial.findings import Findings

PROGRESS_SECONDS = 1.0


@contextmanager
def reporting_progress(
    spec: TrialSpec, findings: Findings, report: Callable[[TrialEvent], None]
) -> Iterator[None]:
    """Report the trial's progress for as long as the context lasts."""
    left = threading.Event()

    def tell() -> None:
        # Whoever has left the pipe has no use for more of it.
        with suppress(BrokenPipeError):
            while not left.wait(PROGRESS_SECONDS):
                report(TrialEvent(trial=spec.key, progress=_progress(findings)))

    teller = threading.Thread(target=tell, name="progress", daemon=True)
    teller.start()
    try:
        yield
    finally:
        left.set()
        # Nothing is to be reported of a trial that has ended.
        teller.join()


def _progress(findings: Findings) -> TrialProgress:
    position = findings.progress.read()
    return TrialProgress(part=findings.account.part, **position._asdict())
