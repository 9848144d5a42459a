"""``benchmark table``: print a run's table again; and the choices every table has."""

from __future__ import annotations

import functools
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmark.cli import completion
from benchmark.cli.session import Session, everywhere_options, named_folder, warn
from benchmark.display import warnings_of
from benchmark.report import FORMATS, FORMATS_FOR_PROGRAMS

if TYPE_CHECKING:
    from benchmark.catalog import Catalog
    from benchmark.entries import Column
    from benchmark.records import TrialRecord
    from benchmark.store import RunDescription


@dataclass(frozen=True)
class TableView:
    """How a table is shown: its format, its columns, and the one its rows are sorted by."""

    format: str
    columns: tuple[Column, ...]
    sort: Column | None

    def print(self, records: Iterable[TrialRecord], description: RunDescription | None) -> None:
        """Print the table of records on stdout, with a caption if it is known what was run.

        They are to come model by model, in the order of the trials in ``description``.
        """
        from benchmark.analysis import summarize
        from benchmark.report import DEFAULT_WIDTH, Coverage, render, tabulate, write_caption

        coverage = Coverage()
        trials = description.trials if description else ()
        summaries = coverage.noting(summarize(records, trials, warn))
        table = tabulate(summaries, filter(None, [*self.columns, self.sort]), warn)
        if self.sort is not None and self.sort in table.columns:
            table = table.sorted_by(self.sort)
        table = table.with_columns(self.columns)
        caption = write_caption(description, coverage) if description else ""
        width = DEFAULT_WIDTH
        if sys.stdout.isatty():
            width = max(shutil.get_terminal_size().columns, DEFAULT_WIDTH)
        click.echo(render(table, self.format, caption, width))


@dataclass(frozen=True)
class TableChoice:
    """What ``--format``, ``--columns`` and ``--sort`` say."""

    format: str
    column_names: tuple[str, ...]
    sort_name: str | None

    def view(self, catalog: Catalog) -> TableView:
        """Look the columns up; raises UnknownNameError."""
        sort = catalog.columns[self.sort_name].entry if self.sort_name else None
        return TableView(self.format, tuple(self._columns(catalog)), sort)

    def _columns(self, catalog: Catalog) -> list[Column]:
        if self.column_names:
            return [catalog.columns[name].entry for name in self.column_names]
        every = [offer.entry for offer in catalog.columns]
        if self.format in FORMATS_FOR_PROGRAMS:
            return every
        return [column for column in every if column.shown]


def table_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--format``, ``--columns``, ``--sort``: the command gets a TableChoice ``table``."""

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
    @functools.wraps(function)
    def wrapper(
        *arguments: Any, format: str, columns: str | None, sort: str | None, **rest: Any
    ) -> Any:
        names = () if columns is None else _column_names(columns)
        return function(*arguments, table=TableChoice(format, names, sort), **rest)

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
    short_help="Print a run's table again.",
    epilog="Example: benchmark table runs/cifar10-1a2b3c4d --sort test_accuracy",
)
@click.argument("run", callback=named_folder)
@table_options
@everywhere_options
@click.pass_obj
def command(session: Session, run: Path, table: TableChoice) -> None:
    """Print the table of the run in the folder RUN again.

    Records that cannot be read are named on stderr; the others are shown.
    """
    # Imported here: --help must not wait for it.
    from benchmark.files import UnreadableError
    from benchmark.store import RunDirectory

    directory = RunDirectory(run)
    try:
        description = directory.read_description()
    except UnreadableError as error:
        warn(f"{run / 'run.json'} is left out: {error}")
        description = None
    view = table.view(session.catalog())
    protocol, models = None, []
    if description is not None:
        protocol, models = description.protocol.hash, [model for model, _ in description.trials]
    records = directory.read_records(protocol, warn, models)
    view.print(_with_warnings(records) if session.verbose else records, description)


def _with_warnings(records: Iterable[TrialRecord]) -> Iterator[TrialRecord]:
    """The same; what there is to say of a trial is told as its record passes."""
    for record in records:
        for warning in warnings_of(record):
            warn(f"{record.model.name}, seed {record.seed}: {warning}")
        yield record
