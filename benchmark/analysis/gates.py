"""Gates: what may not become of a figure, and whether the data show that it has.

A gate such as ``accuracy drops by 0.5`` fails where a whole interval lies beyond its bound, and
holds where none of it does; elsewhere the data cannot tell. With the 95 % interval, a model that
is as good as the reference fails in at most 2.5 % of runs, and one at the very bound in 2.5 %.

A gate fails if any of its rows does, so each row's interval is widened for the number of rows, step
by step (Holm, Scandinavian Journal of Statistics 6, 1979): it is the gate that fails in at most
2.5 % of runs. It holds only if all rows do, which makes no error likelier (Berger, Technometrics
24, 1982), so the rows hold by the 95 % interval. Several gates are not adjusted for one another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from benchmark.analysis.changes import Amount, Change
from benchmark.analysis.contender import Contender
from benchmark.analysis.gated import ACCURACY, FIGURES, change_of
from benchmark.errors import BenchmarkError
from benchmark.spelling import did_you_mean

Outcome = Literal["fails", "cannot tell", "holds"]

VERBS = ("drops", "grows")
EXAMPLES = "'accuracy drops by 0.5' or 'epoch_seconds grows by 5%'"

# Without an exponent, and with no more digits than a bound can need.
_NUMBER = r"\d{1,9}(?:\.\d{1,9})?|\.\d{1,9}"
_TOO_MANY_DIGITS = r"\d{10,}|\d*\.\d{10,}"
_AMOUNT = re.compile(rf"({_NUMBER})\s*(%|points?)?", re.ASCII)


class GateError(BenchmarkError, ValueError):
    """A gate that cannot be understood, or that nothing could fail."""


@dataclass(frozen=True)
class Gate:
    """A bound to the change of a figure: ``bound`` is 0.01 for a point, and for one per cent."""

    text: str
    figure: str
    verb: str
    bound: Fraction

    @property
    def limit(self) -> Fraction:
        """The change beyond which the gate fails, negative where it is a drop."""
        return -self.bound if self.verb == "drops" else self.bound

    def is_passed_by(self, amount: Amount) -> bool:
        """Whether a change is more than the gate lets through."""
        return amount < self.limit if self.verb == "drops" else amount > self.limit


@dataclass(frozen=True)
class Verdict:
    """What became of a gate in one row, and the figures that say so."""

    gate: Gate
    row: str
    outcome: Outcome
    reason: str

    def __str__(self) -> str:
        """One line."""
        return f"gate '{self.gate.text}' {self.outcome}: {self.reason}"


def parse_gate(text: str, origin: str = "") -> Gate:
    """Read ``FIGURE drops|grows by AMOUNT``: percentage points of accuracy, per cent of others.

    Raises GateError, with ``origin`` before the text.
    """
    words = text.split()
    try:
        figure, verb, _, *rest = _checked(words)
        return Gate(" ".join(words), figure, verb, _bound(figure, verb, " ".join(rest)))
    except GateError as error:
        raise GateError(f"{origin}{text!r}: {error}") from error


def judge(gate: Gate, changes: Mapping[str, Change], confidence: float = 0.95) -> list[Verdict]:
    """What becomes of a gate in each of several rows, which ``changes`` has by their names."""
    failing = _failing(gate, changes, confidence)
    known = sum(change.amount is not None for change in changes.values())
    return [
        Verdict(gate, row, *_judged(gate, change, row in failing, known, confidence))
        for row, change in changes.items()
    ]


def judge_rows(
    gates: Iterable[Gate], rows: Sequence[tuple[Contender, Contender | None]]
) -> list[Verdict]:
    """What becomes of every gate in every row, each of which comes with its reference."""
    return [
        verdict
        for gate in gates
        for verdict in judge(
            gate,
            {found.name: change_of(gate.figure, found, reference) for found, reference in rows},
        )
    ]


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """1 if a gate fails in any row, else 3 if it cannot be told of any, else 0."""
    outcomes = {verdict.outcome for verdict in verdicts}
    if "fails" in outcomes:
        return 1
    return 3 if "cannot tell" in outcomes else 0


def _checked(words: Sequence[str]) -> Sequence[str]:
    """The words of a gate; raises GateError for what is wrong with them up to the amount."""
    if not words:
        raise GateError(f"a gate should be like {EXAMPLES}")
    figure, *rest = words
    if figure not in FIGURES:
        hint = did_you_mean(figure, FIGURES) or f" (there are: {', '.join(FIGURES)})"
        raise GateError(f"no figure {figure!r} for a gate{hint}")
    if not rest:
        raise GateError(f"should say {_either(figure)}")
    if rest[0] not in VERBS:
        hint = did_you_mean(rest[0], VERBS) or f" (there are: {', '.join(VERBS)})"
        raise GateError(f"a figure drops or grows, got {rest[0]!r}{hint}")
    if rest[1:2] != ["by"] or len(rest) < 3:
        raise GateError(f"should say by how much, as in {_example(figure, rest[0])}")
    return words


def _bound(figure: str, verb: str, amount: str) -> Fraction:
    """Read how much; raises GateError."""
    found = _AMOUNT.fullmatch(amount)
    example = _example(figure, verb)
    if not found:
        raise GateError(f"{_what_is_wrong_with(amount)}; write it as in {example}")
    number, unit = found.groups()
    if figure == ACCURACY and unit == "%":
        raise GateError(f"accuracy is compared in percentage points; write {example}")
    if figure != ACCURACY and unit != "%":
        raise GateError(f"{figure} is compared in per cent; write {example}")
    bound = Fraction(number) / 100
    if bound >= 1 and (figure == ACCURACY or verb == "drops"):
        most = "100 points" if figure == ACCURACY else "100 %"
        raise GateError(f"should be below {most}, or the gate can never fail")
    return bound


def _what_is_wrong_with(amount: str) -> str:
    if amount.startswith("-"):
        return f"the amount should be 0 or more, got {amount!r}"
    number = re.match(_NUMBER, amount, re.ASCII)
    if re.match(_TOO_MANY_DIGITS, amount, re.ASCII):
        return f"an amount has at most 9 digits before the point and 9 after it, got {amount!r}"
    if number is None:
        return f"the amount should be a number, got {amount!r}"
    return f"an amount cannot end in {amount[number.end() :].strip()!r}"


def _example(figure: str, verb: str) -> str:
    return f"'{figure} {verb} by {'0.5' if figure == ACCURACY else '5%'}'"


def _either(figure: str) -> str:
    return " or ".join(_example(figure, verb) for verb in VERBS)


def _failing(gate: Gate, changes: Mapping[str, Change], confidence: float) -> set[str]:
    """The rows whose whole interval lies beyond the bound, with at most one error in all."""
    failing: set[str] = set()
    left = {row for row, change in changes.items() if change.amount is not None}
    while left:
        level = 1 - (1 - confidence) / len(left)
        found = {row for row in left if _is_beyond(gate, changes[row], level)}
        if not found:
            break
        failing |= found
        left -= found
    return failing


def _is_beyond(gate: Gate, change: Change, confidence: float) -> bool:
    bounds = change.bounds(confidence)
    return bounds is not None and all(gate.is_passed_by(bound) for bound in bounds)


def _judged(
    gate: Gate, change: Change, is_failing: bool, rows: int, confidence: float
) -> tuple[Outcome, str]:
    if is_failing:
        return "fails", change.words
    bounds = change.bounds(confidence)
    if bounds is not None and not any(gate.is_passed_by(bound) for bound in bounds):
        return "holds", change.words
    among = ""
    if bounds is not None and all(gate.is_passed_by(bound) for bound in bounds):
        among = f"; of {rows} rows, one may look like this by chance"
    if change.amount is not None and gate.is_passed_by(change.amount):
        confidence = 1 - (1 - confidence) / rows
    remedy = change.remedy(gate.limit, confidence)
    return "cannot tell", f"{change.words}{among}{f'; {remedy}' if remedy else ''}"
