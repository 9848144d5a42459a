"""``benchmark list``: what the plugins offer."""

from __future__ import annotations

import fnmatch
from itertools import groupby
from typing import TYPE_CHECKING

import click

from benchmark.cli import completion
from benchmark.cli.entry_options import has_options, options_text
from benchmark.cli.session import Session, everywhere_options
from benchmark.hookspecs import DISTRIBUTION

if TYPE_CHECKING:
    from benchmark.catalog import Plugin

KINDS = ("models", "datasets", "recipes", "metrics", "trackers", "columns", "executors")
HEADERS = ("kind", "name", "from", "summary")


@click.command(
    "list",
    short_help="List what the plugins offer.",
    epilog="Example: benchmark list models 'sep*'",
)
@click.argument("kind", type=click.Choice(KINDS), required=False)
@click.argument("pattern", default="*", shell_complete=completion.entries())
@everywhere_options
@click.pass_obj
def command(session: Session, kind: str | None, pattern: str) -> None:
    """List entries of one KIND or of all, those whose names match PATTERN (a glob).

    With -v, also the options of each.
    """
    # Imported here: --help must not wait for it.
    from benchmark.report import lay_out

    catalog = session.catalog()
    found = [
        (name, offer)
        for name, shelf in catalog.shelves.items()
        if kind in (None, name)
        for offer in shelf
        if fnmatch.fnmatch(offer.entry.name, pattern)
    ]
    rows = [
        (name, offer.entry.name, _origin(offer.plugin), _summary(offer.entry))
        for name, offer in found
    ]
    # Each kind with widths of its own: a long name of one leaves the others room in a line.
    tables = [lay_out([*of_kind], HEADERS) for _, of_kind in groupby(rows, lambda row: row[0])]
    head, *others = tables or [lay_out([], HEADERS)]
    click.echo("\n".join([head, *("\n".join(table.splitlines()[2:]) for table in others)]))
    for _, offer in found if session.verbose else ():
        if has_options(offer.entry):
            click.echo(f"\n{offer.entry.name}\n{options_text(offer.entry)}")


def _origin(plugin: Plugin) -> str:
    return "built-in" if plugin.distribution == DISTRIBUTION else plugin.distribution or plugin.name


def _summary(entry: object) -> str:
    text = getattr(entry, "summary", None) or getattr(entry, "header", "")
    return " ".join(str(text).split())
