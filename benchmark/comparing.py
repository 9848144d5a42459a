"""Rows put beside one another: which is compared with which, within each protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmark.analysis import (
    ComparedGroup,
    Contender,
    Gate,
    Verdict,
    best_of,
    by_protocol,
    compared_group,
    judge_rows,
    protocol_differences,
)
from benchmark.contenders import (
    Argument,
    Row,
    Source,
    each_once,
    named_in,
    read_contenders,
    rows_of,
)
from benchmark.errors import BenchmarkError, StoreError
from benchmark.files import is_there, usable_path
from benchmark.report import Comparison
from benchmark.store import RUN_FILE

ORIGIN = "--against "


@dataclass(frozen=True)
class Against:
    """What rows are compared with, and how it was ``written``.

    With ``by_label`` the rows are those of another run, and each is for its namesakes alone.
    """

    written: str
    rows: list[Row]
    by_label: bool

    @classmethod
    def read(
        cls, written: str | Argument, arguments: Sequence[Argument], rows: Sequence[Row]
    ) -> Against:
        """Read a label, ``RUN:label`` or ``RUN``, or take a run, to compare ``rows`` with.

        Raises BenchmarkError for what is none of them.
        """
        if isinstance(written, Argument):
            path = str(written.source.directory.path)
            return cls(path, _namesakes(written.source, rows, path), by_label=True)
        sources = [argument.source for argument in arguments]
        if not is_there(usable_path(written, f"{ORIGIN}{written}") / RUN_FILE):
            named = _row_or_fault(written, sources)
            if isinstance(named, list):
                return cls(written, named, by_label=False)
            if not _looks_like_a_path(written):
                raise named
        argument = Argument.read(written, ORIGIN)
        if argument.label is not None:
            return cls(written, argument.rows(), by_label=False)
        return cls(written, _namesakes(argument.source, rows, written), by_label=True)


def _looks_like_a_path(written: str) -> bool:
    return "/" in written or "\\" in written or ":" in written


def _row_or_fault(written: str, sources: Sequence[Source]) -> list[Row] | StoreError:
    """The rows of that label in any of the runs; else what is wrong with it."""
    try:
        return each_once(named_in(sources, written, ORIGIN))
    except StoreError as error:
        return error


def _namesakes(source: Source, rows: Sequence[Row], written: str) -> list[Row]:
    """The rows of another run whose labels some of the rows have."""
    if any(row.source.path == source.path for row in rows):
        raise StoreError(
            f"{ORIGIN}{written}: is the run that is compared; give a label of it, or another run"
        )
    labels = {row.version.label for row in rows}
    present = source.present()
    found = [row for row in present if row.version.label in labels]
    if not found:
        has = ", ".join(row.version.label for row in present) or "none"
        raise StoreError(
            f"{ORIGIN}{written}: has none of the models {', '.join(sorted(labels))} "
            f"(there are: {has}); to compare with one of another name give RUN:label"
        )
    return found


def compare(
    arguments: Sequence[Argument],
    against: str | Argument | None = None,
    models: Sequence[str] | None = None,
    *,
    allow_mixed: bool = False,
    accuracy: float | None = None,
    format: str = "simple",
    gates: Sequence[Gate] = (),
    warn: Callable[[str], None],
) -> Comparison:
    """Compare rows with a reference, by default the best row of each protocol.

    ``against`` is a label, ``RUN:label``, or ``RUN``, whose rows are compared with their namesakes;
    ``models`` are the labels of the rows, of whole runs. With ``allow_mixed`` rows of different
    protocols stand in one table. ``accuracy`` is the one to which trainings are timed.
    ``gates`` are for the rows that are not of ``against``, which they need.

    Raises BenchmarkError where there is no such row, or nothing to compare, and for an accuracy
    that is none.
    """
    if accuracy is not None and not 0 < accuracy <= 1:
        raise BenchmarkError(f"the accuracy to reach should be above 0 and at most 1: {accuracy}")
    if models is not None and all(argument.label is not None for argument in arguments):
        raise BenchmarkError("-m chooses rows of whole runs, and each RUN names a row already")
    rows = rows_of(arguments, models)
    chosen = None if against is None else Against.read(against, arguments, rows)
    by_key = read_contenders(each_once([*rows, *(chosen.rows if chosen else ())]), warn)
    contenders = [found for group in by_key.values() for found in group]
    references = [found for row in (chosen.rows if chosen else ()) for found in by_key[row.key]]
    groups = [contenders] if allow_mixed else by_protocol(contenders)
    compared = [
        compared_group(group, _references(group, references, chosen), accuracy) for group in groups
    ]
    if not gates:
        _refuse_if_nothing_to_compare(compared)
    is_of_whole_runs = models is None and all(argument.label is None for argument in arguments)
    if chosen is not None and chosen.by_label and is_of_whole_runs:
        _say_what_is_not_compared(chosen.rows[0].source, rows, chosen.written, warn)
    judged = [found for row in rows for found in by_key[row.key]]
    return Comparison(tuple(compared), format, _verdicts(gates, judged, references, chosen))


def _say_what_is_not_compared(
    source: Source, rows: Sequence[Row], written: str, warn: Callable[[str], None]
) -> None:
    """Warn of the models of another run that none of the rows is compared with."""
    labels = {row.version.label for row in rows}
    missing = [row.version.label for row in source.present() if row.version.label not in labels]
    if missing:
        warn(f"{ORIGIN}{written}: no row is compared with {', '.join(missing)}")


def _verdicts(
    gates: Sequence[Gate],
    contenders: Sequence[Contender],
    references: Sequence[Contender],
    against: Against | None,
) -> tuple[Verdict, ...]:
    """What becomes of each gate in each row that is no reference.

    A control is not judged: it is not a separate model.
    """
    gated = [found for found in contenders if found not in references and found.control_of is None]
    if gates and not gated:
        raise StoreError("--fail-if: there is no row to judge beside the reference")
    pairs = [(found, _reference_of_gate(found, references, against)) for found in gated]
    return tuple(judge_rows(gates, pairs))


def _references(
    group: Sequence[Contender], references: Sequence[Contender], against: Against | None
) -> dict[str, Contender]:
    """The reference of each row that has one, by the row's name."""
    present = [found for found in references if found in group]
    if against is not None and against.by_label:
        by_label = {found.label: found for found in present}
        return {row.name: by_label[row.label] for row in group if row.label in by_label}
    if len(present) > 1 and against is not None:
        names = ", ".join(found.name for found in present)
        raise StoreError(
            f"{ORIGIN}{against.written}: stands for {len(present)} rows of one protocol ({names}); "
            "name one as RUN:label"
        )
    reference = present[0] if present else best_of(group)
    return {} if reference is None else {row.name: reference for row in group}


def _reference_of_gate(
    contender: Contender, references: Sequence[Contender], against: Against | None
) -> Contender | None:
    """What a gate compares a row with: one of the references, if possible of its protocol."""
    by_label = against is not None and against.by_label
    known = [found for found in references if not by_label or found.label == contender.label]
    alike = [found for found in known if found.protocol.hash == contender.protocol.hash]
    return next(iter(alike or known), None)


def _refuse_if_nothing_to_compare(groups: Sequence[ComparedGroup]) -> None:
    rows = [row for group in groups for row in group.rows]
    has_results = any(row.contender.outcomes is not None for row in rows)
    if has_results and any(row.reference and not row.is_reference for row in rows):
        return
    if len(rows) < 2:
        what = f"one row, {rows[0].contender.name}" if rows else "no row"
        raise StoreError(f"nothing to compare: there is {what}; name another run or row")
    differences = protocol_differences([row.contender.protocol for row in rows])
    if not differences:
        raise StoreError("nothing to compare: no row has a completed trial")
    raise StoreError(
        f"nothing to compare: the rows have different protocols ({', '.join(differences)}); "
        "--allow-mixed shows them side by side"
    )
