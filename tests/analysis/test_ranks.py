"""Ranks that models may have, where "cannot be told apart" is no order."""

from __future__ import annotations

import math

import numpy
import pytest
from hypothesis import given, settings, strategies as st
from statsmodels.stats.multitest import multipletests

from benchmark.analysis.comparison import outcomes_difference
from benchmark.analysis.outcomes import Outcomes
from benchmark.analysis.ranks import holm_adjusted, pairwise_p_values, rank_ranges
from perf.simulation import MadeModel, draw_tables
from tests.support.sampling import examples


def trained(*accuracies: float, seeds: int = 5, images: int = 2_000) -> list[Outcomes]:
    """Models that differ as they are said to, as far as chance lets them."""
    models = [MadeModel(accuracy, 0.002) for accuracy in accuracies]
    generator = numpy.random.default_rng(3)
    return [
        Outcomes.of(table) for table in draw_tables(models, seeds, images, generator, likeness=0.95)
    ]


def shown(outcomes: list[Outcomes], confidence: float = 0.95) -> list[str]:
    return [str(found) for found in rank_ranges(outcomes, confidence)]


@pytest.mark.parametrize(
    ("accuracies", "ranks"),
    [
        ((0.9, 0.8, 0.7), ["1", "2", "3"]),
        ((0.7, 0.9, 0.8), ["3", "1", "2"]),
        ((0.8, 0.8, 0.6), ["1-2", "1-2", "3"]),
        ((0.9, 0.7, 0.7, 0.7), ["1", "2-4", "2-4", "2-4"]),
        ((0.7, 0.7), ["1-2", "1-2"]),
        ((0.7,), ["1"]),
        ((), []),
    ],
)
def test_a_rank_is_as_narrow_as_the_differences_are_sure(
    accuracies: tuple[float, ...], ranks: list[str]
) -> None:
    assert shown(trained(*accuracies)) == ranks


def test_a_model_between_two_that_differ_may_have_any_rank() -> None:
    # Neighbours are 2.8 standard errors apart, by Student's t at 4 degrees p = 0.051.
    outcomes = [
        Outcomes(middle + numpy.array([-0.004, 0, 0.004]), numpy.full(1_000, middle), 0.1)
        for middle in (0.709, 0.700, 0.691)
    ]
    assert shown(outcomes) == ["1-2", "1-3", "2-3"]
    assert shown([outcomes[2], outcomes[0], outcomes[1]]) == ["2-3", "1-2", "1-3"]


def test_the_same_model_twice_is_never_told_apart() -> None:
    (outcomes,) = trained(0.8)
    assert shown([outcomes, outcomes]) == ["1-2", "1-2"]


def test_more_confidence_makes_them_wider() -> None:
    outcomes = trained(0.82, 0.80, 0.79, 0.78)
    widths = [
        sum(found.worst - found.best for found in rank_ranges(outcomes, confidence))
        for confidence in (0.5, 0.95, 1 - 1e-12)
    ]
    assert widths[0] < widths[1] < widths[2] == 4 * 3


models = st.lists(
    st.tuples(st.sampled_from([0.03, 0.5, 0.8, 0.97, 0.999]), st.integers(2, 4)),
    min_size=2,
    max_size=5,
)


@settings(deadline=None, max_examples=examples(100))
@given(models, st.sampled_from([1, 16, 60, 300]), st.integers(0, 2**32))
def test_all_pairs_at_once_are_compared_as_each_pair_is(
    drawn: list[tuple[float, int]], images: int, seed: int
) -> None:
    generator = numpy.random.default_rng(seed)
    made = [MadeModel(accuracy, 0.0) for accuracy, _ in drawn]
    tables = draw_tables(made, 4, images, generator, likeness=0.9)
    outcomes = [Outcomes.of(table[:seeds]) for table, (_, seeds) in zip(tables, drawn, strict=True)]
    means, p_values = pairwise_p_values([*outcomes, outcomes[0]])
    assert [*means] == [each.mean for each in [*outcomes, outcomes[0]]]
    for row, a in enumerate(outcomes):
        for column, b in enumerate([*outcomes, outcomes[0]]):
            expected = 1.0 if row == column else outcomes_difference(a, b).p_value
            assert p_values[row, column] == pytest.approx(expected, rel=1e-6)
            assert p_values[row, column] == p_values[column, row]


@given(st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_p_values_are_adjusted_as_statsmodels_does_by_holm(p_values: list[float]) -> None:
    matrix = numpy.ones((4, 4))
    above = numpy.triu_indices(4, 1)
    matrix[above] = p_values
    matrix.T[above] = p_values
    adjusted = holm_adjusted(matrix)
    assert adjusted[above] == pytest.approx(multipletests(p_values, method="holm")[1])
    assert (adjusted == adjusted.T).all()
    assert (numpy.diag(adjusted) == 1).all()


def test_a_model_with_one_seed_has_no_rank() -> None:
    with pytest.raises(ValueError, match="one seed"):
        rank_ranges([*trained(0.8, 0.7), *trained(0.8, seeds=1)])


def test_models_that_were_tested_on_other_images_have_no_rank() -> None:
    with pytest.raises(ValueError, match="same images"):
        rank_ranges([*trained(0.8), *trained(0.8, images=1_000)])


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, math.nan])
def test_a_confidence_is_between_0_and_1(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        rank_ranges(trained(0.8, 0.7), confidence)
