"""What a control shows: how far apart two models are that are the same."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.analysis import Outcomes, Standings, outcomes_difference
from benchmark.report.sentences import bounds, percent, points


def control_sentences(standings: Standings, confidence: float = 0.95) -> Iterator[str]:
    """A sentence for each row that is a control, and of whose model there is a row, too."""
    known = {row.name: row for row in standings.rows}
    for row in standings.rows:
        model = known.get(row.control_of or "")
        if model is None:
            continue
        if model.identity == row.identity:
            yield control_sentence(model.name, model.outcomes, row.outcomes, confidence)
        else:
            yield other_code_sentence(model.name, row.name)


def other_code_sentence(name: str, control: str) -> str:
    """Say of a control why it is none any more."""
    return (
        f"control: {control} was trained from other code than {name}, so it is no control of it; "
        "run again with --control."
    )


def control_sentence(
    name: str, outcomes: Outcomes | None, control: Outcomes | None, confidence: float = 0.95
) -> str:
    """Say by how much a model differs from its control, and whether that is chance.

    The trials of either are None where none completed.
    """
    if outcomes is None or control is None:
        return f"control: {name} needs a completed trial on either side to be compared with itself."
    difference = outcomes_difference(outcomes, control, confidence)
    found = f"control: {name} against itself, with other seeds, differs by "
    found += f"{points(difference.mean)} points"
    if difference.p_value is None:
        return f"{found}; with one seed it has no interval."
    if not difference.is_sure:
        return f"{found} ({bounds(difference)}), which is within chance."
    return (
        f"{found} ({bounds(difference)}), more than chance makes in {percent(confidence)} of runs: "
        "be careful with other differences of this size."
    )
