"""What is said while trials are at work."""

from __future__ import annotations

import fcntl
import io
import itertools
import os
import pty
import re
import struct
import termios
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given, strategies as st
from rich.cells import cell_len
from rich.console import Console

from benchmark.display.displays import QUIET_SECONDS, WHOLE, PlainDisplay
from benchmark.display.live_lines import LiveLines, fit
from benchmark.display.status import TrialStatus, Work, in_full
from benchmark.display.training_display import TrainingDisplay
from benchmark.events import (
    TrialEvent,
    TrialProgress,
)
from benchmark.printable import three_digits
from benchmark.training.epoch_progress import EpochProgress
from tests.support.command_process import start
from tests.support.made_records import PROTOCOL, make_epoch, make_record, make_spec

STEPS = PROTOCOL.steps_per_epoch


def in_step(steps: int, epoch: int = 1, part: str = "training") -> TrialProgress:
    """After so many steps of half a second."""
    return TrialProgress(part=part, epoch=epoch, steps=steps, seconds=steps / 2)


def test_the_time_left_is_shared_by_the_trials_at_work() -> None:
    """Of two epochs each, 2.5 s long."""
    alpha, beta = make_spec("alpha"), make_spec("beta")
    display = TrainingDisplay(PlainDisplay(), [alpha, beta])
    for spec in (alpha, beta):
        display.report(TrialEvent(trial=spec.key))
    assert display.seconds_left() is None
    display.report(TrialEvent(trial=alpha.key, epoch=make_epoch(1)))
    assert display.seconds_left() == pytest.approx((1 + 2) * 2.5 / 2)
    display.report(TrialEvent(trial=alpha.key, progress=in_step(STEPS // 2, epoch=2)))
    assert display.seconds_left() == pytest.approx((0.5 + 2) * 2.5 / 2)
    display.report(TrialEvent(trial=alpha.key, epoch=make_epoch(2)))
    display.report(TrialEvent(trial=alpha.key, record=make_record("alpha")))
    assert display.seconds_left() == pytest.approx(2 * 2.5)


def test_before_the_first_epoch_the_time_left_is_what_its_steps_say() -> None:
    alpha = make_spec("alpha")
    display = TrainingDisplay(PlainDisplay(), [alpha])
    display.report(TrialEvent(trial=alpha.key, progress=in_step(4)))
    assert display.seconds_left() == pytest.approx((PROTOCOL.epochs * STEPS - 4) / 2)


# In a log.


class Log(PlainDisplay):
    """A display by a clock of its own, and what it has printed when."""

    def __init__(self) -> None:
        self.now = self.began = time.monotonic()
        self.lines: list[tuple[float, str]] = []
        super().__init__(lambda: self.now)

    def say(self, line: str) -> None:
        self.lines.append((self.now, line))
        super().say(line)

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1
            self.tick()

    @property
    def longest_silence(self) -> float:
        times = [self.began, *(when for when, _ in self.lines), self.now]
        return max(after - before for before, after in itertools.pairwise(times))


def test_a_log_has_a_line_a_minute_whatever_goes_on() -> None:
    log = Log()
    log.put(WHOLE, Work("preparing"))
    log.wait(200)
    assert log.lines[0][1].startswith("preparing  0:")
    training = TrainingDisplay(log, [make_spec()])
    log.wait(200)
    assert re.fullmatch(r"training  0 of 2 epochs  .* elapsed", log.lines[-1][1])
    for activity in (
        TrialProgress(part="setup", epoch=0, steps=0, seconds=0),
        in_step(3),
        in_step(STEPS, part="evaluation"),
    ):
        training.report(TrialEvent(trial=make_spec().key, progress=activity))
        log.wait(200)
    told = [line for _, line in log.lines]
    assert any(re.match("alpha seed 0  being set up  .* elapsed", line) for line in told)
    assert any(re.match("alpha seed 0  epoch 1/2  step 3/10  500 ms/step  ", line) for line in told)
    assert any(re.match("alpha seed 0  epoch 1/2  evaluating  ", line) for line in told)
    assert QUIET_SECONDS <= log.longest_silence <= 60


def test_each_trial_in_a_long_epoch_has_a_line_a_minute() -> None:
    """Also where another's short epochs fill the log."""
    log = Log()
    short, long = make_spec("short"), make_spec("long")
    training = TrainingDisplay(log, [short, long])
    training.report(TrialEvent(trial=long.key, progress=in_step(1)))
    for _ in range(20):
        training.report(TrialEvent(trial=short.key, epoch=make_epoch(1)))
        log.wait(10)
    log.lines = [(when, line) for when, line in log.lines if line.startswith("long")]
    assert QUIET_SECONDS <= log.longest_silence <= 60


def test_epochs_that_are_short_have_one_line_each() -> None:
    log = Log()
    training = TrainingDisplay(log, [make_spec()])
    for epoch in (1, 2):
        for step in range(STEPS):
            training.report(TrialEvent(trial=make_spec().key, progress=in_step(step, epoch)))
            log.wait(4)
        training.report(TrialEvent(trial=make_spec().key, epoch=make_epoch(epoch)))
    assert [line.partition("  ")[2][:9] for _, line in log.lines] == ["epoch 1/2", "epoch 2/2"]


@given(st.lists(st.floats(1e-9, 1e9), min_size=2, max_size=2).map(sorted))
def test_a_time_has_three_digits_and_is_never_nothing(times: list[float]) -> None:
    shorter, longer = (float(three_digits(seconds).replace(",", "")) for seconds in times)
    assert 0 < shorter <= longer
    assert shorter == pytest.approx(times[0], rel=0.005)


def test_an_epoch_that_is_short_has_its_time() -> None:
    log = Log()
    training = TrainingDisplay(log, [make_spec()])
    for epoch, seconds in ((1, 0.15), (2, 12.34)):
        training.report(TrialEvent(trial=make_spec().key, epoch=make_epoch(epoch, seconds=seconds)))
    (_, short), (_, long) = log.lines
    assert "  0.150 s 15.0 ms/step  " in short
    assert "  12.3 s 1,234 ms/step  " in long
    brief = TrialProgress(part="training", epoch=1, steps=STEPS, seconds=STEPS * 0.000384)
    status = TrialStatus(make_spec(), progress=None)
    status.hear(brief)
    assert "  0.384 ms/step  " in in_full(status, status.began)


# On a terminal.


def status_of(model: str, seed: int, steps: int | None) -> TrialStatus:
    status = TrialStatus(make_spec(model, seed), epoch_seconds=100.0)
    if steps is not None:
        status.hear(in_step(steps))
    return status


@given(
    status=st.builds(
        status_of, st.text(), st.integers(0, 10**6), st.none() | st.integers(0, STEPS)
    ),
    width=st.integers(0, 200),
    silent_seconds=st.floats(0, 1e6),
)
def test_a_status_fits_every_width(status: TrialStatus, width: int, silent_seconds: float) -> None:
    now = status.heard + silent_seconds
    assert cell_len(fit(status, width, now)) <= width
    whole = "".join(filter(str.isprintable, in_full(status, now)))
    assert cell_len(whole) > width or fit(status, width, now) == whole


def test_what_matters_less_goes_first() -> None:
    status = status_of("separable_cnn", 3, 7)
    now = status.began + 83
    status.heard = now
    assert fit(status, 100, now) == (
        "separable_cnn seed 3  epoch 1/2  step 7/10  500 ms/step  1:23 elapsed  2 min left"
    )
    assert fit(status, 58, now) == "separable_cnn seed 3  epoch 1/2  step 7/10  2 min left"
    assert fit(status, 39, now) == "separable_cnn seed 3  epoch 1/2"
    assert fit(status, 19, now) == "separa..  epoch 1/2"


SLOW = """
import time
from torch import nn
from benchmark import ModelEntry, hookimpl

class Slow(nn.Sequential):
    def forward(self, pixels):
        time.sleep(0.04)
        return super().forward(pixels)

def build(input_shape, num_classes):
    return Slow(nn.Flatten(), nn.LazyLinear(num_classes))

@hookimpl
def benchmark_models():
    yield ModelEntry("slow", build)
    yield ModelEntry("other", build)
"""
CONFIG = """
name: slow
dataset: {name: synthetic, train_images: 1000, test_images: 20, size: 8}
models: [slow, other]
epochs: 1
batch_size: 10
precision: fp32
device: cpu
executor: {name: local, jobs: 2, share_device: true}
"""


def set_width(terminal: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


def read(terminal: int) -> str:
    try:
        return os.read(terminal, 2**16).decode(errors="replace")
    except OSError:
        # That is how Linux tells that nobody holds the other end any more.
        return ""


def steps_shown(model: str, drawn: str) -> list[int]:
    line = rf"{model} seed 0  epoch 1/1  step (\d+)/100  [\d.]+ ms/step  \d:\d\d elapsed"
    return [*map(int, re.findall(line, drawn))]


def test_a_terminal_shows_steps_and_survives_being_resized() -> None:
    """Lines are drawn over each other as long as none is wider than the terminal."""
    Path("slow.py").write_text(SLOW)
    Path("slow.yaml").write_text(CONFIG)
    ours, theirs = pty.openpty()
    set_width(ours, 100)
    command = ("run", "slow.yaml", "-p", "slow.py")
    # A shell may have exported a width that was right once.
    environment = {"TERM": "xterm", "COLUMNS": "200"}
    with start(*command, stderr=theirs, environment=environment) as run:
        os.close(theirs)
        wide = narrow = ""
        while min(len({*steps_shown(model, wide)}) for model in ("slow", "other")) < 3:
            wide += (more := read(ours))
            assert more, wide
        set_width(ours, 40)
        while more := read(ours):
            narrow += more
        assert run.wait() == 0, narrow
    os.close(ours)
    for model in ("slow", "other"):
        assert steps_shown(model, wide) == sorted(steps_shown(model, wide))
    # The first of them may have been under way.
    drawings = narrow.split("\x1b[?7l")[2:]
    assert len(drawings) > 2
    for drawing in drawings:
        lines, drawn, _ = drawing.partition("\x1b[?7h")
        assert drawn
        *text, back = lines.split("\r")
        assert max(cell_len(line.strip("\n")) for line in text) < 40
        # So the cursor is where the first line begins.
        assert back == (f"\x1b[{len(text) - 1}A" if len(text) > 1 else "")
    assert "\x1b[?25h" in narrow


class Event:
    """An event of a device that has come as far as a test says."""

    steps_done = 0
    recorded = 0

    def record(self, stream: None) -> None:
        Event.recorded += 1
        self.number = Event.recorded

    def query(self) -> bool:
        return self.number <= Event.steps_done


def test_steps_that_a_gpu_has_not_finished_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    progress = EpochProgress(torch.device("cuda"))
    taken: list[int] = []
    progress.take(taken.append, 60, epoch=3)
    assert sum(taken) == 60
    shown = []
    for Event.steps_done in (0, 1, 59, 60):
        shown.append((progress.read().epoch, progress.read().steps))
    assert shown == [(3, 0), (3, 1), (3, 59), (3, 60)]


def test_once_an_epoch_is_finished_no_gpu_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread's question would end the capture of a graph."""
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    progress = EpochProgress(torch.device("cuda"))
    progress.take(lambda count: None, 60, epoch=3)
    progress.finish()
    monkeypatch.setattr(Event, "query", lambda event: pytest.fail("asked"))
    assert progress.read()[:2] == (3, 60)


@given(st.integers(1, 5000))
def test_an_epoch_in_parts_has_all_its_steps(steps: int) -> None:
    progress = EpochProgress(torch.device("cpu"))
    taken: list[int] = []
    progress.take(taken.append, steps, epoch=1)
    assert (sum(taken), progress.read().steps) == (steps, steps)
    assert len(taken) <= 100


def test_a_line_that_stays_cannot_act_on_the_terminal() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, highlight=False, width=80)
    LiveLines(console).say("x\x1b[2J\x1b]0;title\x07\ny[/bold]")
    assert screen.getvalue() == "x\\u001b[2J\\u001b]0;title\\u0007\\ny[/bold]\n"
