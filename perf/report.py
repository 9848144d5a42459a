"""From what was measured to the tables of docs/performance.md."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perf.comparisons import MEMORY_IMAGES, MOST_MEMORY_BYTES, Finding, compare
from perf.figures import fit_line
from perf.trials import EPOCHS

MEBIBYTE = 2**20


def write_tables(results: Mapping[str, Any]) -> str:
    """Write all that can be said of ``results``, as Markdown."""
    parts = [_conditions(results)]
    if results["speed"]:
        parts += [_ratios(results["speed"]), _step_times(results)]
    if results["sizes"]:
        parts += [_memory(results), _growth(results["sizes"])]
    return "\n\n".join(parts)


def _conditions(results: Mapping[str, Any]) -> str:
    environment = results["environment"]
    versions = {**environment["versions"], **results["peers"]}
    named = ", ".join(
        f"{name} {version}" for name, version in versions.items() if name != "benchmark-models"
    )
    git = environment["git"]
    commit = f" at {git['commit'][:8]}{' with changes' if git['changed'] else ''}" if git else ""
    return (
        f"Measured on {results['measured'][:10]}{commit}: {environment['processor']}, "
        f"{environment['threads']} threads; the framework and the bare loop in "
        f"{results['precision']}, the others in fp32; batches of {results['batch_size']}; "
        f"{results['repeats']} repeats of {results['steps']} steps. {named}."
    )


def _ratios(speed: Mapping[str, Any]) -> str:
    findings = [
        finding
        for model, measured in speed.items()
        for finding in compare(model, measured["seconds"])
    ]
    # All models of a comparison stand together.
    titles = list(dict.fromkeys(finding.title for finding in findings))
    findings.sort(key=lambda finding: titles.index(finding.title))
    header = ["time of", "model", "ratio", "lowest to highest", "target", "met"]
    return table(header, (_ratio_row(finding) for finding in findings))


def _ratio_row(finding: Finding) -> list[str]:
    ratio = finding.ratio
    return [
        finding.title,
        f"`{finding.model}`",
        _figure(ratio.median),
        f"{_figure(ratio.lowest)} to {_figure(ratio.highest)}",
        finding.target or "-",
        _yes_or_no(finding.met),
    ]


def _figure(ratio: float) -> str:
    # A hundredth matters to the framework's overhead, and to nothing that is twice as slow.
    return f"{ratio:.3f}" if ratio < 2 else f"{ratio:.2f}"


def _step_times(results: Mapping[str, Any]) -> str:
    speed = results["speed"]
    names = dict.fromkeys(name for measured in speed.values() for name in measured["seconds"])
    rows = []
    for name in names:
        times = [measured["seconds"].get(name) for measured in speed.values()]
        rows.append([f"`{name}`", *(_step_time(seconds, results["steps"]) for seconds in times)])
    return table(["ms a step (median)", *(f"`{model}`" for model in speed)], rows)


def _step_time(seconds: Sequence[float] | None, steps: int) -> str:
    return "-" if seconds is None else f"{1000 * statistics.median(seconds) / steps:.1f}"


def _memory(results: Mapping[str, Any]) -> str:
    rows = []
    for model, trials in results["sizes"].items():
        largest = trials[-1]
        peak = largest["peak_memory_bytes"]
        # A target for 50,000 images says nothing of fewer; whole batches are a few fewer.
        is_aimed_at = largest["images"] + results["batch_size"] > MEMORY_IMAGES
        rows.append(
            [
                f"`{model}`",
                f"{largest['images']:,}",
                f"{peak / MEBIBYTE:,.0f}",
                f"at most {MOST_MEMORY_BYTES / MEBIBYTE:,.0f}" if is_aimed_at else "-",
                _yes_or_no(peak <= MOST_MEMORY_BYTES if is_aimed_at else None),
            ]
        )
    header = ["model", "images an epoch", "peak resident size (MiB)", "target", "met"]
    how = (
        f"Memory of a whole trial: {EPOCHS} epochs, each evaluated on "
        f"{results['test_images']:,} test images, in a process of its own."
    )
    return f"{how}\n\n{table(header, rows)}"


def _growth(sizes: Mapping[str, Any]) -> str:
    first = next(iter(sizes.values()))
    header = ["model", *(f"{trial['images']:,} images (s)" for trial in first)]
    header += ["ms an image", "at no image (s)", "R²", "largest residual (%)"]
    rows = []
    for model, trials in sizes.items():
        seconds = [trial["epoch_seconds"] for trial in trials]
        images = [trial["images"] for trial in trials]
        rows.append([f"`{model}`", *(f"{value:.2f}" for value in seconds), *_line(images, seconds)])
    return f"Epoch time against size, and the line through it:\n\n{table(header, rows)}"


def _line(images: Sequence[int], seconds: Sequence[float]) -> list[str]:
    if len(set(images)) < 2:
        return ["-"] * 4
    line = fit_line(images, seconds)
    return [
        f"{1000 * line.slope:.4f}",
        f"{line.intercept:.3f}",
        f"{line.r_squared:.5f}",
        f"{100 * line.largest_residual:.1f}",
    ]


def _yes_or_no(met: bool | None) -> str:
    return "-" if met is None else "yes" if met else "no"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(cells)} |" for cells in [header, *rows]]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])
