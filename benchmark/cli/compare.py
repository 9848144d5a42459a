"""``benchmark compare``: which row is better, by how much, and how sure that is."""

from __future__ import annotations

import re
import textwrap

import click

from benchmark.cli.session import Session, everywhere_options
from benchmark.cli.table import terminal_width
from benchmark.report import FORMATS, FORMATS_FOR_PROGRAMS

# In which the paragraph about methods can be written.
PROSE_FORMATS = ("simple", "github", "latex")

_SHARE = re.compile(r"(?P<percent>[0-9]+(\.[0-9]+)?) *%")


def _read_share(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> float | None:
    """Read a percentage as a fraction; raises click.UsageError for anything else."""
    del context, parameter
    if value is None:
        return None
    found = _SHARE.fullmatch(value)
    share = float(found["percent"]) / 100 if found else 0.0
    if not 0 < share <= 1:
        raise click.UsageError(
            f"--time-to {value}: should be a share of the test images, such as 70%"
        )
    return share


@click.command(
    "compare",
    short_help="Say which row is better, by how much, how sure.",
    epilog="Example: benchmark compare runs/cifar10-1a2b3c4d --against baseline_cnn",
)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@click.option(
    "--against",
    metavar="LABEL|RUN:LABEL|RUN",
    help="Compare with this row, or with the rows of that name in another run.  "
    "[default: the best row]",
)
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    metavar="LABEL",
    help="Compare this row, label@identity for an earlier version of it; repeatable.",
)
@click.option(
    "--fail-if",
    "gates",
    multiple=True,
    metavar="GATE",
    help="End with 1 if the data show this of a row, such as 'accuracy drops by 0.5' or "
    "'epoch_seconds grows by 5%', with 3 if they cannot tell; repeatable, with --against.",
)
@click.option(
    "--allow-mixed", is_flag=True, help="Show rows of different protocols in one table, marked."
)
@click.option(
    "--time-to",
    "accuracy",
    metavar="SHARE%",
    callback=_read_share,
    help="Time trainings to this test accuracy, such as 70%  [default: the lowest row's]",
)
@click.option(
    "--methods", is_flag=True, help="Print a paragraph for the methods section of a paper instead."
)
@click.option(
    "--format",
    type=click.Choice(FORMATS),
    default=FORMATS[0],
    show_default=True,
    help="How the comparison is written.",
)
@everywhere_options
@click.pass_obj
def command(
    session: Session,
    runs: tuple[str, ...],
    against: str | None,
    models: tuple[str, ...],
    gates: tuple[str, ...],
    allow_mixed: bool,
    accuracy: float | None,
    methods: bool,
    format: str,
) -> int:
    """Compare the rows of runs: RUN is a run's folder, RUN:label or RUN:label@identity one row.

    Rows of one protocol are compared with each other, those of another apart from them.

    Exit code 1 means that a gate of --fail-if fails, 3 that none fails but at least one cannot be
    decided from the data.
    """
    if methods and format not in PROSE_FORMATS:
        known = ", ".join(PROSE_FORMATS)
        raise click.UsageError(
            f"--methods: a paragraph has no format {format!r} (there are: {known})"
        )
    # Imported here: --help must not wait for it.
    from benchmark.analysis import exit_code, parse_gate
    from benchmark.comparing import compare
    from benchmark.contenders import Argument
    from benchmark.standard_error import warn

    del session
    if gates and against is None:
        raise click.UsageError("--fail-if: needs --against LABEL or RUN, which to compare with")
    wanted = [parse_gate(gate, "--fail-if ") for gate in gates]
    comparison = compare(
        [Argument.read(run) for run in runs],
        against,
        models or None,
        allow_mixed=allow_mixed,
        accuracy=accuracy,
        format=format,
        gates=wanted,
        warn=warn,
    )
    width = terminal_width()
    click.echo(_wrapped(comparison.methods, width) if methods else comparison.text(width))
    if methods or format in FORMATS_FOR_PROGRAMS:
        for verdict in comparison.verdicts:
            warn(str(verdict))
    return exit_code(comparison.verdicts)


def _wrapped(text: str, width: int) -> str:
    paragraphs = (textwrap.fill(paragraph, width) for paragraph in text.split("\n\n"))
    return "\n\n".join(paragraphs)
