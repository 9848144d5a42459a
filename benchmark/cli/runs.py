"""``benchmark runs``: what runs there are, and what of them nobody needs any more."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click

from benchmark.cli.session import data_directory_option, everywhere_options, named_folder, warn
from benchmark.printable import printable_line, size_text


@click.group("runs", invoke_without_command=True, epilog="Example: benchmark runs clean")
@click.option(
    "--out",
    default="runs",
    show_default=True,
    callback=named_folder,
    metavar="DIR",
    help="Where the runs are kept.",
)
@everywhere_options
@click.pass_context
def command(context: click.Context, out: Path) -> None:
    """List the runs: state, trials that completed, age, size of weights and of all.

    A run is complete, failed (every trial ended, some did not complete), unfinished, in use by a
    process, or unreadable.
    """
    if context.invoked_subcommand is not None:
        return
    # Imported here: --help must not wait for it.
    from benchmark.report import lay_out
    from benchmark.store import find_runs

    runs = find_runs(out, warn)
    if not runs:
        warn(f"there are no runs in {out}")
        return
    rows = [
        (
            run.path.name,
            run.state,
            f"{run.completed} of {run.trials}",
            age(time.time() - run.changed),
            size_text(run.weights_bytes),
            size_text(run.size_bytes),
        )
        for run in runs
    ]
    headers = ("run", "state", "trials", "age", "weights", "size")
    click.echo(lay_out(rows, headers, right=[2, 3, 4, 5]))


@command.command(
    "clean",
    short_help="Remove what nobody needs, after asking.",
    epilog="Example: benchmark runs clean --yes",
)
@click.option(
    "--out",
    callback=named_folder,
    metavar="DIR",
    help="Where the runs are kept  [default: that of the command before, or runs]",
)
@click.option("--weights", is_flag=True, help="Remove the kept weights, and nothing else.")
@click.option("--yes", is_flag=True, help="Remove without asking.")
@data_directory_option
@everywhere_options
@click.pass_context
def clean(
    context: click.Context,
    out: Path | None,
    weights: bool,
    yes: bool,
    data_directory: Path | None,
) -> None:
    """Remove checkpoints of trials that did not complete, and decoded data sets; asks first.

    Records, predictions, histories and logs are kept, and so is all of a run that a process is at
    work on. With --weights the weights of completed trials are removed, run by run, which then can
    no longer be tested on other images.
    """
    # Imported here: --help must not wait for it.
    from benchmark.datasets import decoded_folder, default_data_directory
    from benchmark.store import (
        decoded_data_sets,
        find_runs,
        remove_all,
        remove_from,
        unfinished_work,
    )

    assert context.parent is not None
    out = out or context.parent.params["out"]
    if weights:
        _clean_weights(out, yes)
        return
    for run in find_runs(out, warn):
        unfinished = unfinished_work(run.path)
        what = f"unfinished work in {run.path}: its trials would begin anew"
        if run.state != "in use" and _agreed(unfinished, what, yes):
            remove_from(run.path, unfinished_work)
            click.echo("Removed.")
    data_directory = data_directory or default_data_directory()
    decoded = decoded_data_sets(data_directory)
    what = (
        f"decoded data sets in {decoded_folder(data_directory)}: they are decoded again when needed"
    )
    if _agreed(decoded, what, yes):
        remove_all(decoded)
        click.echo("Removed.")


def _clean_weights(out: Path, yes: bool) -> None:
    from benchmark.store import find_runs, kept_weights, remove_from

    for run in find_runs(out, warn):
        files = kept_weights(run.path)
        what = f"weights in {run.path}: its models could no longer be tested on other images"
        if run.state != "in use" and _agreed(files, what, yes):
            remove_from(run.path, kept_weights)
            click.echo("Removed.")


def _agreed(leftovers: Sequence[Path], what: str, yes: bool) -> bool:
    from benchmark.store import size_bytes

    if not leftovers:
        return False
    click.echo(printable_line(f"{size_text(size_bytes(leftovers))} of {what}."))
    return yes or click.confirm("Remove them?")


def age(seconds: float) -> str:
    """Write a time that has passed for people: ``3 d``, ``5 h``, ``12 min``, ``now``."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return "now"
