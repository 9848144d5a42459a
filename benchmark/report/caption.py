"""The words above the table: what was trained, on what, how, and what the figures mean."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.analysis.summary import ModelSummary
from benchmark.records import Machine
from benchmark.store import RunDescription


def write_caption(description: RunDescription, summaries: Sequence[ModelSummary]) -> str:
    """Name what was trained on what and how, and say what the figures stand for."""
    config, protocol = description.config, description.protocol
    dataset = protocol.dataset
    options = protocol.recipe.options.items()
    recipe = " ".join([protocol.recipe.name, *(f"{key}={value}" for key, value in options)])
    epochs = "1 epoch" if protocol.epochs == 1 else f"{protocol.epochs} epochs"
    lines = [
        f"{config.name}: {dataset.name} ({dataset.fingerprint[:8]}), "
        f"{dataset.train_images:,} training and {dataset.test_images:,} test images, "
        f"{dataset.classes} classes; {epochs}, batch {protocol.batch_size}, "
        f"recipe {recipe}; {_devices(summaries)}, {protocol.precision}"
        f"{_engines(summaries)}.",
        _figures(summaries),
    ]
    if config.note:
        lines.append(config.note)
    return "\n".join(lines)


def _devices(summaries: Sequence[ModelSummary]) -> str:
    """What the trials were carried out on; of those that did not complete only if none did."""
    completed = [record for summary in summaries for record in summary.completed]
    records = completed or [record for summary in summaries for record in summary.records]
    named = {_with_hardware(record.device, record.environment) for record in records}
    return ", ".join(sorted(named)) or "no trial yet"


def _with_hardware(device: str, machine: Machine) -> str:
    """A device, and what it is as far as that is known."""
    kind, _, number = device.partition(":")
    if kind == "cuda":
        index = int(number) if number.isdecimal() else 0
        facts: list[str | None] = [gpu.name for gpu in machine.gpus[index : index + 1]]
    else:
        threads = "1 thread" if machine.threads == 1 else f"{machine.threads} threads"
        facts = [machine.processor, threads if machine.threads else None]
    known = ", ".join(fact for fact in facts if fact)
    return f"{device} ({known})" if known else device


def _engines(summaries: Sequence[ModelSummary]) -> str:
    """How steps were taken, unless all were taken in the plainest way."""
    records = [record for summary in summaries for record in summary.completed]
    used = sorted({f"{r.engine}, compiled" if r.compiled else r.engine for r in records})
    return "" if used in ([], ["eager"]) else f", engine {' and '.join(used)}"


def _figures(summaries: Sequence[ModelSummary]) -> str:
    counts = [len(summary.completed) for summary in summaries if summary.completed]
    fewest, most = min(counts, default=0), max(counts, default=0)
    accuracy = "Test accuracy is that after the last epoch"
    if most > 1:
        span = str(most) if fewest == most else f"{fewest} to {most}"
        accuracy += f", mean ± 95 % t interval over n = {span} seeds"
    elif most == 1:
        accuracy += ", of one seed (so without an interval)"
    return f"{accuracy}; epoch time is the median training time of the epochs after the first."
