"""``benchmark runs``: what runs there are, and what of them nobody needs any more."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click

from benchmark.cli.session import data_directory_option, everywhere_options, named_folder, warn
from benchmark.printable import printable_line


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
    """List the runs: state, trials that completed, age, size.

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
            size(run.size_bytes),
        )
        for run in runs
    ]
    headers = ("run", "state", "trials", "age", "size")
    click.echo(lay_out(rows, headers, right=[2, 3, 4]))


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
@click.option("--yes", is_flag=True, help="Remove without asking.")
@data_directory_option
@everywhere_options
@click.pass_context
def clean(context: click.Context, out: Path | None, yes: bool, data_directory: Path | None) -> None:
    """Remove checkpoints of trials that did not complete, and decoded data sets; asks first.

    Records, histories and logs are kept, and so is all of a run that a process is at work on.
    """
    # Imported here: --help must not wait for it.
    from benchmark.datasets import decoded_folder, default_data_directory
    from benchmark.store import (
        decoded_data_sets,
        find_runs,
        remove_all,
        remove_unfinished_work,
        unfinished_work,
    )

    assert context.parent is not None
    out = out or context.parent.params["out"]
    for run in find_runs(out, warn):
        unfinished = unfinished_work(run.path)
        what = f"unfinished work in {run.path}: its trials would begin anew"
        if run.state != "in use" and _agreed(unfinished, what, yes):
            remove_unfinished_work(run.path)
            click.echo("Removed.")
    data_directory = data_directory or default_data_directory()
    decoded = decoded_data_sets(data_directory)
    what = (
        f"decoded data sets in {decoded_folder(data_directory)}: they are decoded again when needed"
    )
    if _agreed(decoded, what, yes):
        remove_all(decoded)
        click.echo("Removed.")


def _agreed(leftovers: Sequence[Path], what: str, yes: bool) -> bool:
    from benchmark.store import size_bytes

    if not leftovers:
        return False
    click.echo(printable_line(f"{size(size_bytes(leftovers))} of {what}."))
    return yes or click.confirm("Remove them?")


def age(seconds: float) -> str:
    """Write a time that has passed for people: ``3 d``, ``5 h``, ``12 min``, ``now``."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return "now"


def size(size_bytes: float) -> str:
    """Write a size for people: ``12 KiB``, ``3 MiB``, ``1.5 GiB``."""
    for unit, length in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size_bytes >= length:
            count = size_bytes / length
            return f"{count:.0f} {unit}" if count >= 100 else f"{count:.3g} {unit}"
    return f"{size_bytes} B"
