"""Intervals of any figure of a training, against what scipy and statsmodels say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy
import pytest
from hypothesis import given, strategies as st
from scipy import stats
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from benchmark.analysis.intervals import mean_difference, mean_interval, mean_ratio
from benchmark.summaries import Difference, Interval

fractions = st.floats(min_value=0, max_value=1)
SECONDS = {0: 41.0, 1: 43.5, 2: 40.2, 3: 44.9, 4: 42.0, 5: 41.7}
FASTER = {0: 31.2, 1: 33.9, 2: 30.0, 3: 34.1, 4: 31.5, 5: 31.9}


def test_one_value_has_no_interval() -> None:
    assert mean_interval([0.8]) == Interval(0.8, None, None, 1)


def test_a_textbook_case() -> None:
    # t of 0.975 at 2 degrees of freedom is 4.303.
    interval = mean_interval([0.79, 0.80, 0.81])
    assert interval.mean == pytest.approx(0.80)
    assert interval.high is not None
    assert interval.high - 0.80 == pytest.approx(4.3027 * 0.01 / math.sqrt(3), rel=1e-4)


@given(st.lists(fractions, min_size=2, max_size=12), st.sampled_from([0.8, 0.95, 0.999]))
def test_of_one_mean_it_is_scipys_t_interval(values: list[float], confidence: float) -> None:
    interval = mean_interval(values, confidence)
    assert min(values) - 1e-12 <= interval.mean <= max(values) + 1e-12
    error = stats.sem(values)
    if error > 1e-9:
        low, high = stats.t.interval(confidence, len(values) - 1, interval.mean, error)
        assert (interval.low, interval.high) == pytest.approx((low, high))


@given(
    st.lists(fractions, min_size=2, max_size=8),
    st.lists(fractions, min_size=2, max_size=8),
    st.sampled_from([0.8, 0.95, 0.999]),
)
def test_of_two_means_it_is_welchs_as_statsmodels_has_it(
    values_a: list[float], values_b: list[float], confidence: float
) -> None:
    found = mean_difference(values_a, values_b, confidence)
    if max(numpy.ptp(values_a), numpy.ptp(values_b)) < 1e-6:
        return
    expected = CompareMeans(DescrStatsW(values_a), DescrStatsW(values_b))
    _, p_value, freedom = expected.ttest_ind(usevar="unequal")
    assert found.p_value == pytest.approx(p_value, rel=1e-6, abs=1e-12)
    assert found.degrees_of_freedom == pytest.approx(freedom)
    low, high = expected.tconfint_diff(1 - confidence, usevar="unequal")
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6, abs=1e-9)


# At 2 degrees of freedom and 99 % statsmodels' own figure has a power of 79.7 %.
@pytest.mark.parametrize(
    ("count", "confidence"), [(2, 0.95), (3, 0.9), (3, 0.99), (5, 0.95), (10, 0.99)]
)
def test_the_smallest_detectable_difference_has_a_power_of_80_percent(
    count: int, confidence: float
) -> None:
    values = numpy.random.default_rng(count).normal(size=count)
    found = mean_difference([*values], [*values], confidence)
    deviations = TTestIndPower().solve_power(nobs1=count, alpha=1 - confidence, power=0.8)
    assert found.detectable == pytest.approx(deviations * values.std(ddof=1), rel=1e-4)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("confidence", [0.9999, 1 - 0.05 / 15_000, 1 - 0.05 / 500_000])
def test_the_smallest_detectable_difference_is_known_however_sure_it_has_to_be(
    confidence: float,
) -> None:
    found = mean_difference([0.0, 1.0], [2.0, 2.0], confidence)
    # With one degree of freedom the t statistic is found where chance makes its divisor small.
    reach = stats.t.ppf(0.5 + confidence / 2, 1)
    expected = 0.5 * reach * numpy.sqrt(stats.chi2.ppf(0.8, 1))
    assert found.detectable == pytest.approx(expected, rel=1e-3)


def test_superiority_is_how_often_a_draw_of_one_exceeds_one_of_the_other() -> None:
    values_a, values_b = [0.80, 0.82, 0.84], [0.79, 0.80, 0.81]
    generator = numpy.random.default_rng(0)
    drawn_a, drawn_b = generator.normal([[0.82], [0.80]], [[0.02], [0.01]], (2, 100_000))
    found = mean_difference(values_a, values_b).superiority
    assert found == pytest.approx((drawn_a > drawn_b).mean(), abs=0.01)


@pytest.mark.parametrize(
    ("values_a", "values_b"), [([0.8], [0.7, 0.6]), ([0.8, 0.9], [0.7]), ([0.5, 0.5], [0.4, 0.4])]
)
def test_without_any_spread_a_difference_has_no_interval(
    values_a: list[float], values_b: list[float]
) -> None:
    found = mean_difference(values_a, values_b)
    assert found == Difference(found.mean, (len(values_a), len(values_b)))


def test_a_ratio_of_few_is_welchs_of_the_logarithms() -> None:
    seconds, faster = ({seed: each[seed] for seed in range(4)} for each in (SECONDS, FASTER))
    found = mean_ratio(seconds, faster)
    logarithms = [DescrStatsW(numpy.log([*each.values()])) for each in (seconds, faster)]
    expected = numpy.exp(CompareMeans(*logarithms).tconfint_diff(usevar="unequal"))
    assert not found.is_paired
    assert found.mean == pytest.approx(
        stats.gmean([*seconds.values()]) / stats.gmean([*faster.values()])
    )
    assert (found.low, found.high) == pytest.approx(tuple(expected))


def test_a_ratio_of_five_and_more_shared_seeds_is_paired() -> None:
    # In another order, and with a seed that the other has not.
    found = mean_ratio({9: 40.0, **dict(reversed(SECONDS.items()))}, FASTER)
    quotients = [SECONDS[seed] / FASTER[seed] for seed in SECONDS]
    expected = numpy.exp(DescrStatsW(numpy.log(quotients)).tconfint_mean())
    assert found.is_paired
    assert found.mean == pytest.approx(stats.gmean(quotients))
    assert (found.low, found.high) == pytest.approx(tuple(expected))


def test_seeds_of_two_runs_are_not_paired() -> None:
    seconds = {seed: 2.0 + seed for seed in range(6)}
    twice = {seed: 2 * value for seed, value in seconds.items()}
    assert mean_ratio(twice, seconds).is_paired
    found = mean_ratio(twice, seconds, is_one_run=False)
    assert not found.is_paired
    assert found.low is not None
    assert found.low < 1.5


def test_the_reverse_ratio_is_the_reciprocal() -> None:
    found, reverse = mean_ratio(SECONDS, FASTER), mean_ratio(FASTER, SECONDS)
    assert found.low is not None
    assert reverse.high == pytest.approx(1 / found.low)
    assert reverse.mean == pytest.approx(1 / found.mean)


@pytest.mark.parametrize("bad", [{}, {0: 0.0}, {0: 1.0, 1: -2.0}])
def test_a_ratio_needs_positive_values(bad: dict[int, float]) -> None:
    for pair in ((bad, FASTER), (FASTER, bad)):
        with pytest.raises(ValueError, match="positive values"):
            mean_ratio(*pair)


@pytest.mark.parametrize("arguments", [([],), ([], [1.0]), ([1.0], [])])
def test_no_value_has_no_mean(arguments: Sequence[list[float]]) -> None:
    figure: Callable[..., Any] = mean_interval if len(arguments) == 1 else mean_difference
    with pytest.raises(ValueError, match="at least one"):
        figure(*arguments)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.5, 95.0, math.nan])
def test_a_confidence_is_between_0_and_1(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        mean_interval([0.8, 0.9], confidence)
    with pytest.raises(ValueError, match="between 0 and 1"):
        mean_difference([0.8, 0.9], [0.8, 0.7], confidence)
    with pytest.raises(ValueError, match="between 0 and 1"):
        mean_ratio(SECONDS, FASTER, confidence)
