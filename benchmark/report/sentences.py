"""What a comparison says, in one sentence that can be quoted."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.analysis import Outcomes, Standings, outcomes_difference, seeds_needed
from benchmark.summaries import Difference

# Fewer say too little of the spread.
ADVISED_SEEDS = 3
_NO_SURENESS = (
    "this test finds two trainings of one model different in about one run of six, and more often "
    "if seeds vary widely, so it does not say which model is better"
)


def points(fraction: float, *, signed: bool = False) -> str:
    """A fraction in percentage points, with two digits behind the point."""
    # No number is a negative zero.
    number = round(fraction * 100, 2) + 0.0
    return f"{number:+.2f}" if signed else f"{number:.2f}"


def percent(fraction: float) -> str:
    """A confidence in per cent."""
    return f"{100 * fraction:.4g} %"


def bounds(difference: Difference) -> str:
    """The interval of a difference, in points; empty where there is none."""
    if difference.low is None or difference.high is None:
        return ""
    return f"{points(difference.low)} to {points(difference.high)}"


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def difference_sentence(name_a: str, name_b: str, difference: Difference) -> str:
    """Say by how much A is better or worse than B, and how sure that is."""
    size = _size(difference)
    if difference.p_value is None:
        return f"{_without_interval(name_a, name_b, size, difference)}."
    wide = "; with two seeds the interval is wide" if 2 in difference.counts else ""
    interval = f"{percent(difference.confidence)} interval {bounds(difference)}{wide}"
    if difference.is_sure:
        return f"{name_a} is {size} {name_b} ({interval})."
    return (
        f"{name_a} and {name_b} cannot be told apart: a difference of "
        f"{points(difference.mean, signed=True)} points ({interval})."
    )


def _size(difference: Difference) -> str:
    if difference.mean == 0:
        return "level with"
    direction = "below" if difference.mean < 0 else "above"
    return f"{points(abs(difference.mean))} points {direction}"


def _without_interval(name_a: str, name_b: str, size: str, difference: Difference) -> str:
    if difference.trainings_p_value is not None:
        return (
            f"{name_a} is {size} {name_b} in these two trainings (exact McNemar test, "
            f"p = {difference.trainings_p_value:.2g}), of one seed each; {_NO_SURENESS}"
        )
    if 1 in difference.counts:
        alone = name_a if difference.counts[0] == 1 else name_b
        return f"{name_a} is {size} {name_b}, but {alone} has only one seed: there is no interval"
    return f"{name_a} is {size} {name_b}; no seed differs from another, so there is no interval"


def leader_sentence(standings: Standings, confidence: float = 0.95) -> str:
    """Say which row is the best and by how much, or that the run cannot tell and what would.

    Empty where there are not two rows with completed trials.
    """
    if not standings.is_complete:
        return f"Ranks are not computed for {standings.count:,} models."
    if not standings.ranked:
        return _of_single_trainings(standings)
    pairs = zip(standings.ranked, standings.ranges(confidence), strict=True)
    best_first = sorted(pairs, key=lambda pair: -pair[0][1].mean)
    ranked = [row for row, _ in best_first]
    rivals = [row for row, rank in best_first if rank.best == 1]
    if len(rivals) == 1:
        sentence = _of_leader(ranked, confidence)
    else:
        sentence = _of_rivals(rivals, len(ranked), confidence)
    return " ".join(filter(None, [sentence, _of_unranked(standings, ranked[0])]))


def _of_leader(ranked: Sequence[tuple[str, Outcomes]], confidence: float) -> str:
    (first, best), (second, next_best) = ranked[:2]
    difference = outcomes_difference(best, next_best, confidence)
    following = second if len(ranked) == 2 else f"{second}, the next of {len(ranked)}"
    wide = " With two seeds intervals are wide." if 2 in difference.counts else ""
    return (
        f"{first} is best: {points(difference.mean)} points above {following} "
        f"({percent(confidence)} interval {bounds(difference)}).{wide}"
    )


def _of_rivals(rivals: Sequence[tuple[str, Outcomes]], count: int, confidence: float) -> str:
    """Name the first two of the rows that may be the best, and how many seeds would tell them.

    Every pair of the ``count`` models is compared, so the interval is the one of all pairs at once.
    """
    (first, best), (second, next_best) = rivals[:2]
    pairs = count * (count - 1) // 2
    surer = 1 - (1 - confidence) / pairs
    difference = outcomes_difference(best, next_best, surer)
    all_pairs = f" over all {pairs} pairs" if pairs > 1 else ""
    others = len(rivals) - 2
    among = f"; {others} more could be best" if others else ""
    return (
        f"This run cannot tell which is best: {first} is {_size(difference)} {second} "
        f"({percent(confidence)} interval{all_pairs} {bounds(difference)}){among}. "
        f"{_what_would_tell(best, next_best, surer)}"
    )


def _what_would_tell(a: Outcomes, b: Outcomes, confidence: float) -> str:
    distance = a.mean - b.mean
    if distance == 0:
        return "Their means are equal, so how many seeds would tell cannot be estimated."
    needed = seeds_needed(a, b, distance, confidence)
    if needed is None:
        return (
            f"No number of seeds would: {a.images:,} images are too few for a difference of "
            f"{points(distance)} points."
        )
    present = max(a.seeds, b.seeds)
    if needed <= present:
        return f"More seeds than {present} may tell."
    return f"If that is the difference, about {needed:,} seeds each would tell."


def _of_unranked(standings: Standings, best: tuple[str, Outcomes]) -> str:
    """Name the rows of one seed that are above the best of the others; empty where none is."""
    names = [name for name, found in standings.of_one_training if found.mean > best[1].mean]
    if not names:
        return ""
    has = "has" if len(names) == 1 else "have"
    return f"{listed(names)} scored higher than {best[0]}, but {has} only one seed and no rank."


def _of_single_trainings(standings: Standings) -> str:
    """Of the first two rows by accuracy, where not two have two seeds."""
    known = [
        (row.name, row.outcomes)
        for row in standings.rows
        if row.outcomes is not None and row.control_of is None
    ]
    if len(known) < 2:
        return ""
    (first, best), (second, next_best) = sorted(known, key=lambda row: -row[1].mean)[:2]
    sentence = difference_sentence(first, second, outcomes_difference(best, next_best))
    return f"{sentence} Train with {ADVISED_SEEDS} seeds or more."
