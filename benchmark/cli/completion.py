"""What a shell completes: presets and configs, and the names of what the plugins offer."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

YAML = (".yaml", ".yml")

Complete = Callable[[click.Context, click.Parameter, str], list["CompletionItem"]]


def words(*known: str) -> Complete:
    """Complete one of some words."""

    def complete(
        context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return _matching(known, incomplete)

    return complete


def entries(kind: str | None = None) -> Complete:
    """Complete the name of an entry of a kind, or of that which the argument ``kind`` gives."""

    def complete(
        context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return _matching(_names(context, kind or context.params.get("kind")), incomplete)

    return complete


def listed_entries(kind: str) -> Complete:
    """Complete the last of several names with commas between them; none is offered twice."""

    def complete(
        context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        before, comma, _ = incomplete.rpartition(",")
        left = [name for name in _names(context, kind) if name not in before.split(",")]
        return _matching([f"{before}{comma}{name}" for name in left], incomplete)

    return complete


def configs(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete a preset's name or a YAML file's; where there is neither, any path."""
    from click.shell_completion import CompletionItem

    from benchmark.config import preset_names

    folder, _ = os.path.split(incomplete)
    known = [*preset_names(), *_yaml_files(folder)]
    # Where neither is meant, a folder may be.
    return _matching(known, incomplete) or [CompletionItem(incomplete, type="file")]


def files(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Leave it to the shell to complete a path."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def _yaml_files(folder: str) -> list[str]:
    """The YAML files in a folder that are not hidden, as they are written from here."""
    with suppress(OSError):
        names = sorted(path.name for path in Path(folder).glob("[!.]*") if path.suffix in YAML)
        return [os.path.join(folder, name) for name in names]
    return []


def _matching(names: Sequence[str], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _names(context: click.Context, kind: str | None) -> list[str]:
    # Imported here: --help must not wait for it.
    from benchmark.cli.entry_names import entry_names
    from benchmark.errors import BenchmarkError

    # Whatever is wrong is said when the command is given.
    with suppress(BenchmarkError, OSError):
        return entry_names(context.find_root().obj.plugins).get(kind or "", [])
    return []
