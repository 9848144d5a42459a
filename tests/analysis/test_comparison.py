"""How good a model is and by how much one is better: both doubts, against what others compute."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from benchmark.analysis.comparison import DOUBTS, Doubt, difference, interval
from benchmark.analysis.ranks import Bools
from benchmark.summaries import Difference, Interval
from perf.simulation import MadeModel, draw_tables
from tests.support.sampling import examples

CONFIDENCES = [0.9, 0.95, 0.99]
# Few, as the analysis of variance has an unknown for each.
IMAGES = 80


@st.composite
def tables(draw: st.DrawFn, fewest_seeds: int = 2) -> tuple[Bools, Bools]:
    """Of two models, with few images or many, alike or not, often right or seldom."""
    generator = numpy.random.default_rng(draw(st.integers(0, 2**32)))
    seeds = st.integers(fewest_seeds, 6)
    images = draw(st.sampled_from([1, 2, 16, 60, 300]))
    accuracies = st.sampled_from([0.03, 0.5, 0.8, 0.97])
    likeness = draw(st.sampled_from([0.0, 0.9, 1.0]))
    models = [MadeModel(draw(accuracies), 0.002) for _ in range(2)]
    of_a, of_b = draw_tables(models, 6, images, generator, likeness=likeness)
    return of_a[: draw(seeds)], of_b[: draw(seeds)]


def components(correct: Bools) -> tuple[float, float]:
    """The variance of the seeds' mean and E²/n, by an analysis of variance with dummy variables."""
    seeds, images = correct.shape
    rows, columns = numpy.indices(correct.shape).reshape(2, -1)
    design = numpy.hstack([numpy.eye(seeds)[rows], numpy.eye(images)[columns][:, 1:]])
    answers = correct.reshape(-1).astype(float)
    _, residuals, rank, _ = numpy.linalg.lstsq(design, answers, rcond=None)
    return (
        float(correct.mean(axis=1).var(ddof=1)) / seeds,
        float(residuals.sum()) / (len(answers) - int(rank)) / seeds,
    )


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize(("seeds_a", "seeds_b"), [(2, 2), (3, 5), (5, 4)])
def test_a_difference_is_that_of_the_design(seeds_a: int, seeds_b: int, confidence: float) -> None:
    generator = numpy.random.default_rng(seeds_a)
    models = MadeModel(0.7), MadeModel(0.6)
    of_a, of_b = draw_tables(models, 5, IMAGES, generator, likeness=0.7)
    of_a, of_b = of_a[:seeds_a], of_b[:seeds_b]
    (seeds_part_a, noise_a), (seeds_part_b, noise_b) = components(of_a), components(of_b)
    between = (of_a.mean(axis=0) - of_b.mean(axis=0)).var(ddof=1)
    images_part = max(0.0, (between - noise_a - noise_b) / IMAGES)
    variance = seeds_part_a + seeds_part_b + images_part
    freedom = variance**2 / (seeds_part_a**2 / (seeds_a - 1) + seeds_part_b**2 / (seeds_b - 1))
    mean = of_a.mean() - of_b.mean()
    reach = stats.t.ppf(0.5 + confidence / 2, freedom) * math.sqrt(variance)

    found = difference(of_a, of_b, confidence)
    assert found.mean == pytest.approx(mean)
    assert (found.low, found.high) == pytest.approx((mean - reach, mean + reach))
    assert found.degrees_of_freedom == pytest.approx(freedom)
    assert found.seed_standard_error == pytest.approx(math.sqrt(seeds_part_a + seeds_part_b))
    assert found.image_standard_error == pytest.approx(math.sqrt(images_part))
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(mean) / math.sqrt(variance), freedom))
    # What is detectable is found with a power of 80 %, by the noncentral t.
    assert found.detectable is not None
    deviation = found.detectable / math.sqrt(variance)
    assert stats.nct.sf(reach / math.sqrt(variance), freedom, deviation) == pytest.approx(0.8)


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_of_one_model_each_doubt_has_its_quantile(seeds: int, confidence: float) -> None:
    generator = numpy.random.default_rng(seeds)
    (correct,) = draw_tables([MadeModel(0.7)], seeds, IMAGES, generator)
    seeds_part, noise = components(correct)
    images_part = max(0.0, (correct.mean(axis=0).var(ddof=1) - noise) / IMAGES)
    variance = seeds_part + images_part
    level = 0.5 + confidence / 2
    weighed = stats.t.ppf(level, seeds - 1) * seeds_part + stats.norm.ppf(level) * images_part
    reach = weighed / math.sqrt(variance)

    found = interval(correct, confidence)
    assert found.mean == pytest.approx(correct.mean())
    assert found.low == pytest.approx(max(0, correct.mean() - reach))
    assert found.high == pytest.approx(min(1, correct.mean() + reach))
    assert found.degrees_of_freedom is not None
    assert stats.t.ppf(level, found.degrees_of_freedom) == pytest.approx(reach / variance**0.5)


def test_in_doubt_of_seeds_it_is_students_and_welchs() -> None:
    generator = numpy.random.default_rng(1)
    models = MadeModel(0.7, 0.02), MadeModel(0.6, 0.02)
    of_a, of_b = draw_tables(models, 5, 400, generator)
    of_b = of_b[:3]
    accuracies = DescrStatsW(of_a.mean(axis=1)), DescrStatsW(of_b.mean(axis=1))
    alone = interval(of_a, doubt="seeds")
    assert (alone.low, alone.high) == pytest.approx(accuracies[0].tconfint_mean())
    assert alone.image_standard_error is None
    found = difference(of_a, of_b, doubt="seeds")
    expected = CompareMeans(*accuracies)
    assert (found.low, found.high) == pytest.approx(expected.tconfint_diff(usevar="unequal"))
    assert found.p_value == pytest.approx(expected.ttest_ind(usevar="unequal")[1])
    assert found.image_standard_error is None


@pytest.mark.parametrize("seeds", [1, 3])
def test_in_doubt_of_images_it_is_the_normal_interval_over_images(seeds: int) -> None:
    of_a, of_b = draw_tables([MadeModel(0.7)] * 2, seeds, 400, numpy.random.default_rng(1))
    alone, found = interval(of_a, doubt="images"), difference(of_a, of_b, doubt="images")
    shares = DescrStatsW(of_a.mean(axis=0))
    assert (alone.low, alone.high) == pytest.approx(shares.zconfint_mean())
    differences = DescrStatsW(of_a.mean(axis=0) - of_b.mean(axis=0))
    assert (found.low, found.high) == pytest.approx(differences.zconfint_mean())
    assert found.p_value == pytest.approx(differences.ztest_mean()[1])
    assert alone.seed_standard_error is found.seed_standard_error is None


def test_images_are_paired_and_seeds_are_not() -> None:
    models = MadeModel(0.8), MadeModel(0.79)
    of_a, of_b = draw_tables(models, 5, 2_000, numpy.random.default_rng(0), likeness=0.95)
    found = difference(of_a, of_b)
    shuffled = difference(of_a, of_b[:, numpy.random.default_rng(1).permutation(2_000)])
    assert found.image_standard_error is not None
    assert shuffled.image_standard_error is not None
    assert shuffled.image_standard_error > 2 * found.image_standard_error
    assert shuffled.seed_standard_error == found.seed_standard_error


def figures(found: Interval | Difference) -> list[float]:
    """All of its figures, those that there are not as -1."""
    names = [
        *("mean", "low", "high", "degrees_of_freedom"),
        *("seed_standard_error", "image_standard_error"),
        *("p_value", "superiority", "detectable", "trainings_p_value"),
    ]
    values = [getattr(found, name, None) for name in names]
    return [-1.0 if value is None else value for value in values]


doubts = st.sampled_from(DOUBTS)


@settings(deadline=None, max_examples=examples(100))
@given(tables(fewest_seeds=1), doubts)
def test_the_order_of_seeds_and_of_images_does_not_matter(
    drawn: tuple[Bools, Bools], doubt: Doubt
) -> None:
    of_a, of_b = drawn
    order = numpy.random.default_rng(0).permutation(of_a.shape[1])
    other_a, other_b = of_a[::-1, order], numpy.roll(of_b, 1, axis=0)[:, order]
    expected = figures(difference(of_a, of_b, doubt=doubt))
    assert figures(difference(other_a, other_b, doubt=doubt)) == pytest.approx(expected, abs=1e-9)
    expected = figures(interval(of_a, doubt=doubt))
    assert figures(interval(other_a, doubt=doubt)) == pytest.approx(expected, abs=1e-9)


@settings(deadline=None, max_examples=examples(100))
@given(tables(fewest_seeds=1), doubts)
def test_the_reverse_difference_is_the_negative(drawn: tuple[Bools, Bools], doubt: Doubt) -> None:
    found, reverse = difference(*drawn, doubt=doubt), difference(*drawn[::-1], doubt=doubt)
    assert reverse.counts == found.counts[::-1]
    assert reverse.mean == -found.mean
    if found.low is not None and found.high is not None:
        assert reverse.low == pytest.approx(-found.high, abs=1e-12)
        assert reverse.high == pytest.approx(-found.low, abs=1e-12)
    if found.superiority is not None:
        assert reverse.superiority == pytest.approx(1 - found.superiority)
    for name in ("p_value", "detectable", "trainings_p_value", "degrees_of_freedom"):
        assert getattr(reverse, name) == pytest.approx(getattr(found, name))


@settings(deadline=None, max_examples=examples(100))
@given(tables(), doubts, st.sampled_from(CONFIDENCES))
def test_an_interval_has_a_width_and_decides_as_its_p_value_does(
    drawn: tuple[Bools, Bools], doubt: Doubt, confidence: float
) -> None:
    found = difference(*drawn, confidence, doubt)
    alone = interval(drawn[0], confidence, doubt)
    # In doubt of seeds alone, seeds that do not differ say nothing.
    if doubt == "seeds" and found.low is None:
        assert numpy.ptp(drawn[0].mean(axis=1)) == numpy.ptp(drawn[1].mean(axis=1)) == 0
        return
    assert found.low is not None
    assert found.high is not None
    assert found.p_value is not None
    assert -1 <= found.low <= found.mean <= found.high <= 1
    assert found.low < found.high
    assert (found.p_value < 1 - confidence) == (not found.low <= 0 <= found.high)
    if alone.low is not None and alone.high is not None:
        assert 0 <= alone.low <= alone.mean <= alone.high <= 1
        assert alone.low < alone.high


@pytest.mark.parametrize("doubt", ["both", "seeds"])
def test_one_seed_has_no_interval_about_models(doubt: Doubt) -> None:
    of_a, of_b = draw_tables([MadeModel(0.7)] * 2, 3, 400, numpy.random.default_rng(0))
    assert interval(of_a[:1], doubt=doubt) == Interval(of_a[0].mean(), None, None, 1)
    found = difference(of_a[:1], of_b, doubt=doubt)
    # Of three trainings there is no test that means anything of one.
    assert found == Difference(found.mean, (1, 3))
    assert difference(of_a[:1], of_b[:1], doubt=doubt).trainings_p_value is not None


@pytest.mark.parametrize("call", [interval, lambda bad: difference(bad, bad)])
@pytest.mark.parametrize(
    "bad",
    [
        numpy.ones((2, 3), int),
        numpy.ones((2, 3)),
        numpy.ones(3, bool),
        numpy.ones((2, 3, 4), bool),
        numpy.ones((0, 3), bool),
        numpy.ones((2, 0), bool),
        [[1, 0], [0, 1]],
        "right",
        None,
    ],
)
def test_what_is_no_boolean_array_of_seeds_and_images(call: Callable[[Any], Any], bad: Any) -> None:
    with pytest.raises(ValueError, match="boolean array of seeds x images"):
        call(bad)


def test_other_images_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="same images, got 20 and 30"):
        difference(numpy.ones((2, 20), bool), numpy.ones((2, 30), bool))


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.5, 95.0, math.nan])
@pytest.mark.parametrize("seeds", [1, 2])
def test_a_confidence_is_between_0_and_1(confidence: float, seeds: int) -> None:
    table = numpy.ones((seeds, 20), bool)
    with pytest.raises(ValueError, match="between 0 and 1"):
        interval(table, confidence)
    with pytest.raises(ValueError, match="between 0 and 1"):
        difference(table, table, confidence)
