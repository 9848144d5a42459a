"""What a comparison says, in sentences that can be quoted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmark.analysis import (
    ComparedGroup,
    ComparedRow,
    has_same_images,
    protocol_differences,
)
from benchmark.records import Protocol
from benchmark.report.sentences import difference_sentence


def group_sentences(group: ComparedGroup) -> Iterator[str]:
    """One for each row that is compared with another, and one about the Pareto front."""
    for row in group.rows:
        sentence = row_sentence(row)
        if sentence:
            yield sentence
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
    return " ".join([sentence, *_of_protocols(contender.protocol, reference.protocol)])


def _of_protocols(a: Protocol, b: Protocol) -> Iterator[str]:
    """What has to be said with a difference between rows of different protocols."""
    differences = protocol_differences([a, b])
    if differences:
        yield f"Their protocols differ: {', '.join(differences)}."
    if not has_same_images(a, b):
        yield "That other test images would give other accuracies is left out."


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _front(group: ComparedGroup) -> Iterator[str]:
    """Who is on the front, and who is dominated by whom."""
    judged = [row for row in group.rows if row.on_front is not None]
    if not judged:
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
