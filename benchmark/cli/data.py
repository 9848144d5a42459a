"""``benchmark data``: fetch, verify, cache a data set, and say what it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.cli import completion
from benchmark.cli.session import Session, data_directory_option, everywhere_options, parse_settings
from benchmark.printable import printable_line
from benchmark.standard_error import warn

if TYPE_CHECKING:
    from benchmark.datasets import Dataset
    from benchmark.entries import ImageSplits

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
    for line in dataset.noted:
        warn(line)
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
    from benchmark.report import lay_out

    dataset = _load(session, name, settings, data_directory)
    counts = _class_counts(dataset.splits)
    facts = [*_facts(dataset), *_largest_class(dataset.splits.classes, counts)]
    facts += [("note", note) for note in dataset.splits.notes]
    # A stranger's note, or class, begins no line of its own.
    click.echo("\n".join(printable_line(f"{fact}: {value}") for fact, value in facts))
    rows = zip(dataset.splits.classes, *counts.values(), strict=True)
    right = range(1, len(counts) + 1)
    click.echo("\n" + lay_out(rows, ("class", *counts), right=[*right]))


def _facts(dataset: Dataset) -> Iterator[tuple[str, str]]:
    splits = dataset.splits
    channels, height, width = splits.train.pixels.shape[1:]
    yield "data set", dataset.selection.name
    yield "fingerprint", dataset.fingerprint
    yield "image", f"{channels} x {height} x {width}"
    for half, images in splits.halves.items():
        yield f"{half} images", f"{len(images.labels):,}"
    yield "classes", f"{len(splits.classes)}"
    yield "cache", str(dataset.cache or "none")


def _class_counts(splits: ImageSplits) -> dict[str, list[int]]:
    """How many images of each class there are, in each half."""
    # Imported here: --help must not wait for it.
    import numpy

    return {
        half: numpy.bincount(images.labels, minlength=len(splits.classes)).tolist()
        for half, images in splits.halves.items()
    }


def _largest_class(
    classes: Sequence[str], counts: Mapping[str, Sequence[int]]
) -> Iterator[tuple[str, str]]:
    """What always naming the class of most test images would score, where classes differ."""
    if any(len(set(of_half)) > 1 for of_half in counts.values()):
        most, _, name = max(zip(counts["test"], counts["training"], classes, strict=True))
        share = 100 * most / sum(counts["test"])
        yield f"always naming {name}", f"{share:.2f} % of the test images right"


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
