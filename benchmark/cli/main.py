"""The root of the command line: finds a command, and turns what it raises into words."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from benchmark.cli.session import Session, everywhere_options
from benchmark.errors import BenchmarkError
from benchmark.spelling import did_you_mean

COMMANDS = ("run", "list", "plugins", "show", "table", "runs", "data", "env")

EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130


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
@click.version_option(package_name="benchmark", message="%(package)s %(version)s")
@everywhere_options
def root() -> None:
    """Train models the same way, and say which is better, by how much, at what cost."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 all well, 1 a trial failed, 2 a mistake, 130 interrupted."""
    sys.exit(execute(arguments))


def execute(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    session = Session()
    try:
        result = root.main(
            args=None if arguments is None else list(arguments),
            prog_name="benchmark",
            standalone_mode=False,
            obj=session,
        )
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return EXIT_MISTAKE
    except click.ClickException as error:
        return _mistake(_one_line(error), session)
    except BenchmarkError as error:
        return _mistake(str(error), session)
    except (KeyboardInterrupt, click.Abort):
        click.echo("benchmark: interrupted", err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Who reads our output has enough of it; the interpreter must not complain at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return result if isinstance(result, int) else 0


def _mistake(message: str, session: Session) -> int:
    if session.verbose:
        import traceback

        traceback.print_exc()
    for line in message.splitlines():
        click.echo(f"benchmark: error: {line}", err=True)
    return EXIT_MISTAKE


def _one_line(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    command = f"{context.command_path.removeprefix('benchmark').strip()}: " if context else ""
    message = " ".join(error.format_message().split())
    return f"{command.removeprefix(': ')}{message[:1].lower()}{message[1:].rstrip('.')}"
