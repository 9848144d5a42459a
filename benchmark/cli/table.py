"""``benchmark table``: print a run's table again; and the choices every table has."""

from __future__ import annotations

import functools
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmark.cli import completion
from benchmark.cli.session import Session, everywhere_options, named_folders
from benchmark.report import FORMATS, FORMATS_FOR_PROGRAMS

if TYPE_CHECKING:
    from benchmark.catalog import Catalog
    from benchmark.runs import Run


@dataclass(frozen=True)
class TableChoice:
    """What ``--format``, ``--columns``, ``--sort`` and ``--doubt`` say."""

    format: str
    columns: tuple[str, ...] | None
    sort: str | None
    doubt: str

    def check(self, catalog: Catalog) -> None:
        """Raise UnknownNameError if there is no such column, before a run takes its time."""
        from benchmark.report import TableView

        TableView.choose(catalog, self.format, self.columns, self.sort)

    def print(self, run: Run, **choices: Any) -> None:
        """Print the run's table on standard output; ``choices`` are arguments of ``Run.table``."""
        table = run.table(self.format, self.columns, self.sort, doubt=self.doubt, **choices)
        click.echo(table.text(terminal_width()))


def terminal_width() -> int:
    """How many characters a table may be wide: those of a terminal, if it is wide enough."""
    from benchmark.report import DEFAULT_WIDTH

    if not sys.stdout.isatty():
        return DEFAULT_WIDTH
    return max(shutil.get_terminal_size().columns, DEFAULT_WIDTH)


def table_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every table: the command gets a TableChoice ``table``."""

    @click.option(
        "--format",
        type=click.Choice(FORMATS),
        default=FORMATS[0],
        show_default=True,
        help="How the table is written.",
    )
    @click.option(
        "--columns",
        metavar="NAME,...",
        shell_complete=completion.listed_entries("columns"),
        help="Show these columns, in this order ('benchmark list columns' names them).",
    )
    @click.option(
        "--sort",
        metavar="NAME",
        shell_complete=completion.entries("columns"),
        help="Order rows by this column, the best first.",
    )
    @click.option(
        "--doubt",
        type=click.Choice(["seeds", "images", "both"]),
        default="both",
        show_default=True,
        help="What the accuracy's interval is about.",
    )
    @functools.wraps(function)
    def wrapper(
        *arguments: Any, format: str, columns: str | None, sort: str | None, doubt: str, **rest: Any
    ) -> Any:
        names = None if columns is None else _column_names(columns)
        return function(*arguments, table=TableChoice(format, names, sort, doubt), **rest)

    return wrapper


def _column_names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise click.UsageError("--columns: should name at least one column between commas")
    for name in names:
        if names.count(name) > 1:
            raise click.UsageError(f"--columns: names {name!r} twice")
    return names


@click.command(
    "table",
    short_help="Print runs' tables again.",
    epilog="Example: benchmark table runs/cifar10-1a2b3c4d --sort test_accuracy",
)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, callback=named_folders)
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    metavar="LABEL",
    help="Show this row, label@identity for an earlier version of it; repeatable.",
)
@click.option("--versions", is_flag=True, help="Show every version of each model's code.")
@table_options
@everywhere_options
@click.pass_obj
def command(
    session: Session,
    runs: tuple[Path, ...],
    models: tuple[str, ...],
    versions: bool,
    table: TableChoice,
) -> None:
    """Print the table of the run in each folder RUN again.

    Each row is what its model's code was when the run was last given. Records that cannot be read
    are named on stderr; the others are shown.
    """
    # Imported here: --help must not wait for it.
    from benchmark.api import opened_run
    from benchmark.runs import say_of_changed_code, say_of_versions

    if len(runs) > 1 and table.format in FORMATS_FOR_PROGRAMS:
        raise click.UsageError(
            f"--format {table.format}: is for one run, and {len(runs)} are given; "
            "'benchmark compare' has the rows of several"
        )
    for number, run in enumerate(runs):
        if number:
            click.echo()
        # Each has its own plugins, and none of the others'.
        opened = opened_run(run, session.copy().catalog_with)
        table.print(opened, models=models or None, versions=versions, verbose=session.verbose)
        if not versions and not models:
            say_of_versions(opened)
            say_of_changed_code(opened)
