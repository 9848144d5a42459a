"""From counted simulations to the tables of docs/calibration.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perf.report import table
from perf.scenarios import EVERY, FEW_WRONG, SCENARIOS

SEEDS = (2, 3, 5, 10)
IMAGES = 10_000
FEW_IMAGES = (16, 100, 300)
# As docs/calibration.md says them.
OTHER_RULES = {
    "": "this rule",
    "paired_": "seeds paired",
    "seeds_": "seeds alone",
    "noise_": "noise twice",
}
LOPSIDED = ("point", "unequal", "lopsided")
COMPARED = ("same", "point", "good", "unlike")

Cells = Mapping[tuple[str, int, int], Mapping[str, float]]


def write_tables(results: Mapping[str, Any]) -> str:
    """Write all that was counted, as Markdown."""
    cells = {(row["scenario"], row["images"], row["seeds"]): row for row in results["scenarios"]}
    repeats = results["repeats"]
    parts = [
        "### What the records say",
        _models(results["components"]["models"]),
        "The shares of images that no seed, one seed, two seeds and so on are right on, in %:",
        _shares(results["components"]["models"]),
        _pairs(results["components"]["pairs"]),
        "### Coverage of a difference",
        f"In % of {repeats:,} simulations with 10,000 test images, by the number of seeds of each.",
        _coverage(cells, SCENARIOS, "covered", repeats),
        "### Coverage of one model's interval",
        _coverage(cells, SCENARIOS, "interval_covered", repeats),
        "### Unequal numbers of seeds",
        "Coverage of a difference, in %, where the first model and the second have so many seeds.",
        _unequal(cells, repeats),
        "### What is found",
        "How often models are called different, in %. The first and the fifth scenario have no "
        "difference, the third has one of 0.3 points, our families one of 9 points, and all others "
        "one of 1 point. In brackets is the mean half-width of the interval in points.",
        _found(cells, repeats),
        "### Five equal models",
        _ranks(results),
        "### Few images, few wrong",
        "Coverage of a difference / of one model's interval, in %, and how often the difference's "
        "was [Tango's](#where-so-few-are-wrong).",
        _few(cells, repeats),
        "### Other rules",
        "Coverage of the difference, in %, by 3, 5 and 10 seeds.",
        _others(cells, repeats),
        "Coverage of one model's interval with the degrees of freedom that a difference has, in %.",
        _coverage(cells, SCENARIOS, "satterthwaite_covered", repeats),
        _one_training(cells, repeats),
    ]
    return "\n\n".join(parts)


def _percent(count: float, repeats: int) -> str:
    return f"{100 * count / repeats:.1f}"


def _models(models: Iterable[Mapping[str, Any]]) -> str:
    header = [
        *("run", "model", "seeds", "accuracy (%)", "spread (points)"),
        *("without images' noise", "agreement"),
    ]
    rows = [
        [
            f"`{model['run']}`",
            f"`{model['model']}`",
            str(model["seeds"]),
            f"{100 * model['accuracy']:.2f}",
            f"{100 * model['spread']:.2f}",
            f"{100 * model['seed_spread']:.2f}",
            f"{model['agreement']:.2f}",
        ]
        for model in models
    ]
    return table(header, rows)


def _shares(models: Iterable[Mapping[str, Any]]) -> str:
    rows = [
        [
            f"`{model['run']}`",
            f"`{model['model']}`",
            *(", ".join(f"{100 * s:.1f}" for s in model[name]) for name in ("right", "expected")),
        ]
        for model in models
    ]
    return table(["run", "model", "in the records", "as simulated"], rows)


def _pairs(pairs: Iterable[Mapping[str, Any]]) -> str:
    rows = [
        [
            f"`{pair['run']}`",
            " and ".join(f"`{model}`" for model in pair["models"]),
            f"{pair['likeness']:.2f}",
        ]
        for pair in pairs
    ]
    return table(["run", "models", "likeness"], rows)


def _by_seeds(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return table([*header, *(f"{seeds} seeds" for seeds in SEEDS)], rows)


def _coverage(cells: Cells, names: Iterable[str], count: str, repeats: int) -> str:
    rows = [
        [SCENARIOS[name].title]
        + [_percent(cells[name, IMAGES, seeds][count], repeats) for seeds in SEEDS]
        for name in names
    ]
    return _by_seeds(["scenario"], rows)


def _unequal(cells: Cells, repeats: int) -> str:
    few = SEEDS[:-1]
    rows = [
        [EVERY[name].title]
        + [_percent(cells[name, IMAGES, seeds]["covered"], repeats) for seeds in few]
        + [_percent(cells[name, IMAGES, seeds]["beside_ten_covered"], repeats) for seeds in few]
        for name in LOPSIDED
    ]
    header = [*(f"{seeds} and {seeds}" for seeds in few), *(f"10 and {seeds}" for seeds in few)]
    return table(["scenario", *header], rows)


def _found(cells: Cells, repeats: int) -> str:
    def cell(row: Mapping[str, float]) -> str:
        half = 100 * row["width"] / 2 / repeats
        return f"{_percent(row['different'], repeats)} (±{half:.2f})"

    rows = [
        [scenario.title, *(cell(cells[name, IMAGES, seeds]) for seeds in SEEDS)]
        for name, scenario in SCENARIOS.items()
    ]
    return _by_seeds(["scenario"], rows)


def _ranks(results: Mapping[str, Any]) -> str:
    found = " and ".join(
        f"{_percent(count, results['ranked'])} % with {seeds} seeds"
        for seeds, count in results["ranks"].items()
    )
    return (
        f"Of {results['ranked']:,} simulations of five equal models, ranks told some pair apart in "
        f"{found}."
    )


def _few(cells: Cells, repeats: int) -> str:
    def cell(row: Mapping[str, float]) -> str:
        covered = _percent(row["covered"], repeats)
        alone = _percent(row["interval_covered"], repeats)
        return f"{covered} / {alone} ({100 * row['by_score'] / repeats:.0f} %)"

    rows = [
        [scenario.title, f"{images:,}", *(cell(cells[name, images, seeds]) for seeds in SEEDS)]
        for name, scenario in {**SCENARIOS, **FEW_WRONG}.items()
        for images in (*FEW_IMAGES, *([IMAGES] if name in FEW_WRONG else []))
    ]
    return _by_seeds(["scenario", "images"], rows)


def _others(cells: Cells, repeats: int) -> str:
    def cell(name: str, rule: str) -> str:
        counts = (cells[name, IMAGES, seeds][f"{rule}covered"] for seeds in SEEDS[1:])
        return " ".join(_percent(count, repeats) for count in counts)

    rows = [
        [SCENARIOS[name].title, *(cell(name, rule) for rule in OTHER_RULES)] for name in COMPARED
    ]
    return table(["scenario", *OTHER_RULES.values()], rows)


def _one_training(cells: Cells, repeats: int) -> str:
    found = [
        _percent(cells[name, IMAGES, SEEDS[0]]["mcnemar_different"], repeats)
        for name in ("same", "same_wide", "same_widest")
    ]
    return (
        "An exact McNemar test of one training each calls one model that was trained twice "
        f"different in {found[0]} % of simulations where seeds spread by 0.25 points, in "
        f"{found[1]} % where they spread by 0.7 points, and in {found[2]} % where they spread by "
        "1.8 points."
    )
