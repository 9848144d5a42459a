"""``benchmark compare --fail-if``: exit codes, and what is said of each gate in each row."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from benchmark.analysis import parse_gate
from benchmark.analysis.gated import FIGURES
from benchmark.records import ParameterCount
from tests.conftest import CommandLine, Result, only_error
from tests.docs.test_docs import ROOT, blocks, keys, sections
from tests.support.made_records import (
    IDENTITY,
)
from tests.support.made_runs import MadeRun

# What tells the code of a row from that of its namesake.
OTHER = IDENTITY[::-1]
SOUND = (0.750, 0.752, 0.748)
WORSE = (0.700, 0.702, 0.698)
DROP = "accuracy drops by 0.5"


@pytest.fixture
def compare(benchmark: CommandLine) -> Any:
    """Compare the run ``head`` with the run ``base``, by gates; options may come after them."""

    def call(*gates: str, options: Sequence[str] = ()) -> Result:
        fail_if = [argument for gate in gates for argument in ("--fail-if", gate)]
        return benchmark("compare", "head", "--against", "base", *fail_if, *options)

    return call


def said(result: Result) -> list[str]:
    return [line for line in result.out.splitlines() if line.startswith("gate ")]


def only_reason(result: Result, code: int) -> str:
    """What the one line about the one gate says, where the command ended with that code."""
    assert result.code == code, result
    (line,) = said(result)
    outcome = {0: "holds", 1: "fails", 3: "cannot tell"}[code]
    _, found, reason = line.partition(f"' {outcome}: ")
    assert found, line
    return reason


@pytest.mark.parametrize(
    ("accuracies", "code", "start"),
    [
        ((0.70, 0.702, 0.698), 1, "head:alpha dropped by 5.00 points (4."),
        ((0.80, 0.802, 0.798), 0, "head:alpha grew by 5.00 points (4."),
        ((0.743, 0.745, 0.741), 3, "head:alpha dropped by 0.70 points (0."),
        # At the bound itself.
        ((0.745, 0.747, 0.743), 3, "head:alpha dropped by 0.50 points (0."),
    ],
)
def test_a_gate_fails_holds_or_cannot_be_told(
    compare: Any, accuracies: Sequence[float], code: int, start: str
) -> None:
    MadeRun("base").row("alpha", *SOUND)
    MadeRun("head").row("alpha", *accuracies, identity=OTHER)
    assert only_reason(compare(DROP), code).startswith(start)
    assert compare().code == 0


def test_one_failure_comes_before_doubts_and_doubts_before_what_holds(compare: Any) -> None:
    MadeRun("base").row("alpha", *SOUND)
    MadeRun("head").row("alpha", *WORSE, identity=OTHER)
    holds, fails, doubtful = "params grows by 0%", DROP, "accuracy drops by 5"
    assert [compare(gate).code for gate in (holds, doubtful, fails)] == [0, 3, 1]
    assert compare(holds, doubtful).code == 3
    result = compare(doubtful, fails, holds)
    assert result.code == 1
    assert [line.split("'")[1] for line in said(result)] == [doubtful, fails, holds]


def test_every_figure_has_a_gate(compare: Any) -> None:
    MadeRun("base").row("alpha", *SOUND, seconds=(2.0, 2.1, 1.9))
    MadeRun("head").row(
        "alpha",
        *SOUND,
        seconds=(2.4, 2.5, 2.6),
        identity=OTHER,
        params=ParameterCount(total=2_000_000, trainable=1_000_000, buffers=0),
        macs=55_150_001,
        peak_memory_bytes=2**31,
    )
    result = compare(
        "epoch_seconds grows by 5%",
        "params grows by 70%",
        "trainable_params drops by 14%",
        "macs grows by 0%",
        "peak_memory_bytes grows by 99.9%",
    )
    assert result.code == 1
    seconds, params, trainable, macs, memory = said(result)
    assert "' fails: head:alpha grew by 25.0 % (12" in seconds
    assert params.endswith("fails: head:alpha grew from 1,172,410 to 2,000,000, by 70.6 %")
    assert trainable.endswith("fails: head:alpha dropped from 1,172,410 to 1,000,000, by 14.7 %")
    assert macs.endswith("fails: head:alpha grew from 55,150,000 to 55,150,001, by 0.0 %")
    # No seed has another, so there is no doubt.
    assert memory.endswith("fails: head:alpha grew from 1,073,741,824 to 2,147,483,648, by 100.0 %")


ONE_MACHINE, ANOTHER = ({"processor": name, "threads": 2} for name in ("P", "Q"))


@pytest.mark.parametrize(
    ("gate", "row", "reason"),
    [
        (
            DROP,
            {"accuracies": (0.1,)},
            "head:alpha has only one seed, so its spread is unknown; train 2 or more each",
        ),
        (
            "epoch_seconds grows by 5%",
            {"seconds": (None, None, None)},
            "no completed trial of head:alpha has a figure for epoch_seconds",
        ),
        (
            "epoch_seconds grows by 5%",
            {"seconds": (9.0, None, None)},
            "head:alpha has only one seed",
        ),
        (
            "epoch_seconds grows by 5%",
            {"seconds": (9.0, 9.1, 8.9), "environment": ANOTHER},
            "head:alpha and base:alpha were trained on different machines",
        ),
        (
            "peak_memory_bytes grows by 5%",
            {"peak_memory_bytes": 2**40, "device": "cuda:0"},
            "head:alpha and base:alpha were trained on different machines",
        ),
        (
            "macs grows by 5%",
            {"macs": 10**12, "macs_is_lower_bound": True},
            "of the MACs of head:alpha only a lower bound is known",
        ),
        ("macs grows by 5%", {"macs": None}, "no completed trial of head:alpha has a figure for m"),
    ],
)
def test_what_the_data_do_not_show_cannot_be_told(
    compare: Any, gate: str, row: dict[str, Any], reason: str
) -> None:
    MadeRun("base").row("alpha", *SOUND, environment=ONE_MACHINE)
    accuracies = row.pop("accuracies", SOUND)
    changes = {"environment": ONE_MACHINE, "identity": OTHER, **row}
    MadeRun("head").row("alpha", *accuracies, **changes)
    assert only_reason(compare(gate), 3).startswith(reason)


@pytest.mark.parametrize("gate", [DROP, "params grows by 0%", "epoch_seconds grows by 5%"])
def test_a_label_without_completed_trials_cannot_be_told_on_either_side(
    compare: Any, gate: str
) -> None:
    MadeRun("base").row("alpha", *SOUND).failed("beta")
    MadeRun("head").row("beta", *SOUND, identity=OTHER).failed("alpha")
    result = compare(gate)
    assert result.code == 3
    assert sorted(line.partition(": ")[2] for line in said(result)) == [
        "base:beta has no completed trial",
        "head:alpha has no completed trial",
    ]


def test_a_row_without_a_namesake_is_not_passed_over(compare: Any) -> None:
    MadeRun("base").row("alpha", *SOUND)
    MadeRun("head").row("alpha", *SOUND).row("beta", 0.1, 0.1, 0.1)
    result = compare("params grows by 5%")
    assert result.code == 3
    assert said(result)[1].endswith("cannot tell: beta has no namesake to be compared with")


def test_rows_of_different_protocols_are_not_judged(compare: Any) -> None:
    MadeRun("base").row("alpha", *SOUND)
    MadeRun("head", batch_size=20).row("alpha", 0.1, 0.1, 0.1)
    for options in ([], ["--allow-mixed"]):
        reason = only_reason(compare(DROP, options=options), 3)
        assert reason == "head:alpha and base:alpha were trained under different protocols"


def test_the_same_code_with_the_same_answers_holds(compare: Any) -> None:
    MadeRun("base").row("alpha", *SOUND)
    MadeRun("head").row("alpha", *SOUND)
    assert only_reason(compare("accuracy drops by 0"), 0) == (
        "head:alpha has the code of base:alpha, and gave the same answers"
    )


def test_within_one_run_all_others_are_compared_with_a_label(benchmark: CommandLine) -> None:
    MadeRun("run").row("alpha", *SOUND).row("beta", *WORSE).row("gamma", *SOUND)
    result = benchmark("compare", "run", "--against", "alpha", "--fail-if", "accuracy drops by 2")
    assert result.code == 1
    assert [line.partition("by 2' ")[2][:24] for line in said(result)] == [
        "fails: beta dropped by 5",
        "holds: gamma grew by 0.0",
    ]


@pytest.mark.parametrize("format", ["json", "csv"])
def test_what_is_for_programs_stays_so(compare: Any, format: str) -> None:
    MadeRun("base").row("alpha", *SOUND)
    MadeRun("head").row("alpha", *WORSE, identity=OTHER)
    result = compare(DROP, options=["--format", format])
    assert result.code == 1
    (line,) = result.err.splitlines()
    assert line.startswith(f"benchmark: gate '{DROP}' fails: head:alpha dropped")
    assert result.out == compare(options=["--format", format]).out
    if format == "json":
        assert len(json.loads(result.out)) == 2


@pytest.mark.parametrize(
    ("format", "start"), [("github", "- gate "), ("latex", "% gate "), ("html", "<li>gate ")]
)
def test_each_format_for_people_has_a_line_for_each_gate(
    compare: Any, format: str, start: str
) -> None:
    MadeRun("base").row("alpha", *SOUND)
    MadeRun("head").row("alpha", *WORSE, identity=OTHER)
    result = compare(DROP, "params grows by 5%", options=["--format", format])
    assert (result.code, result.err) == (1, "")
    assert len([line for line in result.out.splitlines() if line.startswith(start)]) == 2


def test_a_mistake_is_found_before_the_runs_are_read(benchmark: CommandLine) -> None:
    error = only_error(benchmark("compare", "none", "--against", "b", "--fail-if", "acuracy drops"))
    assert "--fail-if 'acuracy drops': no figure 'acuracy'" in error
    error = only_error(benchmark("compare", "none", "--fail-if", DROP))
    assert "--fail-if: needs --against" in error


# The page about gates


def test_the_page_has_every_figure_and_lines_as_they_are() -> None:
    page = (ROOT / "docs" / "gates.md").read_text(encoding="utf-8")
    assert keys(sections(page)["How a gate is written"]) == list(FIGURES)
    (lines,) = blocks(page, "text")
    for line in lines.splitlines():
        _, gate, found = line.split("'")
        parse_gate(gate)
        assert re.match(r" (fails|holds|cannot tell): head:separable_cnn (dropped|stayed)", found)
