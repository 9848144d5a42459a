"""What one run of the tests leaves out, others draw."""

from __future__ import annotations

import pytest

from tests.support import sampling
from tests.support.sampling import ALL, SAMPLE, examples, hypothesis_seed, is_drawn, sampled

CASES = "abcdefgh"


def of(monkeypatch: pytest.MonkeyPatch, seed: str) -> list[str]:
    monkeypatch.setenv(SAMPLE, seed)
    return sampled("letters", CASES, 3)


def test_a_seed_draws_the_same_again_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = of(monkeypatch, "3652f13")
    assert len(drawn) == 3
    assert drawn == sorted(drawn) == of(monkeypatch, "3652f13")
    assert drawn != sampled("other letters", CASES, 3)


def test_in_time_every_case_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [of(monkeypatch, str(commit)) for commit in range(50)]
    assert {case for sample in drawn for case in sample} == {*CASES}
    single = []
    for commit in range(50):
        monkeypatch.setenv(SAMPLE, str(commit))
        single.append(is_drawn("single", one_in=4))
    assert 5 < sum(single) < 25
    assert examples(100) == 25


def test_all_leaves_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert of(monkeypatch, ALL) == [*CASES]
    assert is_drawn("single", one_in=1000)
    assert examples(100) == 100


def test_a_commit_has_a_seed_of_its_own_and_so_has_a_tree_without_git(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(SAMPLE)
    found = sampling.seed()
    monkeypatch.delenv(SAMPLE)
    assert sampling.seed() == found
    assert hypothesis_seed() >= 0
    monkeypatch.delenv(SAMPLE)
    monkeypatch.setenv("PATH", "")
    without_git = sampling.seed()
    assert len(without_git) == 10
    assert without_git not in ("", ALL)
