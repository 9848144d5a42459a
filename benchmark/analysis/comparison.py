"""How good a model is, and by how much one is better than another, with both doubts.

A model's accuracy is in doubt for two reasons: other seeds would have trained other networks, and
other test images would have been harder or easier. Seeds are nested in models, test images are
crossed with them: a split-plot multi-reader multi-case design (Hillis, "A marginal-mean ANOVA
approach for analyzing multireader multicase radiological imaging data", Statistics in Medicine 33,
2014; the same components of variance for networks in Jordan, "Calibrated chaos: variance between
runs of neural network training is harmless and inevitable", arXiv 2304.01910, 2023). So images are
paired and seeds are not.

``docs/calibration.md`` has how often these intervals cover the truth in simulations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from scipy import special

from benchmark.analysis.outcomes import Outcomes, image_variance
from benchmark.analysis.scores import PairedAnswers, mcnemar, wilson_bounds
from benchmark.analysis.student import (
    check_confidence,
    cochran_quantile,
    freedom_of_quantile,
    smallest_detectable,
    t_quantile,
    two_sided_p_value,
    welch_freedom,
)
from benchmark.summaries import Difference, Interval

Doubt = Literal["both", "seeds", "images"]
DOUBTS: tuple[Doubt, ...] = ("both", "seeds", "images")


def interval(correct: Any, confidence: float = 0.95, doubt: Doubt = "both") -> Interval:
    """How accurate a model is, from a boolean array of seeds x images.

    With S² the variance of the n seeds' accuracies, q_i the share of seeds that are right on image
    i, E² the residual mean square and N the number of images:

        V = S²/n + I,   I = max(0, (var_i(q) - E²/n) / N),   t = (t(n - 1) S²/n + t(∞) I) / V

    and the interval is the mean ± t sqrt(V), cut off at 0 and 1. Without the subtraction the noise
    of single answers would count twice. The degrees of freedom are those that have this t (Cochran,
    Biometrics 20, 1964): Satterthwaite's, which serve for ``difference``, are too many for a single
    model with few seeds. Where no seed differs from another, or fewer than ten images are wrong or
    right, it is Wilson's (JASA 22, 1927), for as many images as would have that V (Korn and
    Graubard, Survey Methodology 24, 1998), and at most N.

    ``doubt`` leaves one source out: ``seeds`` asks about other trainings, tested on these images,
    ``images`` about other images, put to these networks. For one seed there is no interval unless
    it is about these networks.

    Raises ValueError for what is no such array, and a confidence that is not between 0 and 1.
    """
    return outcomes_interval(Outcomes.of(correct), confidence, doubt)


def outcomes_interval(
    outcomes: Outcomes, confidence: float = 0.95, doubt: Doubt = "both"
) -> Interval:
    """The same as ``interval``, of a table that has been summed up."""
    check_confidence(confidence)
    seeds, mean = outcomes.seeds, outcomes.mean
    if doubt == "images":
        from_images = image_variance(outcomes.shares, 0.0)
        if outcomes.is_extreme or from_images == 0:
            return _wilson(outcomes, None, from_images, confidence)
        return _around(mean, seeds, None, from_images, math.inf, confidence)
    if seeds == 1:
        return Interval(mean, None, None, seeds)
    from_seeds = outcomes.seed_variance / seeds
    if doubt == "seeds":
        if from_seeds == 0:
            return Interval(mean, None, None, seeds)
        return _around(mean, seeds, from_seeds, None, seeds - 1, confidence)
    from_images = image_variance(outcomes.shares, outcomes.residual / seeds)
    if from_seeds == 0 or outcomes.is_extreme:
        return _wilson(outcomes, from_seeds, from_images, confidence)
    quantile = cochran_quantile(from_seeds, seeds - 1, from_images, confidence)
    freedom = freedom_of_quantile(quantile, confidence)
    return _around(mean, seeds, from_seeds, from_images, freedom, confidence)


def difference(
    correct_a: Any, correct_b: Any, confidence: float = 0.95, doubt: Doubt = "both"
) -> Difference:
    """By how much a model A is better than B, from two boolean arrays of seeds x images.

    The images are the same, in the same order; the seeds have nothing to do with one another.

        d = mean r_A - mean r_B
        V = S²_A/n_A + S²_B/n_B + max(0, (var_i(q_A - q_B) - E²_A/n_A - E²_B/n_B) / N)
        df = V² / ((S²_A/n_A)² / (n_A - 1) + (S²_B/n_B)² / (n_B - 1))

    in the words of ``interval``, and the interval is d ± t(df) sqrt(V). Where no seed differs from
    another, or fewer than ten images are wrong or right, it is the counterpart of Wilson's for
    paired answers (Tango, Statistics in Medicine 17, 1998).

    Where either has one seed there is no interval about models; where both have, there is the
    exact McNemar test of these two trainings.

    Raises ValueError for what are no such arrays, for different numbers of images, and for a
    confidence that is not between 0 and 1.
    """
    return outcomes_difference(Outcomes.of(correct_a), Outcomes.of(correct_b), confidence, doubt)


def outcomes_difference(
    a: Outcomes, b: Outcomes, confidence: float = 0.95, doubt: Doubt = "both"
) -> Difference:
    """The same as ``difference``, of tables that have been summed up."""
    check_confidence(confidence)
    if a.images != b.images:
        raise ValueError(f"both should have the same images, got {a.images} and {b.images}")
    mean = a.mean - b.mean
    if doubt != "images" and 1 in (a.seeds, b.seeds):
        both = a.seeds == b.seeds
        return Difference(
            mean,
            (a.seeds, b.seeds),
            trainings_p_value=mcnemar(a.shares, b.shares) if both else None,
            confidence=confidence,
        )
    found = _spread(a, b, doubt)
    if found.is_normal:
        return _normal_difference(a, b, found, confidence)
    if doubt == "seeds":
        counts = a.seeds, b.seeds
        return Difference(mean, counts, superiority=_superiority(a, b), confidence=confidence)
    return _score_difference(a, b, found, confidence)


@dataclass(frozen=True)
class _Spread:
    """The variance of a difference: what seeds and what images give to it, in doubt."""

    from_seeds: float | None
    from_images: float | None
    freedom: float
    is_normal: bool

    @property
    def variance(self) -> float:
        return (self.from_seeds or 0.0) + (self.from_images or 0.0)


def _spread(a: Outcomes, b: Outcomes, doubt: Doubt) -> _Spread:
    is_extreme = a.is_extreme or b.is_extreme
    differences = a.shares - b.shares
    if doubt == "images":
        from_images = image_variance(differences, 0.0)
        return _Spread(None, from_images, math.inf, from_images > 0 and not is_extreme)
    of_a, of_b = a.seed_variance / a.seeds, b.seed_variance / b.seeds
    from_seeds = of_a + of_b
    if doubt == "seeds":
        freedom = welch_freedom(from_seeds, (of_a, a.seeds), (of_b, b.seeds))
        return _Spread(from_seeds, None, freedom, from_seeds > 0)
    noise = a.residual / a.seeds + b.residual / b.seeds
    from_images = image_variance(differences, noise)
    freedom = welch_freedom(from_seeds + from_images, (of_a, a.seeds), (of_b, b.seeds))
    return _Spread(from_seeds, from_images, freedom, from_seeds > 0 and not is_extreme)


def _normal_difference(a: Outcomes, b: Outcomes, spread: _Spread, confidence: float) -> Difference:
    mean = a.mean - b.mean
    error = math.sqrt(spread.variance)
    reach = t_quantile(spread.freedom, confidence) * error
    return Difference(
        mean,
        (a.seeds, b.seeds),
        low=max(-1.0, mean - reach),
        high=min(1.0, mean + reach),
        seed_standard_error=_root(spread.from_seeds),
        image_standard_error=_root(spread.from_images),
        degrees_of_freedom=spread.freedom,
        p_value=two_sided_p_value(abs(mean) / error, spread.freedom),
        superiority=_superiority(a, b),
        detectable=smallest_detectable(error, spread.freedom, confidence),
        confidence=confidence,
    )


def _score_difference(a: Outcomes, b: Outcomes, spread: _Spread, confidence: float) -> Difference:
    mean = a.mean - b.mean
    quantile = t_quantile(math.inf, confidence)
    answers = PairedAnswers.of(mean, a.images, spread.variance)
    low, high = answers.bound(-quantile), answers.bound(quantile)
    # As far as it reaches towards no difference, which decides whether one is found.
    error = (mean - low if mean > 0 else high - mean) / quantile
    return Difference(
        mean,
        (a.seeds, b.seeds),
        low=low,
        high=high,
        seed_standard_error=_root(spread.from_seeds),
        image_standard_error=_rest(error, spread.from_seeds),
        degrees_of_freedom=math.inf,
        p_value=two_sided_p_value(abs(answers.score(0.0)), math.inf),
        superiority=_superiority(a, b),
        detectable=smallest_detectable(error, math.inf, confidence),
        confidence=confidence,
    )


def _around(
    mean: float,
    seeds: int,
    from_seeds: float | None,
    from_images: float | None,
    freedom: float,
    confidence: float,
) -> Interval:
    variance = (from_seeds or 0.0) + (from_images or 0.0)
    reach = t_quantile(freedom, confidence) * math.sqrt(variance)
    return Interval(
        mean,
        max(0.0, mean - reach),
        min(1.0, mean + reach),
        seeds,
        seed_standard_error=_root(from_seeds),
        image_standard_error=_root(from_images),
        degrees_of_freedom=freedom,
    )


def _wilson(
    outcomes: Outcomes, from_seeds: float | None, from_images: float, confidence: float
) -> Interval:
    quantile = t_quantile(math.inf, confidence)
    low, high = wilson_bounds(outcomes, (from_seeds or 0.0) + from_images, quantile)
    return Interval(
        outcomes.mean,
        low,
        high,
        outcomes.seeds,
        seed_standard_error=_root(from_seeds),
        image_standard_error=_rest((high - low) / 2 / quantile, from_seeds),
        degrees_of_freedom=math.inf,
    )


def _superiority(a: Outcomes, b: Outcomes) -> float | None:
    """How often a training of A beats one of B on these images, if both are normal."""
    if 1 in (a.seeds, b.seeds):
        return None
    variance = a.seed_variance + b.seed_variance
    mean = a.mean - b.mean
    if variance == 0:
        return 0.5 if mean == 0 else float(mean > 0)
    return float(special.ndtr(mean / math.sqrt(variance)))


def _rest(error: float, from_seeds: float | None) -> float:
    """What images contribute to a standard error, of which seeds contribute a part."""
    return math.sqrt(max(0.0, error**2 - (from_seeds or 0.0)))


def _root(variance: float | None) -> float | None:
    return None if variance is None else math.sqrt(variance)
