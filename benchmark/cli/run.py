"""``benchmark run``: train what a config names and print the table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmark.cli import completion
from benchmark.cli.session import (
    Session,
    data_directory_option,
    everywhere_options,
    named_folder,
    parse_settings,
)
from benchmark.cli.table import TableChoice, table_options

if TYPE_CHECKING:
    from benchmark.config import Document
    from benchmark.runner import Outcome


# What is an entry: a name, or a mapping with a name and options.
ENTRY_KEYS = ("dataset", "recipe", "executor")

# As a seed may have; of more than thousands of digits Python makes no number.
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,20}")


@click.command(
    "run",
    short_help="Train models and print their table.",
    epilog="Example: benchmark run cifar10 -m separable_cnn --seeds 3",
)
@click.argument("config", default="quickstart", shell_complete=completion.configs)
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    metavar="NAME[KEY=VALUE,...]",
    shell_complete=completion.entries("models"),
    help="Train this model, with these options, or all whose names match * and ?; repeatable.",
)
@click.option(
    "-d",
    "--dataset",
    metavar="NAME",
    shell_complete=completion.entries("datasets"),
    help="Train on this data set.",
)
@click.option(
    "-r",
    "--recipe",
    metavar="NAME",
    shell_complete=completion.entries("recipes"),
    help="Train with this recipe.",
)
@click.option(
    "--tracker",
    "trackers",
    multiple=True,
    metavar="NAME",
    shell_complete=completion.entries("trackers"),
    help="Have this tracker look on; repeatable.",
)
@click.option("--epochs", type=int, metavar="N", help="Train for N epochs.")
@click.option(
    "--seeds",
    metavar="N|A,B,...|until:N",
    help="Train with seeds 0 to N-1, with those listed, or until the leading models differ.",
)
@click.option(
    "--control", is_flag=True, help="Train the first model again, as control, with other seeds."
)
@click.option("--batch-size", type=int, metavar="N", help="Images a step.")
@click.option(
    "--device",
    metavar="auto|cpu|cuda[:I]|mps",
    shell_complete=completion.words("auto", "cpu", "cuda", "mps"),
    help="Train on this device.",
)
@click.option(
    "--precision",
    metavar="auto|fp32|bf16|tf32",
    shell_complete=completion.words("auto", "fp32", "bf16", "tf32"),
    help="Compute in this precision.",
)
@click.option(
    "--executor",
    metavar="NAME",
    shell_complete=completion.entries("executors"),
    help="Have this executor carry the trials out.",
)
@click.option("--jobs", type=int, metavar="N", help="Train N models at a time.")
@click.option("--devices", metavar="A,B,...", help="Train on these, such as cuda:0,cuda:2.")
@click.option("--share-device", is_flag=True, help="Let trials share a device; no timings then.")
@click.option("--timeout", type=float, metavar="SECONDS", help="End a trial after so long.")
@click.option(
    "--engine",
    metavar="auto|eager|graph",
    shell_complete=completion.words("auto", "eager", "graph"),
    help="Take steps so; graph needs CUDA.",
)
@click.option("--compile", "compiled", is_flag=True, help="Compile models with torch.compile.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set any key of the config, such as recipe.learning_rate=3e-4; repeatable.",
)
@click.option(
    "--out",
    callback=named_folder,
    metavar="DIR",
    help="Where runs are kept, each in a folder of its own  [default: runs, or that of CONFIG]",
)
@click.option("--fresh", is_flag=True, help="Train everything again, whatever is there already.")
@click.option("--retry-failed", is_flag=True, help="Train those again that did not complete.")
@click.option(
    "--take-over",
    is_flag=True,
    help="Continue a run that a dead process on another machine has locked.",
)
@click.option("--strict", is_flag=True, help="Stop if any plugin fails to load.")
@table_options
@data_directory_option
@everywhere_options
@click.pass_obj
def command(
    session: Session,
    /,
    config: str,
    out: Path | None,
    fresh: bool,
    retry_failed: bool,
    take_over: bool,
    strict: bool,
    table: TableChoice,
    data_directory: Path | None,
    **overrides: Any,
) -> int:
    """Train the models of CONFIG and print their table.

    CONFIG is a YAML file, a preset's name, quickstart (the default) or cifar10, or the folder of a
    run. The same command again finishes what is unfinished and trains nothing twice.
    """
    # Imported here: torch takes seconds, and --help must not wait for it.
    from benchmark.api import find_config, say_where_it_is, train
    from benchmark.config import choose_models, config_plugins

    found, beside = find_config(config)
    document = _overridden(found, overrides)
    session.selection += config_plugins(document, session.plugins)
    catalog = session.catalog(strict)
    if overrides["models"]:
        document = choose_models(document, overrides["models"], catalog)
    table.check(catalog)
    run, outcome = train(
        document,
        catalog,
        plugins=session.plugins,
        out=out or beside,
        data_directory=data_directory,
        fresh=fresh,
        retry_failed=retry_failed,
        take_over=take_over,
        verbose=session.verbose,
    )
    table.print(run)
    say_where_it_is(run, outcome)
    return _exit_code(outcome)


def _overridden(document: Document, overrides: dict[str, Any]) -> Document:
    """Put what the command line says in place of what the config says."""
    from benchmark.config import parse_key

    flags = {
        "dataset": ("-d", overrides["dataset"]),
        "recipe": ("-r", overrides["recipe"]),
        "trackers": ("--tracker", list(overrides["trackers"]) or None),
        "epochs": ("--epochs", overrides["epochs"]),
        "control": ("--control", overrides["control"] or None),
        "batch_size": ("--batch-size", overrides["batch_size"]),
        "device": ("--device", overrides["device"]),
        "precision": ("--precision", overrides["precision"]),
        "engine": ("--engine", overrides["engine"]),
        "compile": ("--compile", overrides["compiled"] or None),
        "executor": ("--executor", overrides["executor"]),
    }
    for key, (flag, value) in flags.items():
        if value is not None:
            document = document.replaced((key,), value, flag)
    if overrides["seeds"] is not None:
        # Where the config has seeds added, too, what else it says of that stays.
        location, value = _parse_seeds(overrides["seeds"])
        document = document.replaced(location, value, "--seeds")
    for key, value in parse_settings(overrides["settings"], "recipe.learning_rate=3e-4").items():
        origin = f"--set {key}"
        document = _set(document, parse_key(key, origin), value, origin)
    devices = overrides["devices"]
    executor_flags = {
        "jobs": ("--jobs", overrides["jobs"]),
        "devices": ("--devices", devices and devices.split(",")),
        "share_device": ("--share-device", overrides["share_device"] or None),
        "timeout_seconds": ("--timeout", overrides["timeout"]),
    }
    for key, (flag, value) in executor_flags.items():
        if value is not None:
            document = _set(document, ["executor", key], value, flag)
    return document


def _parse_seeds(text: str) -> tuple[tuple[str, ...], Any]:
    """The key that ``--seeds`` stands for, and its value."""
    kind, separator, count = text.partition(":")
    if separator and kind.strip() == "until":
        return ("seeds", "until"), _number_or_text(count)
    parts = [_number_or_text(part) for part in text.split(",")]
    return ("seeds",), parts if "," in text else parts[0]


def _number_or_text(text: str) -> int | str:
    return int(text) if _WHOLE_NUMBER.fullmatch(text.strip()) else text


def _set(document: Document, location: Sequence[str], value: Any, origin: str) -> Document:
    section = document.data.get(location[0])
    if len(location) > 1 and isinstance(section, str) and location[0] in ENTRY_KEYS:
        # An entry given by its name alone has room for options from here on.
        document = document.replaced(
            (location[0],), {"name": section}, document.origin((location[0],))
        )
    elif len(location) > 1 and isinstance(section, list):
        remedy = f"give the list as a whole (--set {location[0]}=[...])"
        if location[0] == "dataset":
            remedy = "choose one first (-d NAME)"
        raise click.UsageError(
            f"{origin}: the config lists several under {location[0]!r}; {remedy}"
        )
    if location[0] in ENTRY_KEYS:
        return document.with_option(tuple(location), value, origin)
    return document.replaced(tuple(location), value, origin)


def _exit_code(outcome: Outcome) -> int:
    if outcome.interrupted:
        return 130
    return int(any(status != "completed" for status in outcome.statuses.values()))
