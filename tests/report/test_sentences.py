"""The sentence under the table says which model is best, or that the run cannot tell."""

from __future__ import annotations

import re

import numpy
import pytest

from benchmark.analysis import standings
from benchmark.analysis.comparison import difference
from benchmark.analysis.outcomes import Outcomes
from benchmark.analysis.power import seeds_needed
from benchmark.analysis.standings import Standing, Standings
from benchmark.report.sentences import difference_sentence, leader_sentence
from tests.support.made_records import make_summary

IMAGES = 2_000


def answers(seed: int, *accuracies: float, images: int = IMAGES) -> numpy.ndarray:
    """A training for each accuracy; on the images that are hard for one, most others fail, too."""
    generator = numpy.random.default_rng(seed)
    hardness = numpy.linspace(0, 1, images)
    noise = generator.normal(0, 0.05, (len(accuracies), images))
    order = numpy.argsort(numpy.argsort(hardness + noise, axis=1), axis=1)
    return order < numpy.array(accuracies)[:, None] * images


def standing(**rows: numpy.ndarray | None) -> Standings:
    found = [
        Standing(name, None if correct is None else Outcomes.of(correct))
        for name, correct in rows.items()
    ]
    return Standings(found, len(found))


CLEAR = {"low": answers(0, 0.60, 0.61, 0.62), "high": answers(1, 0.71, 0.70, 0.72)}
CLOSE = {"low": answers(0, 0.60, 0.61, 0.62), "high": answers(1, 0.63, 0.60, 0.615)}


def test_a_leader_is_named_with_its_lead() -> None:
    sentence = leader_sentence(standing(**CLEAR))
    found = re.fullmatch(
        r"high is best: 10\.00 points above low \(95 % interval ([\d.]+) to ([\d.]+)\)\.", sentence
    )
    assert found is not None, sentence
    expected = difference(CLEAR["high"], CLEAR["low"])
    assert expected.low is not None
    assert expected.high is not None
    assert found.groups() == (f"{expected.low * 100:.2f}", f"{expected.high * 100:.2f}")
    assert float(found[1]) < 10 < float(found[2])


def test_of_several_the_next_is_named() -> None:
    sentence = leader_sentence(standing(third=answers(2, 0.3, 0.31), **CLEAR))
    assert sentence.startswith("high is best: 10.00 points above low, the next of 3 (95 % interval")


def test_where_the_run_cannot_tell_the_number_of_seeds_that_would_is_given() -> None:
    sentence = leader_sentence(standing(**CLOSE))
    found = re.fullmatch(
        r"This run cannot tell which is best: high is 0\.50 points above low "
        r"\(95 % interval -[\d.]+ to [\d.]+\)\. "
        r"If that is the difference, about (\d+) seeds each would tell\.",
        sentence,
    )
    assert found is not None, sentence
    low, high = (Outcomes.of(CLOSE[name]) for name in ("low", "high"))
    assert found[1] == str(seeds_needed(high, low, 0.005))


def test_where_test_images_are_too_few_no_number_of_seeds_would_tell() -> None:
    # What seeds do is known exactly; that other images would be as kind to one is not.
    few = 50
    generator = numpy.random.default_rng(5)
    right = generator.random((2, few)) < 0.5
    right[:, :2] = [[True, True], [False, False]]
    once = numpy.zeros((3, few), bool)
    once[0, -1] = True
    a, b = right[0] ^ once, right[1] ^ once
    sentence = leader_sentence(standing(a=a, b=b))
    assert re.search(r"No number of seeds would: 50 images are too few for", sentence)


def test_models_that_are_level_are_never_told_apart() -> None:
    right = answers(0, 0.60, 0.61, 0.62)
    sentence = leader_sentence(standing(a=right, b=right[::-1]))
    assert sentence.startswith("This run cannot tell which is best: a is level with b")
    assert sentence.endswith(
        "Their means are equal, so how many seeds would tell cannot be estimated."
    )


def test_a_difference_that_is_sure_only_by_itself_is_not_quoted_as_sure() -> None:
    rows = {"best": answers(9, 0.625, 0.63, 0.64)}
    rows |= {name: answers(seed, 0.60, 0.61, 0.62) for seed, name in enumerate("abcde")}
    found = standing(**rows)
    sentence = leader_sentence(found)
    assert sentence.startswith("This run cannot tell which is best: best is ")
    interval = re.search(r"\(95 % interval over all 15 pairs (-?[\d.]+) to [\d.]+\)", sentence)
    assert interval is not None, sentence
    assert float(interval[1]) < 0


def test_what_scored_higher_in_its_one_training_is_not_passed_over() -> None:
    rows = {**CLEAR, "lucky": answers(3, 0.9), "poor": answers(4, 0.2)}
    assert leader_sentence(standing(**rows)).endswith(
        ". lucky scored higher than high, but has only one seed and no rank."
    )


def test_how_many_more_may_be_the_best_is_said() -> None:
    rows = {name: answers(seed, 0.60, 0.61, 0.62) for seed, name in enumerate("abcd")}
    assert "; 2 more could be best. " in leader_sentence(standing(**rows))


def test_one_training_each_says_nothing_of_the_models() -> None:
    sentence = leader_sentence(standing(a=answers(0, 0.6), b=answers(1, 0.7)))
    assert sentence.startswith(
        "b is 10.00 points above a in these two trainings (exact McNemar test, p = "
    )
    assert "finds two trainings of one model different in about one run of six" in sentence
    assert sentence.endswith("Train with 3 seeds or more.")


def test_a_row_with_one_seed_is_named() -> None:
    sentence = leader_sentence(standing(a=answers(0, 0.6), b=answers(1, 0.7, 0.71)))
    assert "but a has only one seed: there is no interval" in sentence


def test_two_seeds_are_said_to_be_few() -> None:
    rows = {"a": answers(0, 0.2, 0.2005), "b": answers(1, 0.7, 0.7005)}
    assert leader_sentence(standing(**rows)).endswith(" With two seeds intervals are wide.")


@pytest.mark.parametrize(
    "rows", [{}, {"a": answers(0, 0.6, 0.7)}, {"a": answers(0, 0.6), "b": None}]
)
def test_one_row_has_nothing_to_be_better_than(rows: dict[str, numpy.ndarray | None]) -> None:
    assert leader_sentence(standing(**rows)) == ""


def test_of_too_many_rows_it_is_said_that_they_are_not_ranked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(standings, "MOST_ROWS", 3)
    many = Standings()
    assert len([*many.noting(make_summary(name, 0.60, 0.61) for name in "abcd")]) == 4
    assert leader_sentence(many) == "Ranks are not computed for 4 models."
    assert many.ranks() == [None] * 4


def test_a_difference_can_be_quoted_either_way_round() -> None:
    found = difference(CLEAR["low"], CLEAR["high"])
    assert difference_sentence("low", "high", found).startswith(
        "low is 10.00 points below high (95"
    )
    found = difference(CLOSE["low"], CLOSE["high"])
    assert difference_sentence("low", "high", found).startswith(
        "low and high cannot be told apart: a difference of -0.50 points (95 % interval -"
    )
