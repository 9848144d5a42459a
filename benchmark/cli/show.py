"""``benchmark show``: a model's layers, parameters and cost."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import click

from benchmark.cli import completion
from benchmark.cli.entry_options import has_options, options_data, options_text
from benchmark.cli.session import Session, everywhere_options, warn
from benchmark.errors import ModelError, UnknownNameError
from benchmark.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmark.catalog import Catalog, Offer
    from benchmark.complexity import Layer, MacCount
    from benchmark.config import ChosenModel
    from benchmark.entries import Entry, ModelEntry
    from benchmark.records import ParameterCount

# CIFAR-10's, on which the models of the literature are compared.
CIFAR_IMAGE = "3x32x32"
CIFAR_CLASSES = 10
LARGEST_SIZE = 2**16
MOST_CLASSES = 2**20


def _parse_image(
    context: click.Context, parameter: click.Parameter, text: str
) -> tuple[int, int, int]:
    """Read CxHxW; raises click.BadParameter."""
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})x(\d{1,5})", text.strip(), re.ASCII)
    sizes = [int(size) for size in found.groups()] if found else []
    if not sizes or not all(1 <= size <= LARGEST_SIZE for size in sizes):
        raise click.UsageError(
            f"--image {text}: should be channels x height x width, such as 3x224x224"
        )
    channels, height, width = sizes
    return channels, height, width


@click.command(
    "show",
    short_help="Print a model's layers and cost, or an entry's options.",
    epilog="Example: benchmark show 'separable_cnn[width=2]' --image 3x64x64 --classes 100",
)
@click.argument("name", shell_complete=completion.entries("models"))
@click.option(
    "--image",
    "input_shape",
    metavar="CxHxW",
    default=CIFAR_IMAGE,
    show_default=True,
    callback=_parse_image,
    help="Build the model for images of this shape: channels, height, width.",
)
@click.option(
    "--classes",
    type=click.IntRange(1, MOST_CLASSES),
    metavar="N",
    default=CIFAR_CLASSES,
    show_default=True,
    help="Build the model for this number of classes.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@everywhere_options
@click.pass_obj
def command(
    session: Session,
    name: str,
    input_shape: tuple[int, int, int],
    classes: int,
    as_json: bool,
) -> None:
    """Print a model's layers in the manner of Keras: layer, output shape, parameters.

    Below them, the totals, the multiply-accumulates of one image's forward pass, and the model's
    options. NAME may have options: 'separable_cnn[width=2]'. The model is built and checked as
    before a training; a figure that cannot be had is "-", and a line says why.

    Of an entry of another kind, its options are printed.
    """
    from benchmark.config import resolve_model

    catalog = session.catalog()
    found = {
        kind: shelf.offers[name].entry
        for kind, shelf in catalog.shelves.items()
        if name in shelf.offers
    }
    if found and "models" not in found:
        _show_options(name, found, as_json)
        return
    if not found:
        _refuse_near_miss(name, catalog)
    _show_model(resolve_model(name, catalog), catalog, input_shape, classes, as_json)


def _refuse_near_miss(name: str, catalog: Catalog) -> None:
    """Raise UnknownNameError if the name is nearly that of an entry of another kind."""
    names = [offer.entry.name for shelf in catalog.shelves.values() for offer in shelf]
    hint = did_you_mean(name.partition("[")[0], names)
    if hint and not any(repr(offer.entry.name) in hint for offer in catalog.models):
        raise UnknownNameError(f"unknown name {name!r}{hint}")


def _show_options(name: str, entries: Mapping[str, Entry], as_json: bool) -> None:
    if as_json:
        content = {kind: options_data(entry) for kind, entry in entries.items()}
        click.echo(json.dumps({"name": name, "options": content}, indent=1))
        return
    for kind, entry in entries.items():
        summary = " ".join(str(getattr(entry, "summary", "")).split())
        click.echo(f"{name} ({kind}): {summary}".removesuffix(": "))
        click.echo(f"\n{options_text(entry)}" if has_options(entry) else "It has no options.")


def _show_model(
    model: ChosenModel,
    catalog: Catalog,
    input_shape: tuple[int, int, int],
    classes: int,
    as_json: bool,
) -> None:
    offer = catalog.models[model.name]
    try:
        layers, params, count = _looked_at(model, offer, input_shape, classes)
    except ModelError as error:
        raise ModelError(f"model {model.label!r} of {offer.plugin.label}: {error}") from error
    if as_json:
        content = _as_data(layers, params, count)
        click.echo(
            json.dumps(
                {
                    "model": model.label,
                    "entry": model.name,
                    "options": model.options,
                    "input_shape": input_shape,
                    "classes": classes,
                    **content,
                },
                indent=1,
            )
        )
        return
    click.echo(f"{model.label}: images of {_shape(input_shape)}, {classes} classes\n")
    click.echo(_as_text(layers, params, count))
    if offer.entry.has_options:
        click.echo(f"\n{options_text(offer.entry)}")


def _looked_at(
    model: ChosenModel, offer: Offer[ModelEntry], input_shape: tuple[int, int, int], classes: int
) -> tuple[list[Layer] | None, ParameterCount, MacCount | None]:
    """Build a model, see that it can be trained, and count what it has; raises ModelError."""
    # Imported here: torch takes seconds, and --help must not wait for it.
    import torch

    from benchmark.complexity import count_parameters, images_to_check
    from benchmark.trial import (
        build_model,
        first_logits,
        fit_for_training,
        try_to_count_macs,
        try_to_list_layers,
    )

    def warn_of_model(line: str) -> None:
        warn(f"model {model.label!r}: {line}")

    others: set[str] = set()

    def find_logits(outputs: Any) -> Any:
        if not isinstance(outputs, torch.Tensor):
            others.add(type(outputs).__name__)
        return first_logits(outputs)

    network = build_model(offer, model.options, input_shape, classes, warn_of_model)
    params = count_parameters(network)
    count = try_to_count_macs(network, input_shape, warn_of_model)
    layers = try_to_list_layers(network, input_shape, warn_of_model)
    fit_for_training(
        network,
        images_to_check(input_shape),
        classes,
        device=torch.device("cpu"),
        precision="fp32",
        logits=find_logits,
        warn=warn_of_model,
    )
    for kind in others:
        warn_of_model(
            f"in training mode it returns a {kind}; a recipe trains it where its entry has 'logits'"
        )
    return layers, params, count


def _as_data(
    layers: Sequence[Layer] | None, params: ParameterCount, count: MacCount | None
) -> dict[str, Any]:
    return {
        "layers": None
        if layers is None
        else [
            {
                "name": layer.name,
                "type": layer.type,
                "output_shape": layer.output_shape,
                "params": layer.params,
            }
            for layer in layers
        ],
        "params": params.model_dump(),
        "macs": count.macs if count else None,
        "macs_is_lower_bound": bool(count and count.uncounted),
    }


def _as_text(layers: Sequence[Layer] | None, params: ParameterCount, count: MacCount | None) -> str:
    from benchmark.report import lay_out
    from benchmark.summaries import NO_FIGURE

    rows = [
        (f"{layer.name} ({layer.type})".strip(), _shape(layer.output_shape), f"{layer.params:,}")
        for layer in layers or ()
    ]
    headers = ("layer (type)", "output shape", "params")
    table = lay_out(rows, headers, right=[2]) + "\n\n" if layers is not None else ""
    bound = "≥ " if count and count.uncounted else ""
    macs = f"{bound}{count.macs:,}" if count else NO_FIGURE
    return table + (
        f"Total params:         {params.total:>13,}\n"
        f"Trainable params:     {params.trainable:>13,}\n"
        f"Non-trainable params: {params.total - params.trainable:>13,}\n"
        f"Multiply-accumulates: {macs:>13}"
    )


def _shape(sizes: tuple[int, ...] | None) -> str:
    from benchmark.summaries import NO_FIGURE

    if sizes is None:
        return NO_FIGURE
    return " x ".join(str(size) for size in sizes) or "a number"
