"""The words above the table: what was trained, on what, how, and what the figures mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from benchmark.analysis import Doubt, device_text
from benchmark.metric_columns import NO_BETTER
from benchmark.protocol import (
    DatasetRecord,
    Protocol,
)
from benchmark.report.sentences import listed
from benchmark.store import RunDescription
from benchmark.summaries import ACCURACY, ModelSummary

# What an interval is over.
_SOURCES = {"both": "seeds and {} images", "seeds": "seeds", "images": "{} images"}


# As many as a line has room for.
MOST_CLASSES_COUNTED = 10


@dataclass
class Coverage:
    """What a caption says of the trials, gathered model by model."""

    metrics: Sequence[str] = ()
    completed: list[int] = field(default_factory=list)
    devices: set[str] = field(default_factory=set)
    engines: set[str] = field(default_factory=set)
    devices_of_others: set[str] = field(default_factory=set)
    has_untimed: bool = False
    has_row_no_better: bool = False
    core_versions: dict[str, list[str]] = field(default_factory=dict)
    libraries: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    rows_without: dict[str, list[str]] = field(default_factory=dict)
    over_seeds_alone: dict[str, None] = field(default_factory=dict)

    def missing_metrics(self) -> Iterator[str]:
        """A line for each metric that not all completed trials have."""
        for name, rows in self.rows_without.items():
            yield (
                f"metric {name!r} has no figure for {', '.join(rows)}: it failed, as a warning of "
                "the trials says, or was not asked for when they were trained, and then "
                "'benchmark run' with --fresh trains them again"
            )

    def noting(self, summaries: Iterable[ModelSummary]) -> Iterator[ModelSummary]:
        """The same summaries; each is noted as it passes."""
        for summary in summaries:
            self._note(summary)
            yield summary

    def _note(self, summary: ModelSummary) -> None:
        if summary.completed:
            self.completed.append(len(summary.completed))
            self._note_versions(summary)
            self.has_row_no_better |= summary.beats_largest_class is False
            for name in self.metrics:
                interval = summary.metric(name)
                if interval is None:
                    self.rows_without.setdefault(name, []).append(summary.label)
                elif interval.low is not None and interval.image_standard_error is None:
                    self.over_seeds_alone[name] = None
        for record in summary.records:
            device = device_text(record.device, record.environment)
            if record.status != "completed":
                self.devices_of_others.add(device)
                continue
            self.devices.add(device)
            is_untimed = any(not epoch.timed for epoch in record.epochs[1:])
            self.has_untimed |= is_untimed and record.timing.epoch_seconds is None
            engine = record.engine or "unknown"
            self.engines.add(f"{engine}, compiled" if record.compiled else engine)

    def _note_versions(self, summary: ModelSummary) -> None:
        """Note with which versions of this project and of libraries its trials were trained."""
        for record in summary.completed:
            rows = self.core_versions.setdefault(record.core_version, [])
            if summary.label not in rows:
                rows.append(summary.label)
            libraries = {**record.recipe_origin.libraries, **record.origin.libraries}
            found = self.libraries.setdefault(summary.label, {})
            for name, version in libraries.items():
                versions = found.setdefault(name, [])
                if version not in versions:
                    versions.append(version)


def write_caption(description: RunDescription, coverage: Coverage, doubt: Doubt = "both") -> str:
    """Name what was trained on what and how, and say what the figures stand for."""
    config, protocol = description.config, description.protocol
    # What did not complete says nothing of a machine, unless there is nothing else.
    devices = ", ".join(sorted(coverage.devices or coverage.devices_of_others)) or "no trial yet"
    lines = [
        f"{config.name}: {training_text(protocol)}; "
        f"{devices}, {protocol.precision}{_engines(coverage)}.",
        _figures(protocol.dataset, coverage, doubt),
    ]
    lines += _classes(protocol.dataset, coverage)
    lines += _versions(coverage)
    if config.note:
        lines.append(config.note)
    # A stranger's note, or name, begins no line of its own.
    return "\n".join(" ".join(line.split()) for line in lines)


def training_text(protocol: Protocol) -> str:
    """On which images models are trained, for how long, and by which recipe."""
    dataset = protocol.dataset
    options = protocol.recipe.options.items()
    recipe = " ".join([protocol.recipe.name, *(f"{key}={value}" for key, value in options)])
    epochs = "1 epoch" if protocol.epochs == 1 else f"{protocol.epochs} epochs"
    return (
        f"{dataset.name} ({dataset.fingerprint[:8]}), {_image_size(dataset)}"
        f"{images_text(dataset)}, "
        f"{dataset.classes} classes; {epochs}, batch {protocol.batch_size}, recipe {recipe}"
    )


def images_text(dataset: DatasetRecord) -> str:
    """How many images there are for what."""
    counts = [f"{dataset.train_images:,} training"]
    if dataset.validation_images:
        counts.append(f"{dataset.validation_images:,} validation")
    if dataset.test_images:
        counts.append(f"{dataset.test_images:,} test")
    return f"{', '.join(counts[:-1])} and {counts[-1]} images"


def _image_size(dataset: DatasetRecord) -> str:
    if dataset.image is None:
        return ""
    return " x ".join(map(str, dataset.image)) + ", "


def _classes(dataset: DatasetRecord, coverage: Coverage) -> Iterator[str]:
    """How many images each class has, where classes differ, and who does no better than one."""
    counts, share = dataset.class_counts, dataset.largest_class_share
    if counts is None or share is None:
        return
    not_better = f"{NO_BETTER.strip()} is not shown to be better than"
    if len({*counts}) > 1:
        each = (
            f"from {min(counts):,} to {max(counts):,}"
            if len(counts) > MOST_CLASSES_COUNTED
            else listed([f"{count:,}" for count in counts])
        )
        scores = f"always naming the largest would score {share * 100:.2f} %"
        marked = f"; {not_better} that" if coverage.has_row_no_better else ""
        yield f"The classes have {each} {dataset.judged_by} images: {scores}{marked}."
    elif coverage.has_row_no_better:
        yield f"{not_better} always naming one class ({share * 100:.2f} %)."


def _versions(coverage: Coverage) -> Iterator[str]:
    """What was trained with different versions of this project or of a library."""
    if len(coverage.core_versions) > 1:
        named = "; ".join(
            f"{', '.join(rows)} with {version}" for version, rows in coverage.core_versions.items()
        )
        yield f"Trained with different versions of benchmark: {named}."
    for row, libraries in coverage.libraries.items():
        for name, versions in libraries.items():
            if len(versions) > 1:
                yield f"Trials of {row} were trained with {name} {' and '.join(versions)}."


def _engines(coverage: Coverage) -> str:
    """How steps were taken, unless all were taken in the plainest way."""
    used = sorted(coverage.engines)
    return "" if used in ([], ["eager"]) else f", engine {' and '.join(used)}"


def _figures(dataset: DatasetRecord, coverage: Coverage, doubt: Doubt) -> str:
    fewest, most = min(coverage.completed, default=0), max(coverage.completed, default=0)
    accuracy = f"{dataset.judged_by.capitalize()} accuracy is that after the last epoch"
    source = _SOURCES[doubt].format(dataset.judged_by)
    if most > 1:
        span = str(most) if fewest == most else f"{fewest} to {most}"
        alone = [name for name in coverage.over_seeds_alone if name != ACCURACY]
        exceptions = f" ({listed(alone)}: seeds alone)" if alone and doubt == "both" else ""
        accuracy += f", mean of n = {span} seeds and 95 % interval over {source}{exceptions}"
    elif most == 1 and doubt == "images":
        accuracy += f", of one seed, and 95 % interval over {source}"
    elif most == 1:
        accuracy += ", of one seed (so without an interval)"
    time = "epoch time is the median training time of the epochs after the first."
    untimed = " A trial without a device of its own, or interrupted too often, has none."
    unseen = "" if dataset.test_images else " The test images were not looked at."
    return f"{accuracy}; {time}{untimed if coverage.has_untimed else ''}{unseen}"
