"""Every command of the command line, for tests of what holds for all."""

from __future__ import annotations

from collections.abc import Iterator

import click

from benchmark.cli.main import root


def commands(group: click.Group = root, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by what one writes after ``benchmark``."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{prefix}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
