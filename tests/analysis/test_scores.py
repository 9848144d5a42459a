"""Intervals over images where few are wrong, against statsmodels and what has been published."""

from __future__ import annotations

import math

import numpy
import pytest
from hypothesis import given, strategies as st
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from benchmark.analysis.comparison import difference, interval
from benchmark.analysis.ranks import Bools


def answers(images: int, wrong: int, seeds: int = 1) -> Bools:
    """Of seeds that are all right on the same images."""
    return numpy.tile(numpy.arange(images) >= wrong, (seeds, 1))


def paired(both: int, only_a: int, only_b: int, neither: int) -> tuple[Bools, Bools]:
    """Of one training each."""
    of_a = [True] * (both + only_a) + [False] * (only_b + neither)
    of_b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return numpy.array([of_a]), numpy.array([of_b])


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(("images", "wrong"), [(16, 0), (16, 16), (16, 3), (1, 0), (10_000, 9)])
def test_where_no_seed_differs_it_is_wilsons(images: int, wrong: int, confidence: float) -> None:
    expected = proportion_confint(images - wrong, images, 1 - confidence, method="wilson")
    for seeds in (2, 5):
        found = interval(answers(images, wrong, seeds), confidence)
        assert (found.low, found.high) == pytest.approx(expected)
        assert found.degrees_of_freedom == numpy.inf
    found = interval(answers(images, wrong), confidence, doubt="images")
    assert (found.low, found.high) == pytest.approx(expected)


def test_it_is_wilsons_also_where_many_are_wrong_but_no_seed_differs() -> None:
    found = interval(answers(1_000, 200, seeds=3))
    assert (found.low, found.high) == pytest.approx(proportion_confint(800, 1_000, method="wilson"))


@pytest.mark.parametrize("images", [1, 2, 16, 300, 10_000])
@pytest.mark.parametrize("wrong", [0, 1])
def test_all_right_or_all_wrong_is_no_certainty(images: int, wrong: int) -> None:
    table = answers(images, images * wrong, seeds=2)
    alone, same = interval(table), difference(table, table)
    for low, high in ((alone.low, alone.high), (same.low, same.high)):
        assert low is not None
        assert high is not None
        assert high - low > 1 / (images + 1)
    assert same.p_value == 1


def test_seeds_that_differ_widen_it() -> None:
    table = answers(300, 5, seeds=4)
    same = interval(table)
    # On average five are wrong as before, but not of every seed.
    table[0, :5], table[1, 5:10] = True, False
    other = interval(table)
    assert other.mean == same.mean
    assert other.low is not None
    assert same.low is not None
    assert other.low < same.low - 0.003
    assert other.degrees_of_freedom == numpy.inf


def test_a_published_example() -> None:
    # Of 21 children the airways reacted before a treatment in 2 and after it in 8: Fagerland,
    # Lydersen and Laake, Statistics in Medicine 33 (2014), Tango's interval.
    found = difference(*paired(1, 1, 7, 12), doubt="images")
    assert (found.low, found.high) == pytest.approx((-0.517, -0.026), abs=5e-4)


counts = st.integers(min_value=0, max_value=12)


@given(counts, counts, counts, st.integers(min_value=0, max_value=300))
def test_of_two_networks_the_bounds_are_where_the_score_test_has_its_quantile(
    both: int, only_a: int, only_b: int, neither: int
) -> None:
    images = both + only_a + only_b + neither
    # Fewer than ten right, so that Tango's is used.
    if images == 0 or both + min(only_a, only_b) >= 10:
        return
    found = difference(*paired(both, only_a, only_b, neither), doubt="images")
    quantile = stats.norm.ppf(0.975)
    for bound in (found.low, found.high):
        assert bound is not None
        if abs(bound) == 1:
            # There is nothing beyond.
            assert found.mean == bound
            continue
        assert abs(score(images, only_a, only_b, bound)) == pytest.approx(quantile, rel=1e-3)
    assert found.p_value is not None
    if only_a + only_b:
        expected = mcnemar([[both, only_a], [only_b, neither]], exact=False, correction=False)
        assert found.p_value == pytest.approx(expected.pvalue)
    else:
        assert found.p_value == 1


def score(images: int, only_a: int, only_b: int, supposed: float) -> float:
    """How far the observed difference is from one that is supposed, by its likelihood's maximum."""

    def unlikelihood(share_b: float) -> float:
        alike = 1 - 2 * share_b - supposed
        terms = ((only_a, share_b + supposed), (only_b, share_b), (images - only_a - only_b, alike))
        return -sum(count * math.log(share) for count, share in terms if count)

    bounds = (max(0.0, -supposed) + 1e-13, (1 - supposed) / 2 - 1e-13)
    share_b = optimize.minimize_scalar(
        unlikelihood, bounds=bounds, method="bounded", options={"xatol": 1e-13}
    ).x
    variance = (2 * share_b + supposed - supposed**2) / images
    return ((only_a - only_b) / images - supposed) / math.sqrt(variance)


@given(counts, counts)
def test_of_one_training_each_it_is_mcnemars_exact_test(only_a: int, only_b: int) -> None:
    found = difference(*paired(30, only_a, only_b, 7))
    expected = mcnemar([[30, only_a], [only_b, 7]], exact=True)
    assert found.trainings_p_value == pytest.approx(expected.pvalue)
    assert found.mean == pytest.approx((only_a - only_b) / (37 + only_a + only_b))
    assert found.low is found.high is found.p_value is found.superiority is None
