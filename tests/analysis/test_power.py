"""How many seeds would tell two models apart, against what statsmodels says."""

from __future__ import annotations

import math

import numpy
import pytest
from statsmodels.stats.power import TTestIndPower

from benchmark.analysis.outcomes import Outcomes
from benchmark.analysis.power import seeds_needed

IMAGES = 1_000


def without_doubt_of_images(*accuracies: float) -> Outcomes:
    """Trainings between which only noise decides which images are right."""
    generator = numpy.random.default_rng(len(accuracies))
    rows = [generator.permutation(IMAGES) < accuracy * IMAGES for accuracy in accuracies]
    outcomes = Outcomes.of(numpy.stack(rows))
    # Whatever is left of the images' part by chance is taken away.
    return Outcomes(outcomes.accuracies, numpy.full(IMAGES, outcomes.mean), outcomes.residual)


@pytest.mark.parametrize("distance", [0.004, 0.01, 0.02, 0.05])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.995])
def test_of_seeds_alone_it_is_the_power_of_students_test(
    distance: float, confidence: float
) -> None:
    a, b = without_doubt_of_images(0.6, 0.62, 0.64), without_doubt_of_images(0.5, 0.52, 0.54)
    needed = seeds_needed(a, b, distance, confidence)
    expected = TTestIndPower().solve_power(distance / 0.02, alpha=1 - confidence, power=0.8)
    assert needed == max(2, math.ceil(expected))


def test_the_sign_of_the_difference_does_not_matter() -> None:
    a, b = without_doubt_of_images(0.6, 0.62, 0.64), without_doubt_of_images(0.5, 0.52, 0.54)
    assert seeds_needed(a, b, -0.01) == seeds_needed(a, b, 0.01)


def test_no_difference_is_never_found() -> None:
    a, b = without_doubt_of_images(0.6, 0.62, 0.64), without_doubt_of_images(0.5, 0.52, 0.54)
    assert seeds_needed(a, b, 0.0) is None


def test_what_the_images_leave_in_doubt_no_seed_resolves() -> None:
    # Each is right on images of its own, and always on the same.
    halves = numpy.arange(IMAGES) < IMAGES // 2
    a = Outcomes.of(numpy.stack([halves, halves]))
    b = Outcomes.of(numpy.stack([~halves, ~halves]))
    assert seeds_needed(a, b, 0.05) is None
    assert seeds_needed(a, b, 0.2) == 2
