"""What becomes of rows: of measurements that fail, in whatever way, and of those after them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from perf.gpu.rows import TABLE_HEAD, Results, make_row, shown, table_row
from tests.perf.gpu.command import (
    AS_SHORT_AS_CAN_BE,
    ROOT,
    environment,
    rows_in,
)
from tests.support.sampling import sampled

SCRIPT = r"""
import os, signal, sys, time
from pathlib import Path
from perf.gpu import processes
from perf.gpu.jobs import Job, Measurement, SkippedError
from perf.gpu.processes import Conductor
from perf.gpu.rows import Results


def raises():
    raise RuntimeError("CUDA error: a | b\nand more")


def skips():
    raise SkippedError("not here")


def breaks_in_set_up():
    yield Measurement("before", dict)
    raise LookupError("no such thing")


processes.LEAST_SECONDS = 0.5
ways = {
    "measures": lambda: {"pid": os.getpid(), "reason": "because"},
    "raises": raises,
    "skips": skips,
    "exits": lambda: sys.exit(3),
    "vanishes": lambda: os._exit(3),
    "is killed": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "hangs": lambda: time.sleep(600),
    "starts others": lambda: {"child": os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "600")},
}


def carry_out(budget, *names, seconds=60.0):
    out = Path("out")
    results = Results(out)
    conductor = Conductor(results, out / "log.txt", time.monotonic() + budget)
    job = Job("the job", seconds, lambda: iter([Measurement(n, ways[n]) for n in names]))
    conductor.carry_out("part", job)
    conductor.carry_out("part", Job("the next", 60.0, breaks_in_set_up))
"""


def carry_out(program: str) -> dict[str, dict[str, Any]]:
    """The rows of jobs of one's own, by what they are of."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + program],
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == Path("out/table.md").read_text()
    return {row["what"]: row for row in rows_in(Path("out"))}


def test_a_measurement_that_fails_is_a_row_with_its_reason_and_costs_no_other() -> None:
    names = ("raises", "skips", "exits", "vanishes", "is killed", "measures", "starts others")
    rows = carry_out(f"carry_out(100, *{names})")
    assert {name: (row["status"], row["reason"]) for name, row in rows.items()} == {
        "raises": ("failed", "RuntimeError: CUDA error: a | b"),
        "skips": ("skipped", "not here"),
        "exits": ("failed", "SystemExit: 3"),
        "vanishes": ("failed", "its process ended with exit code 3; see log.txt"),
        "is killed": ("failed", "its process ended by SIGSEGV; see log.txt"),
        "measures": ("measured", "because"),
        "starts others": ("measured", None),
        "before": ("measured", None),
        "the next": ("failed", "LookupError: no such thing"),
    }
    assert ", in raises\n" in Path("out/errors.txt").read_text()
    assert r"RuntimeError: CUDA error: a \| b |" in Path("out/table.md").read_text()
    assert has_ended(rows["starts others"]["figures"]["child"])


def has_ended(process: int) -> bool:
    """Whether a process that is not ours has ended, or soon does."""
    for _ in range(500):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_a_measurement_that_takes_too_long_costs_no_other() -> None:
    rows = carry_out("carry_out(100, 'hangs', 'measures', seconds=2.0)")
    assert (rows["hangs"]["status"], rows["hangs"]["reason"]) == (
        "failed",
        "it took longer than 2 s",
    )
    assert rows["measures"]["status"] == "measured"


def test_no_job_is_begun_when_the_time_is_up_and_each_has_a_row() -> None:
    rows = carry_out("carry_out(2, 'measures', 'hangs', 'skips')")
    assert {name: (row["status"], row["reason"]) for name, row in rows.items()} == {
        "measures": ("measured", "because"),
        "hangs": ("skipped", "cut off: the time is up"),
        "the next": ("skipped", "the time is up"),
    }


@pytest.mark.parametrize("number", sampled("stops", [signal.SIGINT, signal.SIGTERM], 1))
def test_a_command_that_is_stopped_ends_what_it_started_and_keeps_its_rows(number: int) -> None:
    command = [sys.executable, "-m", "perf.gpu", *AS_SHORT_AS_CAN_BE, "--out", "out"]
    with subprocess.Popen(
        [*command, "--parts", "machine", "depthwise"],
        env=environment(PYTHONPATH=str(ROOT)),
        stdout=subprocess.PIPE,
        text=True,
        # As a terminal does, also where the tests' own process ignores an interrupt.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout is not None
        while "versions" not in process.stdout.readline():
            pass
        process.send_signal(number)
        rest = process.stdout.read()
    assert process.returncode == 130
    rows = rows_in(Path("out"))
    assert rows[0]["what"] == "versions"
    assert len(rows) == 1 + len(rest.splitlines())
    # No process of it is left: all have its folder for their log.
    assert not any(is_of(folder, "out") for folder in Path("/proc").glob("[0-9]*"))


def is_of(process: Path, out: str) -> bool:
    try:
        return (
            f"--out\0{out}\0" in (process / "cmdline").read_text()
            and (process / "cwd").resolve() == Path.cwd()
        )
    except OSError:
        return False


def test_rows_are_read_again_but_for_one_that_was_cut_off(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Results(Path("out")).add(make_row("part", "first", "measured", {"seconds": 1.0}))
    with Path("out/rows.jsonl").open("a") as file:
        file.write('{"part": "cut')
    capsys.readouterr()
    Results(Path("out")).add(make_row("part", "second", "measured"))
    assert [row["what"] for row in rows_in(Path("out"))] == ["first", "second"]
    table = Path("out/table.md").read_text().splitlines()
    assert [line.split(" | ")[1] for line in table[2:]] == ["first", "second"]
    assert capsys.readouterr().out.splitlines() == [*TABLE_HEAD.splitlines(), table[-1]]


def test_a_row_has_medians_with_their_spread_and_stays_on_one_line() -> None:
    figures = {"seconds": [0.8, 0.93333, 0.9], "captured": True, "of_peak": None, "images": 50_000}
    row = make_row("part", "what", "measured", figures, "a | b\nc")
    assert table_row(row) == (
        "| part | what | measured | seconds 0.9 (0.8 to 0.9333), captured yes, of_peak -, "
        "images 50000 | a \\| b c |"
    )
    assert shown(["a", "b"]) == "['a', 'b']"
