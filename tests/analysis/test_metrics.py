"""How sure a metric's mean is: the jackknife, and the interval over seeds and images."""

from __future__ import annotations

import math

import numpy
import pytest
import torch
from scipy import stats

from benchmark.analysis.comparison import interval
from benchmark.analysis.metrics import metric_interval
from benchmark.catalog.shelves import load_catalog
from benchmark.records import MetricFigure
from benchmark.trial.measuring import Measures


def figures(*values: float, error: float | None = 0.01) -> list[MetricFigure]:
    return [MetricFigure(value=value, image_standard_error=error) for value in values]


def measured(name: str, logits: torch.Tensor, labels: torch.Tensor) -> MetricFigure:
    measures = Measures([load_catalog().metrics[name].entry], pytest.fail)
    return measures.with_errors(logits, labels)[name]


def test_over_seeds_alone_it_is_students_interval() -> None:
    values = [0.61, 0.64, 0.60, 0.66]
    found = metric_interval(figures(*values), "seeds")
    low, high = stats.t.interval(0.95, 3, numpy.mean(values), stats.sem(values))
    assert found.low == pytest.approx(low)
    assert found.high == pytest.approx(high)


def test_both_doubts_add_up() -> None:
    found = metric_interval(figures(0.6, 0.7, error=0.02))
    from_seeds, from_images = 0.005 / 2, 0.0004
    variance = from_seeds + from_images
    freedom = variance**2 / (from_seeds**2 + from_images**2 / 19)
    assert found.degrees_of_freedom == pytest.approx(freedom)
    reach = stats.t.ppf(0.975, freedom) * math.sqrt(variance)
    assert found.low == pytest.approx(0.65 - reach)
    assert found.high == pytest.approx(0.65 + reach)


@pytest.mark.parametrize(
    ("given", "doubt"),
    [
        (figures(0.5), "both"),
        (figures(0.5), "seeds"),
        (figures(0.5, error=None), "images"),
        (figures(0.5, 0.5), "seeds"),
    ],
)
def test_where_nothing_is_known_of_a_doubt_there_is_no_interval(
    given: list[MetricFigure], doubt: str
) -> None:
    found = metric_interval(given, doubt)  # type: ignore[arg-type]
    assert (found.low, found.high) == (None, None)


def test_where_the_doubt_about_images_is_not_known_it_is_about_seeds() -> None:
    values = [0.61, 0.64, 0.60]
    found = metric_interval(figures(*values, error=None))
    assert (found.low, found.high) == (
        (alone := metric_interval(figures(*values), "seeds")).low,
        alone.high,
    )
    assert found.image_standard_error is None


def test_one_training_has_an_interval_over_images() -> None:
    found = metric_interval(figures(0.5, error=0.1), "images")
    assert found.high == pytest.approx(0.5 + stats.t.ppf(0.975, 19) * 0.1)


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 10, (10_000,), generator=random)
    logits = torch.randn(10_000, 10, generator=random)
    logits[torch.arange(10_000), labels] += 1
    for name, per_image in {
        "accuracy": (logits.argmax(1) == labels).double(),
        "negative_log_likelihood": -logits.double().log_softmax(1)[range(10_000), labels],
    }.items():
        found = measured(name, logits, labels).image_standard_error
        # It rests on 20 groups, so that it is off by a sixth on average.
        assert found == pytest.approx(float(per_image.std()) / 100, rel=0.5), name


def test_the_interval_is_near_that_of_the_answers_themselves() -> None:
    random = numpy.random.default_rng(0)
    easy = random.random(2_000)
    correct = random.random((5, 2_000)) < easy
    logits = [torch.from_numpy(numpy.stack([~row, row], 1)).float() for row in correct]
    labels = torch.ones(2_000, dtype=torch.int64)
    found = metric_interval([measured("accuracy", one, labels) for one in logits])
    exact = interval(correct)
    assert found.mean == pytest.approx(exact.mean)
    assert None not in (found.low, found.high, exact.low, exact.high)
    ratio = (found.high - found.low) / (exact.high - exact.low)  # type: ignore[operator]
    assert 0.8 < ratio < 1.6
