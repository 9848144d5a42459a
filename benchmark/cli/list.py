"""``benchmark list``: what the plugins offer."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

import click

from benchmark.cli import completion
from benchmark.cli.session import Session, everywhere_options
from benchmark.hookspecs import DISTRIBUTION

if TYPE_CHECKING:
    from benchmark.catalog import Plugin
    from benchmark.entries import Entry

KINDS = ("models", "datasets", "recipes", "trackers", "columns", "executors")
OPTION_HEADERS = ("option", "type", "default", "meaning")
NO_DEFAULT = "required"


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
    click.echo(lay_out(rows, ("kind", "name", "from", "summary")))
    if session.verbose:
        options = [
            (name, offer.entry.name, *row)
            for name, offer in found
            for row in option_rows(offer.entry)
        ]
        click.echo("\n" + lay_out(options, ("kind", "name", *OPTION_HEADERS)))


def option_rows(entry: Entry) -> list[tuple[str, str, str, str]]:
    """An entry's options as rows of a table with the headers ``OPTION_HEADERS``."""
    from benchmark.entries import Options
    from benchmark.report import option_texts

    return [
        (option.name, option.type, option.default or NO_DEFAULT, option.description)
        for option in option_texts(getattr(entry, "options", Options))
    ]


def _origin(plugin: Plugin) -> str:
    return "built-in" if plugin.distribution == DISTRIBUTION else plugin.distribution or plugin.name


def _summary(entry: object) -> str:
    text = getattr(entry, "summary", None) or getattr(entry, "header", "")
    return " ".join(str(text).split())
