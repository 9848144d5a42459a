"""What is said while trials are at work."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from benchmark.cli.display import BarDisplay, PlainDisplay, TrainingDisplay
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


def test_a_line_above_the_bar_cannot_act_on_the_terminal() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, highlight=False, width=80)
    with Progress(console=console, transient=True) as progress:
        BarDisplay(progress).say("x\x1b[2J\x1b]0;title\x07\ny[/bold]")
    assert "x\\u001b[2J\\u001b]0;title\\u0007\\ny[/bold]" in screen.getvalue()
    assert "\x1b[2J" not in screen.getvalue()
