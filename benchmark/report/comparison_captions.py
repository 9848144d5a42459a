"""The words above the tables of a comparison: what the figures mean, and what they leave out."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.analysis import ComparedGroup, ComparedRow, has_same_images, protocol_differences
from benchmark.report.caption import training_text
from benchmark.report.comparison_columns import MARK
from benchmark.report.comparison_sentences import judged_by
from benchmark.report.sentences import listed, percent


def accuracy_caption(group: ComparedGroup) -> str:
    """Say what was trained, what is compared with what, and how sure figures are."""
    return "\n".join([*_training(group), _accuracy_figures(group), *_looks(group), *_mixed(group)])


def cost_caption(group: ComparedGroup) -> str:
    """Say what costs are relative to, and which cannot be compared."""
    ratios = [ratio for row in group.rows for ratio in (row.epoch_seconds, row.peak_memory)]
    has_intervals = any(ratio is not None and ratio.low is not None for ratio in ratios)
    intervals = " Intervals are 95 %, over seeds." if has_intervals else ""
    figures = (
        f"Ratios to {reference_text(group)}, whose row has the figures themselves: for epoch time "
        f"and memory the geometric mean over seeds.{intervals}"
    )
    return "\n".join([figures, *_devices(group), *_untimed(group)])


def time_to_caption(group: ComparedGroup) -> str:
    """Say which accuracy is meant, and how trainings count that never reached it."""
    accuracy = f"{(group.accuracy or 0) * 100:.6g}"
    held_out = (row.contender.protocol.dataset.validation_images for row in group.rows)
    images = "validation" if any(held_out) else "test"
    lines = [
        f"Training time until the {images} accuracy was {accuracy} % for the first time, which "
        f"looks at the {images} images after every epoch: the median over trials, of which those "
        "that did not reach it count as longer."
    ]
    for row in group.rows:
        if row.time_to is not None and row.time_to.untimed:
            untimed = row.time_to.untimed
            trials = "1 trial is" if untimed == 1 else f"{untimed} trials are"
            lines.append(
                f"{trials} of {row.contender.name} left out: the epochs up to then were not "
                "timed without an interruption."
            )
    if len({device for found in group.contenders for device in found.devices}) > 1:
        lines.append("Times of different devices say nothing of the models.")
    return "\n".join(lines)


def reference_text(group: ComparedGroup) -> str:
    """What rows are compared with."""
    references = group.references
    return references[0].name if len(references) == 1 else "the row's reference"


def _training(group: ComparedGroup) -> Iterator[str]:
    protocols = [row.contender.protocol for row in group.rows]
    differences = protocol_differences(protocols)
    if differences:
        yield f"Rows of different protocols, side by side: {', '.join(differences)}."
    else:
        yield f"{training_text(protocols[0])}, {protocols[0].precision}."


def _accuracy_figures(group: ComparedGroup) -> str:
    if not any(row.difference is not None and row.difference.low is not None for row in group.rows):
        return (
            f"Differences of the {judged_by(group)} accuracy after the last epoch to "
            f"{reference_text(group)}."
        )
    return (
        f"Differences of the {judged_by(group)} accuracy after the last epoch to "
        f"{reference_text(group)}, with {_confidences(group)} intervals over seeds and "
        f"{judged_by(group)} images; p is for that pair alone, "
        f"ranks are for all pairs{' of a protocol' if group.is_mixed else ''} at once (Holm); wins "
        "is how often one training would beat one of the reference."
    )


def _confidences(group: ComparedGroup) -> str:
    found = {row.difference.confidence for row in group.rows if row.difference is not None}
    return listed([percent(confidence) for confidence in sorted(found)])


def _looks(group: ComparedGroup) -> Iterator[str]:
    if group.seeds_were_added:
        yield "Seeds were added look by look: intervals, p and ranks hold for all looks at once."


def _mixed(group: ComparedGroup) -> Iterator[str]:
    """A footnote for each protocol that is not that of the rows' reference."""
    found: dict[tuple[str, str], list[ComparedRow]] = {}
    for row in group.rows:
        if row.reference is not None and row.is_of_another_protocol:
            key = row.contender.protocol.hash, row.reference.name
            found.setdefault(key, []).append(row)
    for rows in found.values():
        first, reference = rows[0].contender, rows[0].reference
        assert reference is not None
        differences = protocol_differences([first.protocol, reference.protocol])
        names = ", ".join(row.contender.name for row in rows)
        line = (
            f"{MARK.strip()} {names}: another protocol than that of {reference.name} "
            f"({', '.join(differences)}), so the difference is not due to the model alone."
        )
        if not has_same_images(first.protocol, reference.protocol):
            line += (
                " The images that judge them are not the same: the interval is over seeds alone, "
                "and leaves out the doubt that comes from the choice of images."
            )
        yield line


def _devices(group: ComparedGroup) -> Iterator[str]:
    """Which rows' times and memory are not compared, because devices differ."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in group.rows:
        if row.reference is None or row.contender.is_timed_like(row.reference):
            continue
        devices = " and ".join(row.contender.devices), " and ".join(row.reference.devices)
        found.setdefault(devices, []).append(row.contender.name)
    for (of_rows, of_reference), names in found.items():
        yield (
            f"Epoch time and memory of {', '.join(names)} are not compared: {of_rows} against "
            f"{of_reference}."
        )


def _untimed(group: ComparedGroup) -> Iterator[str]:
    """Which rows have no epoch time, and why."""
    if any(found.protocol.epochs == 1 for found in group.contenders):
        yield "A training of one epoch has no epoch time, because the first epoch does not count."
    names = [
        found.name
        for found in group.contenders
        if found.outcomes is not None and not found.epoch_seconds and found.protocol.epochs > 1
    ]
    if names:
        yield (
            f"There is no epoch time of {', '.join(names)}: the trials had no device of their own, "
            "or were interrupted too often."
        )
