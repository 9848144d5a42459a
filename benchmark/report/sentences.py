"""What a comparison says, in one sentence that can be quoted."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.analysis import Outcomes, Standings, outcomes_difference, rank_ranges, seeds_needed
from benchmark.summaries import Difference

# Fewer say too little of the spread.
ADVISED_SEEDS = 3
_NO_SURENESS = (
    "this test finds two trainings of one model different in about one run of six, so it does not "
    "say which model is better"
)


def points(fraction: float, *, signed: bool = False) -> str:
    """A fraction in percentage points, with two digits behind the point."""
    # No number is a negative zero.
    number = round(fraction * 100, 2) + 0.0
    return f"{number:+.2f}" if signed else f"{number:.2f}"


def bounds(difference: Difference) -> str:
    """The interval of a difference, in points; empty where there is none."""
    if difference.low is None or difference.high is None:
        return ""
    return f"{points(difference.low)} to {points(difference.high)}"


def difference_sentence(name_a: str, name_b: str, difference: Difference) -> str:
    """Say by how much A is better or worse than B, and how sure that is."""
    size = f"{points(abs(difference.mean))} points"
    direction = "below" if difference.mean < 0 else "above"
    if difference.p_value is None:
        return f"{_without_interval(name_a, name_b, size, direction, difference)}."
    wide = "; with two seeds the interval is wide" if 2 in difference.counts else ""
    interval = f"95 % interval {bounds(difference)}{wide}"
    if difference.p_value < 0.05:
        return f"{name_a} is {size} {direction} {name_b} ({interval})."
    return (
        f"{name_a} and {name_b} cannot be told apart: a difference of "
        f"{points(difference.mean, signed=True)} points ({interval})."
    )


def _without_interval(
    name_a: str, name_b: str, size: str, direction: str, difference: Difference
) -> str:
    if difference.trainings_p_value is not None:
        return (
            f"{name_a} is {size} {direction} {name_b} in these two trainings (exact McNemar test, "
            f"p = {difference.trainings_p_value:.2g}), of one seed each; {_NO_SURENESS}"
        )
    if 1 in difference.counts:
        alone = name_a if difference.counts[0] == 1 else name_b
        return (
            f"{name_a} is {size} {direction} {name_b}, but {alone} was trained with one seed, "
            "which says nothing of its spread"
        )
    return f"{name_a} is {size} {direction} {name_b}, without any spread over seeds"


def leader_sentence(standings: Standings, confidence: float = 0.95) -> str:
    """Say which row is the best and by how much, or that the run cannot tell and what would.

    Empty where there are not two rows with completed trials.
    """
    if not standings.is_complete:
        return f"Of {standings.count:,} models no ranks are worked out."
    ranked = sorted(standings.ranked, key=lambda row: -row[1].mean)
    if not ranked:
        return _of_single_trainings(standings)
    ranges = rank_ranges([outcomes for _, outcomes in ranked], confidence)
    rivals = [row for row, rank in zip(ranked, ranges, strict=True) if rank.best == 1]
    if len(rivals) == 1:
        return _of_leader(ranked)
    return _of_rivals(rivals, len(ranked), confidence)


def _of_leader(ranked: Sequence[tuple[str, Outcomes]]) -> str:
    (first, best), (second, next_best) = ranked[:2]
    difference = outcomes_difference(best, next_best)
    following = second if len(ranked) == 2 else f"{second}, the next of {len(ranked)}"
    wide = " With two seeds intervals are wide." if 2 in difference.counts else ""
    return (
        f"{first} is best: {points(difference.mean)} points above {following} "
        f"(95 % interval {bounds(difference)}).{wide}"
    )


def _of_rivals(rivals: Sequence[tuple[str, Outcomes]], count: int, confidence: float) -> str:
    """Name the first two of the rows that may be the best, and how many seeds would tell them."""
    (first, best), (second, next_best) = rivals[:2]
    difference = outcomes_difference(best, next_best)
    among = "" if len(rivals) == 2 else f", and {len(rivals) - 2} more may be the best"
    return (
        f"This run cannot tell which is best: {first} is {points(difference.mean)} points above "
        f"{second} (95 % interval {bounds(difference)}){among}. "
        f"{_what_would_tell(best, next_best, count, confidence)}"
    )


def _what_would_tell(a: Outcomes, b: Outcomes, count: int, confidence: float) -> str:
    distance = a.mean - b.mean
    if distance == 0:
        return "They are level, so no number of seeds would tell."
    # Of several models every pair is compared, and each has to be surer.
    pairs = count * (count - 1) // 2
    needed = seeds_needed(a, b, distance, 1 - (1 - confidence) / pairs)
    if needed is None:
        return (
            f"No number of seeds would: {a.images:,} test images are too few for a difference of "
            f"{points(distance)} points."
        )
    present = max(a.seeds, b.seeds)
    if needed <= present:
        return f"More seeds than {present} may tell."
    return f"If that is the difference, about {needed:,} seeds each would tell."


def _of_single_trainings(standings: Standings) -> str:
    """Of the first two rows by accuracy, where not two have two seeds."""
    known = [(row.name, row.outcomes) for row in standings.rows if row.outcomes is not None]
    if len(known) < 2:
        return ""
    (first, best), (second, next_best) = sorted(known, key=lambda row: -row[1].mean)[:2]
    sentence = difference_sentence(first, second, outcomes_difference(best, next_best))
    return f"{sentence} Train with {ADVISED_SEEDS} seeds or more."
