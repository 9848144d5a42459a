"""Where a trial is, as it is told while it trains; the training does not notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.display.status import ACTIVITIES
from benchmark.display.training_display import TrainingDisplay
from benchmark.events import TrialEvent
from benchmark.trial import progress as trial_progress
from tests.conftest import CommandLine
from tests.support.tiny import CONFIG, PLUGIN
from tests.support.trial_files import figures, trial_record

STEPS = 4
SLOW = PLUGIN.replace(
    "    return nn.Sequential(",
    """    class Slow(nn.Sequential):
        def forward(self, pixels):
            time.sleep(0.02)
            return super().forward(pixels)

    return Slow(""",
).replace("from torch", "import time\nfrom torch")


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[TrialEvent]:
    """What the display is told."""
    told: list[TrialEvent] = []
    report = TrainingDisplay.report

    def note(display: TrainingDisplay, event: TrialEvent) -> None:
        told.append(event)
        report(display, event)

    monkeypatch.setattr(TrainingDisplay, "report", note)
    return told


def test_a_trial_says_where_it_is_and_trains_as_if_it_did_not(
    benchmark: CommandLine, events: list[TrialEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("slow.py").write_text(SLOW)
    Path("slow.yaml").write_text(CONFIG.replace("seeds: 2", "seeds: 1"))
    run = ("run", "slow.yaml", "-p", "slow.py", "-m", "tiny")
    monkeypatch.setattr(trial_progress, "PROGRESS_SECONDS", 0.005)
    assert benchmark(*run, "--out", "told").code == 0
    assert events[-1].record is not None
    progress = [event.progress for event in events if event.progress is not None]
    places = [(at.epoch, at.steps) for at in progress]
    assert places == sorted(places)
    assert {epoch for epoch, _ in places} == {0, 1, 2}
    assert {at.part for at in progress} <= {"training", *ACTIVITIES}
    in_second_epoch = {
        at.steps: at.seconds for at in progress if at.epoch == 2 and at.part == "training"
    }
    assert len(in_second_epoch) > 2
    assert max(in_second_epoch) <= STEPS
    for steps, seconds in in_second_epoch.items():
        assert seconds >= 0.02 * steps
    events.clear()
    monkeypatch.setattr(trial_progress, "PROGRESS_SECONDS", 3600.0)
    assert benchmark(*run, "--out", "untold").code == 0
    assert not any(event.progress for event in events)
    told, untold = (trial_record("tiny", out=out) for out in ("told", "untold"))
    assert figures(told) == figures(untold)
    assert told["correct"] == untold["correct"]
