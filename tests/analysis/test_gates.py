"""Gates: how they are written, and what the data have to show before one fails or holds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy
import pytest
from hypothesis import given, strategies as st

from benchmark.analysis.changes import (
    AT_THE_BOUND,
    AccuracyChange,
    Change,
    RelativeChange,
    SettledChange,
    exact_change,
)
from benchmark.analysis.gated import FIGURES
from benchmark.analysis.gates import (
    GateError,
    Verdict,
    exit_code,
    judge,
    parse_gate,
)
from benchmark.analysis.outcomes import Outcomes

IMAGES = 2_000


def answers(*accuracies: float, images: int = IMAGES) -> Outcomes:
    """Seeds that agree on which images are difficult, but for those by which they differ."""
    ranks = numpy.arange(images)
    return Outcomes.of(numpy.stack([ranks < round(rate * images) for rate in accuracies]))


def accuracy(values: Sequence[float], reference: Sequence[float]) -> AccuracyChange:
    return AccuracyChange("alpha", answers(*values), answers(*reference))


def relative(values: Sequence[float], reference: Sequence[float]) -> RelativeChange:
    """Figures of other seeds, so that none are paired."""
    others = dict(enumerate(reference, start=len(values)))
    return RelativeChange("alpha", dict(enumerate(values)), others)


def counted(value: int, reference: int) -> SettledChange:
    return exact_change("alpha", Fraction(value), Fraction(reference))


def outcome(gate: str, change: Change) -> str:
    return verdict(gate, change).outcome


def verdict(gate: str, change: Change) -> Verdict:
    (found,) = judge(parse_gate(gate), {"alpha": change})
    assert str(found) == f"gate '{gate}' {found.outcome}: {found.reason}"
    return found


# How a gate is written


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("accuracy drops by 0.5", Fraction(-1, 200)),
        ("accuracy drops by .5 points", Fraction(-1, 200)),
        ("accuracy grows by 1 point", Fraction(1, 100)),
        ("  accuracy   drops by 0 ", Fraction(0)),
        ("epoch_seconds grows by 5%", Fraction(1, 20)),
        ("macs drops by 12.5 %", Fraction(-1, 8)),
        ("params grows by 250%", Fraction(5, 2)),
    ],
)
def test_a_gate_is_read(text: str, limit: Fraction) -> None:
    gate = parse_gate(text)
    assert gate.limit == limit
    assert gate.text == " ".join(text.split())


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("verb", ["drops", "grows"])
def test_every_figure_may_drop_or_grow(figure: str, verb: str) -> None:
    amount = "1" if figure == "accuracy" else "1%"
    assert abs(parse_gate(f"{figure} {verb} by {amount}").limit) == Fraction(1, 100)


FAULTS = {
    "": "a gate should be like",
    "acuracy drops by 1": "no figure 'acuracy' for a gate - did you mean 'accuracy'?",
    "test_accuracy drops by 1": "did you mean 'accuracy'?",
    "happiness drops by 1": "(there are: accuracy, epoch_seconds,",
    "accuracy": "should say",
    "accuracy drop by 1": "got 'drop' - did you mean 'drops'?",
    "accuracy shrinks by 1": "(there are: drops, grows)",
    "accuracy drops": "by how much",
    "accuracy drops by": "by how much",
    "accuracy drops 0.5": "by how much",
    "accuracy drops by much": "should be a number, got 'much'",
    "accuracy drops by nan": "should be a number, got 'nan'",
    "accuracy drops by inf": "should be a number, got 'inf'",
    "accuracy drops by -1": "should be 0 or more, got '-1'",
    "macs grows by -inf%": "should be 0 or more",
    "accuracy drops by 1e9": "cannot end in 'e9'",
    "accuracy drops by 0,5": "cannot end in ',5'",
    "accuracy drops by 0.5 or so": "cannot end in 'or so'",
    "accuracy drops by 5%": "compared in percentage points",
    "epoch_seconds grows by 5": "compared in per cent",
    "epoch_seconds grows by 5 points": "compared in per cent",
    "epoch_seconds grows by 5 s": "cannot end in 's'",
    "accuracy drops by 100": "should be below 100 points",
    "accuracy grows by 100": "should be below 100 points",
    "params drops by 100%": "should be below 100 %",
}


@pytest.mark.parametrize("text", FAULTS)
def test_a_fault_is_one_line_whose_example_is_a_gate(text: str) -> None:
    with pytest.raises(GateError) as caught:
        parse_gate(text)
    said = str(caught.value)
    assert FAULTS[text] in said
    assert said.startswith(repr(text))
    assert len(said.splitlines()) == 1
    for example in re.findall(
        r"'([a-z_]+ (?:drops|grows) by [^']+)'", said.removeprefix(repr(text))
    ):
        parse_gate(example)


@given(st.text("accurydropsby0123456789.,-+%e \n'\u0663\u2212\uff05"))
def test_no_other_text_is_an_amount(text: str) -> None:
    is_amount = re.fullmatch(r"(\d{0,9}\.)?\d{1,9}", text.strip(), re.ASCII)
    if is_amount and float(text) < 100:
        assert parse_gate(f"accuracy drops by {text}").figure == "accuracy"
        return
    with pytest.raises(GateError) as caught:
        parse_gate(f"accuracy drops by {text}")
    assert len(str(caught.value).splitlines()) == 1


# What the data have to show


@pytest.mark.parametrize(
    ("gate", "value", "reference", "expected"),
    [
        # At its bound a gate holds, also where no binary fraction is the bound.
        ("params grows by 5%", 105, 100, "holds"),
        ("params grows by 5%", 106, 100, "fails"),
        ("params grows by 0%", 100, 100, "holds"),
        ("params grows by 0%", 10_000_001, 10_000_000, "fails"),
        ("params grows by 5%", 50, 100, "holds"),
        ("macs drops by 30%", 70, 100, "holds"),
        ("macs drops by 30%", 69, 100, "fails"),
        ("trainable_params grows by 900%", 1, 0, "fails"),
        ("trainable_params drops by 0%", 1, 0, "holds"),
        ("trainable_params grows by 0%", 0, 0, "holds"),
    ],
)
def test_a_figure_that_no_seed_changes_is_never_in_doubt(
    gate: str, value: int, reference: int, expected: str
) -> None:
    assert outcome(gate, counted(value, reference)) == expected


def test_what_became_of_a_row_is_said_in_its_figures() -> None:
    assert str(verdict("params grows by 5%", counted(120_000, 98_887))) == (
        "gate 'params grows by 5%' fails: alpha grew from 98,887 to 120,000, by 21.4 %"
    )
    found = verdict("accuracy drops by 0.5", accuracy([0.701, 0.699, 0.7], [0.751, 0.749, 0.75]))
    assert found.outcome == "fails"
    assert re.fullmatch(r"alpha dropped by 5\.00 points \(4\.\d\d to 5\.\d\d\)", found.reason)
    found = verdict("accuracy drops by 0.5", accuracy([0.751, 0.749, 0.75], [0.701, 0.699, 0.7]))
    assert found.outcome == "holds"
    assert found.reason.startswith("alpha grew by 5.00 points (4.")
    found = verdict("epoch_seconds grows by 5%", relative([11, 11.1, 10.9], [10, 10.1, 9.9]))
    assert found.outcome == "fails"
    assert re.fullmatch(r"alpha grew by 10\.0 % \(7\.\d to 12\.\d\)", found.reason)


AMOUNTS = st.floats(0, 0.3)


@given(st.lists(st.floats(0.3, 0.7), min_size=2, max_size=4), AMOUNTS)
def test_a_gate_fails_only_beyond_the_interval_and_holds_only_within(
    values: list[float], amount: float
) -> None:
    change = accuracy(values, [0.49, 0.51])
    low, high = change.bounds(0.95)
    points = f"{100 * amount:.4f}"
    bound = float(points) / 100
    expected = "cannot tell"
    if high < -bound - 1e-9:
        expected = "fails"
    elif low >= -bound + 1e-9:
        expected = "holds"
    assert outcome(f"accuracy drops by {points}", change) == expected
    # The same the other way round.
    mirrored = AccuracyChange("alpha", change.reference, change.outcomes)
    assert outcome(f"accuracy grows by {points}", mirrored) == expected


def test_what_is_not_known_can_never_be_told() -> None:
    unknown = SettledChange(None, "alpha has no completed trial")
    for figure in FIGURES:
        amount = "0" if figure == "accuracy" else "0%"
        found = verdict(f"{figure} grows by {amount}", unknown)
        assert (found.outcome, found.reason) == ("cannot tell", "alpha has no completed trial")


def seeds_named(found: Verdict) -> int:
    match = re.search(r"; about ([\d,]+) seeds each would tell$", found.reason)
    assert match, found.reason
    return int(match[1].replace(",", ""))


def test_where_the_data_cannot_tell_so_many_seeds_would() -> None:
    gate = "epoch_seconds grows by 5%"
    times, before = [10.8, 11.6, 11.0], [10, 10.9, 10.2]
    needed = seeds_named(verdict(gate, relative(times, before)))
    assert 3 < needed < 100
    # If they vary as these do.
    assert outcome(gate, relative(times * (needed // 3), before * (needed // 3))) == "fails"
    few = needed // 9
    assert outcome(gate, relative(times * few, before * few)) == "cannot tell"

    gate = "accuracy drops by 0.5"
    values, others = [0.80, 0.82, 0.81], [0.82, 0.84, 0.83]
    needed = seeds_named(verdict(gate, accuracy(values, others)))
    assert 3 < needed < 100
    # Farther from the bound fewer are needed, nearer more.
    assert seeds_named(verdict("accuracy drops by 1", accuracy(values, others))) > needed


@pytest.mark.parametrize(
    ("gate", "change"),
    [
        ("accuracy drops by 2", accuracy([0.80, 0.82, 0.81], [0.82, 0.84, 0.83])),
        ("epoch_seconds grows by 50%", relative([3, 3.3], [2, 2.2])),
    ],
)
def test_a_change_as_large_as_the_bound_is_on_neither_side(gate: str, change: Change) -> None:
    assert verdict(gate, change).reason.endswith(AT_THE_BOUND)


def test_where_each_of_several_looks_could_end_the_trainings_a_gate_is_surer() -> None:
    change = accuracy([0.72, 0.74, 0.73], [0.75, 0.77, 0.76])
    gate = f"accuracy drops by {-100 * change.bounds(0.95)[1] - 0.1:.4f}"
    looked = AccuracyChange("alpha", change.outcomes, change.reference, looks=4)
    assert (outcome(gate, change), outcome(gate, looked)) == ("fails", "cannot tell")
    assert looked.bounds(0.95) == change.bounds(1 - 0.05 / 4)


def test_too_few_test_images_are_too_few_for_any_number_of_seeds() -> None:
    ranks = numpy.arange(50)
    seeds = numpy.array([[25], [26]])
    # Each is right on images on which the other is wrong.
    few = AccuracyChange("alpha", Outcomes.of(ranks < seeds), Outcomes.of(ranks[::-1] < seeds + 1))
    found = verdict("accuracy drops by 1", few)
    assert found.outcome == "cannot tell"
    assert found.reason.endswith("; no number of seeds would tell with these test images")


# Several rows, several gates


def of_rows(gate: str, changes: Mapping[str, Change]) -> dict[str, str]:
    return {found.row: found.outcome for found in judge(parse_gate(gate), changes)}


def test_of_many_rows_each_has_to_be_surer() -> None:
    change = accuracy([0.72, 0.74, 0.73], [0.75, 0.77, 0.76])
    bound = -change.bounds(0.95)[1]
    gate = f"accuracy drops by {100 * bound - 0.1:.4f}"
    assert outcome(gate, change) == "fails"
    rows = {str(number): accuracy([0.75, 0.77], [0.75, 0.77]) for number in range(9)}
    found = {item.row: item for item in judge(parse_gate(gate), {**rows, "alpha": change})}
    assert found["alpha"].outcome == "cannot tell"
    assert "; of 10 rows, one may look like this by chance; " in found["alpha"].reason
    # Rows that surely fail leave fewer to choose from (Holm).
    worse = {str(number): accuracy([0.30, 0.31], [0.75, 0.77]) for number in range(9)}
    assert set(of_rows(gate, {**worse, "alpha": change}).values()) == {"fails"}


def test_times_of_two_seeds_say_little_among_many_rows() -> None:
    # An interval of one degree of freedom that is this sure has bounds beyond any number.
    wide = relative([3.0, 9.0], [1.0, 1.0])
    low, high = wide.bounds(1 - 0.05 / 1_000)
    assert (low, high) == (-1, math.inf)
    # Less wide, it fails alone and not among others.
    sure = relative([3.0, 3.01], [1.0, 1.0])
    gate = "epoch_seconds grows by 150%"
    assert outcome(gate, sure) == "fails"
    found = of_rows(gate, {**{str(number): wide for number in range(99)}, "alpha": sure})
    assert set(found.values()) == {"cannot tell"}


def test_that_a_row_holds_does_not_depend_on_the_others() -> None:
    change = accuracy([0.75, 0.77, 0.76], [0.75, 0.77, 0.76])
    bound = -change.bounds(0.95)[0]
    gate = f"accuracy drops by {100 * bound + 0.01:.4f}"
    assert set(of_rows(gate, dict.fromkeys("abcdefgh", change)).values()) == {"holds"}


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([], 0),
        (["holds"], 0),
        (["holds", "cannot tell"], 3),
        (["cannot tell", "fails", "holds"], 1),
    ],
)
def test_a_failure_comes_before_a_doubt_and_a_doubt_before_all_well(
    outcomes: list[Any], code: int
) -> None:
    gate = parse_gate("accuracy drops by 1")
    assert exit_code(Verdict(gate, "alpha", outcome, "") for outcome in outcomes) == code
