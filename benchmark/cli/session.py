"""What every command shares: the options that work everywhere, the catalog, and stderr."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from benchmark.cli import completion
from benchmark.files import usable_folder
from benchmark.standard_error import say_indented, warn

if TYPE_CHECKING:
    from benchmark.catalog import Catalog

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass
class Session:
    """One call of the command line."""

    selection: list[str] = field(default_factory=list)
    verbose: bool = False

    def copy(self) -> Session:
        """A session that selects the same plugins, and can select more by itself."""
        return replace(self, selection=[*self.selection])

    @property
    def plugins(self) -> tuple[str, ...]:
        """What ``BENCHMARK_PLUGINS`` and ``-p`` select, as it means the same elsewhere."""
        from benchmark.catalog import selected_plugins

        return selected_plugins(self.selection)

    def catalog_with(self, more: Sequence[str]) -> Catalog:
        """The same as ``catalog``, with more plugins selected."""
        self.selection += more
        return self.catalog()

    def catalog(self, strict: bool = False) -> Catalog:
        """Load the plugins, with a line on stderr for each that failed.

        Raises PluginError if ``strict`` and any did.
        """
        # Imported here: plugins import torch, and --help must not wait for it.
        from benchmark.catalog import load_catalog, require_sound

        catalog = load_catalog(self.plugins)
        if self.verbose:
            for plugin in catalog.plugins:
                if plugin.failure:
                    say_indented(plugin.failure.traceback)
        if strict:
            require_sound(catalog)
        for line in [*catalog.refusals, *catalog.warnings]:
            warn(line)
        return catalog


def _remember_plugins(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> None:
    del parameter
    context.ensure_object(Session).selection.extend(values)


def _remember_verbose(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    del parameter
    session = context.ensure_object(Session)
    session.verbose = session.verbose or value


def everywhere_options(function: Function) -> Function:
    """Add ``-p`` and ``-v``, which can stand before a command or after it."""
    plugin = click.option(
        "-p",
        "--plugin",
        metavar="PLUGIN",
        shell_complete=completion.files,
        multiple=True,
        expose_value=False,
        callback=_remember_plugins,
        help="Load a module or file.py as a plugin, or block one with no:NAME.",
    )
    verbose = click.option(
        "-v",
        "--verbose",
        is_flag=True,
        expose_value=False,
        callback=_remember_verbose,
        help="Say more of failures: tracebacks, reasons, the ends of logs.",
    )
    return plugin(verbose(function))


def data_directory_option(function: Function) -> Function:
    """Add ``--data-dir`` to a command."""
    return click.option(
        "--data-dir",
        "data_directory",
        callback=named_folder,
        metavar="DIR",
        help="Where data sets lie and are cached "
        "[default: BENCHMARK_DATA_DIR, or the platform's cache directory]",
    )(function)


def named_folder(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> Path | None:
    """Read a folder, ``~`` expanded; raises PathError for what can be none."""
    del context
    if value is None:
        return None
    name = parameter.opts[0] if isinstance(parameter, click.Option) else ""
    argument = parameter.human_readable_name.upper().removesuffix("...")
    return usable_folder(value, f"{name} {value}".strip() or argument)


def named_folders(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> tuple[Path, ...]:
    """Read several folders, as ``named_folder`` reads one."""
    folders = (named_folder(context, parameter, value) for value in values)
    return tuple(folder for folder in folders if folder is not None)


def parse_settings(settings: Sequence[str], prefix: str) -> dict[str, Any]:
    """Parse KEY=VALUE pairs; raises click.UsageError and ConfigError."""
    from benchmark.config import parse_key, parse_value

    values = {}
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator or not key:
            raise click.UsageError(f"--set {setting}: should be KEY=VALUE, such as {prefix}")
        parse_key(key, f"--set {key}")
        values[key] = parse_value(text, f"--set {key}")
    return values
