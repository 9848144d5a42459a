"""What a comparison says, in sentences that can be quoted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmark.analysis import (
    ComparedGroup,
    ComparedRow,
    Contender,
    has_same_images,
    protocol_differences,
)
from benchmark.protocol import Protocol
from benchmark.report.control import control_sentence, other_code_sentence
from benchmark.report.sentences import difference_sentence, listed


def group_sentences(group: ComparedGroup) -> Iterator[str]:
    """One for each row that is compared with another, and one about the Pareto front."""
    for row in group.rows:
        sentence = row_sentence(row)
        if sentence:
            yield sentence
    yield from _controls(group.contenders)
    yield from filter(None, [incomplete_sentence(group.contenders)])
    yield from _front(group)


def row_sentence(row: ComparedRow) -> str:
    """How a row compares with its reference; empty for a reference."""
    contender, reference = row.contender, row.reference
    if contender.outcomes is None:
        return f"{contender.name} has no trial that completed ({contender.status})."
    if reference is None:
        return f"{contender.name} is compared with none: the other run has no such model."
    if row.difference is None:
        return ""
    sentence = difference_sentence(contender.name, reference.name, row.difference)
    # That of each pair alone can be sure where that of all pairs at once is not.
    if row.difference.is_sure and row.rank and row.reference_rank and _may_both_be_best(row):
        sentence = f"{sentence[:-1]}; of all pairs at once they cannot be told apart."
    return " ".join([sentence, *_of_protocols(contender.protocol, reference.protocol)])


def _may_both_be_best(row: ComparedRow) -> bool:
    ranks = row.rank, row.reference_rank
    return all(rank is not None and rank.best == 1 for rank in ranks)


def incomplete_sentence(contenders: Sequence[Contender]) -> str:
    """Of which rows some trials are missing, though not all; empty where none are."""
    missing = [
        f"{found.planned - len(found.seeds)} of {found.planned} trials of {found.name}"
        for found in contenders
        if 0 < len(found.seeds) < found.planned
    ]
    if not missing:
        return ""
    return f"Left out, having no sound record of a completed training: {listed(missing)}."


def _controls(contenders: Sequence[Contender]) -> Iterator[str]:
    """What each control shows whose model is there."""
    for control in contenders:
        for model in contenders:
            if model.run != control.run or model.label != control.control_of:
                continue
            if model.variant.identity == control.variant.identity:
                yield control_sentence(
                    model.name, model.outcomes, control.outcomes, control.confidence
                )
            else:
                yield other_code_sentence(model.name, control.name)


def judged_by(group: ComparedGroup) -> str:
    """Which images the rows are compared by: ``test``, ``validation``, or both."""
    found = dict.fromkeys(row.contender.protocol.dataset.judged_by for row in group.rows)
    return " or ".join(found)


def _of_protocols(a: Protocol, b: Protocol) -> Iterator[str]:
    """What has to be said with a difference between rows of different protocols."""
    differences = protocol_differences([a, b])
    if differences:
        yield f"Their protocols differ: {', '.join(differences)}."
    if not has_same_images(a, b):
        yield "The interval leaves out the doubt that comes from the choice of images."


def _front(group: ComparedGroup) -> Iterator[str]:
    """Who is on the front, and who is dominated by whom."""
    judged = [row for row in group.rows if row.on_front is not None]
    # Within each protocol there is a front of its own, which only the column shows.
    if not judged or group.is_mixed:
        return
    figures = listed([*_figures(judged)])
    dominated = [row for row in judged if row.dominating is not None]
    if not dominated:
        yield f"No row is surely dominated in {figures}: all are on the Pareto front."
        return
    front = listed([row.contender.name for row in judged if row.on_front])
    verb = "is" if len(judged) - len(dominated) == 1 else "are"
    yield f"On the Pareto front of {figures} {verb} {front}."
    for row in dominated:
        assert row.dominating is not None
        yield f"{row.contender.name} is surely dominated by {row.dominating.name}."


def _figures(judged: Sequence[ComparedRow]) -> Iterator[str]:
    """What the front is of: accuracy, and what any of the rows has."""
    contenders = [row.contender for row in judged]
    yield "accuracy"
    if any(found.epoch_seconds for found in contenders):
        yield "epoch time"
    if any(found.params is not None for found in contenders):
        yield "parameters"
    if any(found.exact_macs is not None for found in contenders):
        yield "multiply-accumulates"
