"""``benchmark env``: what this machine is, for a bug report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from benchmark.cli.session import everywhere_options


@click.command(
    "env",
    short_help="Describe this machine, for a bug report.",
    epilog="Example: benchmark env > environment.txt",
)
@everywhere_options
def command() -> None:
    """Print versions, hardware and devices, as a bug report needs them."""
    # Imported here: torch takes seconds, and --help must not wait for it.
    from benchmark.datasets import default_data_directory
    from benchmark.environment import describe_environment
    from benchmark.training import resolve_device, resolve_precision

    device = resolve_device("auto")
    facts = {
        **describe_environment(),
        "device": str(device),
        "precision": resolve_precision("auto", device),
        "data directory": str(default_data_directory()),
    }
    for key, value in _flat(facts):
        click.echo(f"{key}: {value}")


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in facts.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield f"{prefix}{key}", ", ".join(map(str, value)) or "none"
        else:
            yield f"{prefix}{key}", "unknown" if value is None else value
