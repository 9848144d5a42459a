"""``benchmark plugins``: every plugin that was found, also the broken and the blocked."""

from __future__ import annotations

import click

from benchmark.cli.session import Session, everywhere_options


@click.command(
    "plugins",
    short_help="List the plugins and what became of them.",
    epilog="Example: benchmark plugins -p no:imagefolder",
)
@everywhere_options
@click.pass_obj
def command(session: Session) -> None:
    """List each plugin: distribution, version, hooks, number of entries, status.

    Why a plugin failed is said on stderr; with -v, its traceback too.
    """
    # Imported here: --help must not wait for it.
    from benchmark.report import lay_out

    rows = [
        (
            plugin.name,
            plugin.distribution or "-",
            plugin.version or "-",
            " ".join(hook.removeprefix("benchmark_") for hook in plugin.hooks) or "-",
            plugin.entries,
            plugin.status,
        )
        for plugin in session.catalog().plugins
    ]
    headers = ("plugin", "distribution", "version", "hooks", "entries", "status")
    click.echo(lay_out(rows, headers, right=[4]))
