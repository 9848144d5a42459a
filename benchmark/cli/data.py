"""``benchmark data``: fetch, verify, cache a data set, and say what it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.cli import completion
from benchmark.cli.session import Session, data_directory_option, everywhere_options, parse_settings

if TYPE_CHECKING:
    from benchmark.datasets import Dataset

_EXAMPLE = "size=32"
_settings_option = click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set an option of the data set."
)


@click.group("data", epilog="Example: benchmark data prepare cifar10")
def command() -> None:
    """Fetch, verify and cache a data set, or say what it is."""


@command.command(
    "prepare",
    short_help="Fetch, verify and decode a data set.",
    epilog="Example: benchmark data prepare imagefolder --set root=photos",
)
@click.argument("name", shell_complete=completion.entries("datasets"))
@_settings_option
@data_directory_option
@everywhere_options
@click.pass_obj
def prepare(
    session: Session, name: str, settings: tuple[str, ...], data_directory: Path | None
) -> None:
    """Fetch, verify and decode the data set NAME, so that runs start at once."""
    dataset = _load(session, name, settings, data_directory)
    click.echo(f"{name}: ready ({dataset.fingerprint[:12]})")


@command.command(
    "info",
    short_help="Say what a data set is.",
    epilog="Example: benchmark data info synthetic --set train_images=1000",
)
@click.argument("name", shell_complete=completion.entries("datasets"))
@_settings_option
@data_directory_option
@everywhere_options
@click.pass_obj
def info(
    session: Session, name: str, settings: tuple[str, ...], data_directory: Path | None
) -> None:
    """Say what the data set NAME is: images, classes, size, fingerprint, where it is cached.

    Prepares it first if it is not at hand.
    """
    # Imported here: --help must not wait for it.
    import numpy

    from benchmark.report import lay_out

    dataset = _load(session, name, settings, data_directory)
    splits = dataset.splits
    channels, height, width = splits.train.pixels.shape[1:]
    facts = [
        ("data set", name),
        ("fingerprint", dataset.fingerprint),
        ("image", f"{channels} x {height} x {width}"),
        ("training images", f"{len(splits.train.labels):,}"),
        ("test images", f"{len(splits.test.labels):,}"),
        ("classes", f"{len(splits.classes)}"),
        ("cache", str(dataset.cache or "none")),
    ]
    click.echo("\n".join(f"{fact}: {value}" for fact, value in facts))
    counts = [
        numpy.bincount(half.labels, minlength=len(splits.classes))
        for half in (splits.train, splits.test)
    ]
    rows = zip(splits.classes, *counts, strict=True)
    click.echo("\n" + lay_out(rows, ("class", "training", "test"), right=[1, 2]))


def _load(
    session: Session, name: str, settings: tuple[str, ...], data_directory: Path | None
) -> Dataset:
    # Imported here: --help must not wait for it.
    from benchmark.config import resolve_selection
    from benchmark.datasets import default_data_directory, load_dataset
    from benchmark.display import open_display
    from benchmark.progress import shown_by

    shelf = session.catalog().datasets
    values = parse_settings(settings, _EXAMPLE)
    origins = {key: f"--set {key}" for key in values}
    selection = resolve_selection(shelf, name, values, origins)
    with open_display() as display, shown_by(display):
        return load_dataset(selection, shelf, data_directory or default_data_directory())
