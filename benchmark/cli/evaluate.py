"""``benchmark evaluate``: kept weights on other images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from benchmark.cli import completion
from benchmark.cli.session import (
    Session,
    data_directory_option,
    everywhere_options,
    named_folder,
    parse_settings,
)
from benchmark.cli.table import terminal_width
from benchmark.report import FORMATS

_EXAMPLE = "dataset.severity=5"


@click.command(
    "evaluate",
    short_help="Test kept weights on other images.",
    epilog="Example: benchmark evaluate runs/cifar10-1a2b3c4d -d corrupted "
    "--set dataset.corruption=blur",
)
@click.argument("run", metavar="RUN", callback=named_folder)
@click.option(
    "-d",
    "--dataset",
    metavar="NAME",
    shell_complete=completion.entries("datasets"),
    help="Test on this data set's test images  [default: the run's own]",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="dataset.KEY=VALUE",
    help="Set an option of the data set; repeatable.",
)
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    metavar="LABEL",
    help="Test this row, label@identity for an earlier version of it; repeatable.",
)
@click.option(
    "--device",
    metavar="cpu|cuda[:I]|mps",
    shell_complete=completion.words("auto", "cpu", "cuda", "mps"),
    help="Compute on this device  [default: that of the training]",
)
@click.option("--force", is_flag=True, help="Test models whose code has changed as well.")
@click.option(
    "--format",
    type=click.Choice(FORMATS),
    default=FORMATS[0],
    show_default=True,
    help="How the table is written.",
)
@data_directory_option
@everywhere_options
@click.pass_obj
def command(
    session: Session,
    run: Path,
    dataset: str | None,
    settings: tuple[str, ...],
    models: tuple[str, ...],
    device: str | None,
    force: bool,
    format: str,
    data_directory: Path | None,
) -> int:
    """Test the weights that the run in the folder RUN kept on the test images of a data set.

    Beside each accuracy is that of the original images, and the difference with its interval.

    Exit code 1 means that weights of a trial could not be tested.
    """
    # Imported here: --help must not wait for it.
    from benchmark.api import opened_run
    from benchmark.display import open_display
    from benchmark.progress import shown_by

    opened = opened_run(run, session.copy().catalog_with)
    with open_display() as display, shown_by(display):
        evaluations = opened.evaluate(
            dataset,
            _options(settings),
            models=models or None,
            device=device,
            data_dir=data_directory,
            force=force,
            format=format,
        )
    click.echo(evaluations.text(terminal_width()))
    return int(evaluations.left_out > 0)


def _options(settings: tuple[str, ...]) -> dict[str, Any]:
    """The data set's options that ``--set dataset.KEY=VALUE`` gives."""
    options = {}
    for key, value in parse_settings(settings, _EXAMPLE).items():
        section, _, option = key.partition(".")
        if section != "dataset" or not option:
            raise click.UsageError(f"--set {key}: sets an option of the data set, as in {_EXAMPLE}")
        options[option] = value
    return options
