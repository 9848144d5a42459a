"""Means over seeds and their intervals."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st
from scipy import stats

from benchmark.analysis.intervals import mean_interval
from benchmark.summaries import Interval

fractions = st.floats(min_value=0, max_value=1)


def test_one_value_has_no_interval() -> None:
    interval = mean_interval([0.8])
    assert interval == Interval(0.8, None, None, 1)


def test_no_value_has_no_mean() -> None:
    with pytest.raises(ValueError, match="at least one"):
        mean_interval([])


def test_a_textbook_case() -> None:
    # t of 0.975 at 2 degrees of freedom is 4.303.
    interval = mean_interval([0.79, 0.80, 0.81])
    assert interval.mean == pytest.approx(0.80)
    assert interval.high is not None
    assert interval.high - 0.80 == pytest.approx(4.3027 * 0.01 / math.sqrt(3), rel=1e-4)


@given(st.lists(fractions, min_size=2, max_size=12))
def test_it_is_scipys_t_interval(values: list[float]) -> None:
    interval = mean_interval(values)
    assert min(values) - 1e-12 <= interval.mean <= max(values) + 1e-12
    error = stats.sem(values)
    if error > 1e-9:
        low, high = stats.t.interval(0.95, len(values) - 1, interval.mean, error)
        assert interval.low == pytest.approx(low)
        assert interval.high == pytest.approx(high)
