"""What is said while trials are at work."""

from __future__ import annotations

import pytest

from benchmark.cli.display import PlainDisplay, TrainingDisplay
from benchmark.records import TrialEvent
from tests.made_records import make_epoch, make_record, make_spec


def test_the_time_left_is_shared_by_the_trials_at_work() -> None:
    """Of two epochs each, 2.5 s long."""
    alpha, beta = make_spec("alpha"), make_spec("beta")
    display = TrainingDisplay(PlainDisplay(), [alpha, beta])
    for spec in (alpha, beta):
        display.report(TrialEvent(spec=spec))
    display.report(TrialEvent(spec=alpha, epoch=make_epoch(1)))
    assert display.seconds_left() == pytest.approx((1 + 2) * 2.5 / 2)
    display.report(TrialEvent(spec=alpha, epoch=make_epoch(2)))
    display.report(TrialEvent(spec=alpha, record=make_record("alpha")))
    assert display.seconds_left() == pytest.approx(2 * 2.5)
