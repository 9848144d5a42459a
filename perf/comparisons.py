"""Who is compared with whom, and what is aimed at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from perf.figures import Ratio, ratio

MODELS = ("baseline_cnn", "separable_cnn")
# Their names are those of the modules in perf/contenders.
CONTENDERS = ("framework", "bare_loop", "usual_way", "keras_tensorflow", "lightning_trainer")

MEMORY_IMAGES = 50_000
MOST_MEMORY_BYTES = 1536 * 2**20


@dataclass(frozen=True)
class Comparison:
    """The seconds of ``numerator`` over those of ``denominator``, and the bound for each model."""

    title: str
    numerator: str
    denominator: str
    bound: Literal["at most", "at least"] = "at least"
    targets: Mapping[str, float] = field(default_factory=dict)


COMPARISONS = (
    Comparison(
        "the framework over a bare loop",
        "framework",
        "bare_loop",
        "at most",
        dict.fromkeys(MODELS, 1.02),
    ),
    Comparison(
        "the usual PyTorch loop over the framework",
        "usual_way",
        "framework",
        targets=dict.fromkeys(MODELS, 2.0),
    ),
    Comparison(
        "Keras on TensorFlow over the framework",
        "keras_tensorflow",
        "framework",
        targets={"baseline_cnn": 3.0, "separable_cnn": 2.0},
    ),
    Comparison("Lightning over the framework", "lightning_trainer", "framework"),
)


@dataclass(frozen=True)
class Finding:
    """A comparison's outcome for one model; ``met`` is None where nothing is aimed at."""

    title: str
    model: str
    ratio: Ratio
    target: str | None
    met: bool | None


def compare(model: str, seconds: Mapping[str, Sequence[float]]) -> Iterator[Finding]:
    """Compare those whose seconds are there, in the order of ``COMPARISONS``."""
    for comparison in COMPARISONS:
        if not {comparison.numerator, comparison.denominator} <= seconds.keys():
            continue
        found = ratio(seconds[comparison.numerator], seconds[comparison.denominator])
        target = comparison.targets.get(model)
        if target is None:
            yield Finding(comparison.title, model, found, None, None)
            continue
        at_most = comparison.bound == "at most"
        met = found.median <= target if at_most else found.median >= target
        yield Finding(comparison.title, model, found, f"{comparison.bound} {target:g}", met)
