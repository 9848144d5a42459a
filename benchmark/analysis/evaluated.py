"""What a model's kept weights make of other images, beside what they made of the original ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy

from benchmark.analysis.comparison import outcomes_difference, outcomes_interval
from benchmark.analysis.metrics import metric_interval
from benchmark.analysis.outcomes import Outcomes, image_variance
from benchmark.analysis.scores import wilson_bounds
from benchmark.analysis.student import t_quantile
from benchmark.records import (
    MetricFigure,
    TrialRecord,
)
from benchmark.specs import Variant
from benchmark.summaries import Difference, Interval

# What the images are to those that the models were judged by.
Relation = Literal["original", "changed", "other"]


@dataclass(frozen=True)
class EvaluatedRow:
    """A variant's networks, one a seed, on other images.

    ``accuracy`` is theirs on these images, ``original`` that of their records, ``difference`` by
    how much the first exceeds the second, with an interval over images: these networks are meant.
    ``images`` says whether they are the original ones, those changed one by one, or others; of the
    original ones the difference is what it is, without an interval. ``metrics`` are on these
    images.
    """

    label: str
    variant: Variant
    seeds: tuple[int, ...]
    accuracy: Interval
    original: Interval
    difference: Difference
    images: Relation
    metrics: Mapping[str, Interval]


def evaluated_row(
    label: str,
    records: Sequence[TrialRecord],
    correct: Sequence[Any],
    metrics: Sequence[Mapping[str, MetricFigure]],
    images: Relation,
) -> EvaluatedRow:
    """Sum up one variant's networks: which images each has right, and its metrics.

    ``correct`` has a boolean array of N images for each record, ``metrics`` what was measured.
    """
    now = Outcomes.of(numpy.stack(correct))
    before = Outcomes.of_records(records)
    assert before is not None
    names = [name for name in metrics[0] if all(name in found for found in metrics)]
    return EvaluatedRow(
        label=label,
        variant=records[0].variant,
        seeds=tuple(record.seed for record in records),
        accuracy=outcomes_interval(now),
        original=outcomes_interval(before),
        difference=_difference(now, before, images),
        images=images,
        metrics={name: metric_interval([found[name] for found in metrics]) for name in names},
    )


def _difference(now: Outcomes, before: Outcomes, images: Relation) -> Difference:
    match images:
        case "original":
            return Difference(now.mean - before.mean, (now.seeds, before.seeds))
        case "changed":
            return outcomes_difference(now, before, doubt="images")
        case "other":
            return difference_of_images(now, before)


def difference_of_images(a: Outcomes, b: Outcomes, confidence: float = 0.95) -> Difference:
    """By how much networks are better on some images than on others, which are not related.

    Newcombe's interval (Statistics in Medicine 17, 1998, method 10), from Wilson's of each mean:
    it holds where nearly all images are right, or wrong, as well.
    """
    mean, quantile = a.mean - b.mean, t_quantile(math.inf, confidence)
    variances = [image_variance(found.shares, 0.0) for found in (a, b)]
    low_a, high_a = wilson_bounds(a, variances[0], quantile)
    low_b, high_b = wilson_bounds(b, variances[1], quantile)
    return Difference(
        mean,
        (a.seeds, b.seeds),
        low=mean - math.hypot(a.mean - low_a, high_b - b.mean),
        high=mean + math.hypot(high_a - a.mean, b.mean - low_b),
        image_standard_error=math.sqrt(sum(variances)),
        degrees_of_freedom=math.inf,
        confidence=confidence,
    )
