"""The root of the command line: finds a command, and turns what it raises into words."""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from collections.abc import Sequence

import click

from benchmark.cli.session import Session, everywhere_options
from benchmark.cli.streams import (
    abandon_what_cannot_be_written,
    guarded_streams,
    open_missing_descriptors,
)
from benchmark.errors import BenchmarkError
from benchmark.hookspecs import DISTRIBUTION
from benchmark.printable import is_encodable
from benchmark.spelling import did_you_mean
from benchmark.standard_error import say, say_indented

COMMANDS = ("run", "list", "plugins", "show", "table", "compare", "evaluate", "runs", "data", "env")

EXIT_MISTAKE = 2
EXIT_BUG = 70
EXIT_INTERRUPTED = 130

# Set where a shell asks for completions, by the script that it got from click.
COMPLETION_VARIABLE = "_BENCHMARK_COMPLETE"

# Longer than what people give on purpose, but for a few paths.
_LONG_WORD = re.compile(r"\S{400,}")


class _Commands(click.Group):
    """Commands found by name in this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"benchmark.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            known = ", ".join(COMMANDS)
            hint = did_you_mean(args[0], COMMANDS) or f" (there are: {known})"
            raise click.UsageError(f"no such command {args[0]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": None},
    no_args_is_help=True,
    epilog="Example: benchmark run quickstart",
)
@click.version_option(package_name=DISTRIBUTION, message="%(prog)s %(version)s")
@everywhere_options
def root() -> None:
    """Train models the same way, and say which is better, by how much, at what cost."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    With 0 if all is well, 1 if a trial did not complete or a gate failed, 2 for a mistake or for
    output that cannot be written, 3 if no gate failed but the data cannot decide one, 70 for a
    bug, 130 if interrupted.
    """
    open_missing_descriptors()
    code = execute(arguments)
    abandon_what_cannot_be_written()
    sys.exit(code)


def execute(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    with guarded_streams() as output:
        code = _carry_out(sys.argv[1:] if arguments is None else arguments)
        output.flush()
        if not output.fault:
            return code
        _say_error(output.fault)
    return code if code in (EXIT_BUG, EXIT_INTERRUPTED) else EXIT_MISTAKE


def _carry_out(arguments: Sequence[str]) -> int:
    session = Session()
    try:
        _refuse_what_is_no_text(arguments)
        result = root.main(
            args=list(arguments), prog_name="benchmark", standalone_mode=False, obj=session
        )
    except click.exceptions.NoArgsIsHelpError as error:
        for line in error.format_message().splitlines():
            say(line)
        return EXIT_MISTAKE
    except click.ClickException as error:
        return _mistake([_one_line(error)], session)
    except BenchmarkError as error:
        return _mistake(error.lines or [type(error).__name__], session)
    except (KeyboardInterrupt, click.Abort):
        say("benchmark: interrupted")
        return EXIT_INTERRUPTED
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit) and COMPLETION_VARIABLE in os.environ:
            # So does click end it.
            return int(error.code or 0)
        for line in traceback.format_exc().splitlines():
            say(line)
        say("benchmark: this is a bug; please report the lines above and what 'benchmark env' says")
        return EXIT_BUG
    return result if isinstance(result, int) else 0


def _refuse_what_is_no_text(arguments: Sequence[str]) -> None:
    for argument in arguments:
        if not is_encodable(argument):
            raise click.UsageError(f"{argument!r} is not UTF-8 text")


def _mistake(lines: Sequence[str], session: Session) -> int:
    if session.verbose:
        say_indented(traceback.format_exc())
    for line in lines:
        _say_error(line)
    return EXIT_MISTAKE


def _say_error(line: str) -> None:
    # What was given may have thousands of digits.
    shortened = _LONG_WORD.sub(lambda word: f"{word[0][:80]}...{word[0][-20:]}", line)
    say(f"benchmark: error: {shortened}")


def _one_line(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    command = f"{context.command_path.removeprefix('benchmark').strip()}: " if context else ""
    message = " ".join(error.format_message().split())
    return f"{command.removeprefix(': ')}{message[:1].lower()}{message[1:].rstrip('.')}"
