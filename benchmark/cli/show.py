"""``benchmark show``: a model's layers, parameters and cost."""

from __future__ import annotations

import json

import click

from benchmark.cli import completion
from benchmark.cli.session import Session, everywhere_options
from benchmark.errors import ModelError

# CIFAR-10's, on which the models of the literature are compared.
INPUT_SHAPE = (3, 32, 32)
NUM_CLASSES = 10


@click.command(
    "show",
    short_help="Print a model's layers and cost.",
    epilog="Example: benchmark show separable_cnn",
)
@click.argument("model", shell_complete=completion.entries("models"))
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@everywhere_options
@click.pass_obj
def command(session: Session, model: str, as_json: bool) -> None:
    """Print MODEL's layers in the manner of Keras: layer, output shape, parameters.

    For images of 3 x 32 x 32 and 10 classes; below, the totals and the multiply-accumulates of
    one image.
    """
    # Imported here: torch takes seconds, and --help must not wait for it.
    from benchmark.complexity import count_macs, count_parameters, layer_table
    from benchmark.models import build_model
    from benchmark.report.text_table import lay_out

    offer = session.catalog().models[model]
    try:
        network = build_model(offer, INPUT_SHAPE, NUM_CLASSES)
    except ModelError as error:
        raise ModelError(f"model {model!r} of {offer.plugin.label}: {error}") from error
    layers = layer_table(network, INPUT_SHAPE)
    params = count_parameters(network)
    macs = count_macs(network, INPUT_SHAPE)
    if as_json:
        content = {
            "model": model,
            "input_shape": INPUT_SHAPE,
            "layers": [
                {
                    "name": layer.name,
                    "type": layer.type,
                    "output_shape": layer.output_shape,
                    "params": layer.params,
                }
                for layer in layers
            ],
            "params": params.model_dump(),
            "macs": macs,
        }
        click.echo(json.dumps(content, indent=1))
        return
    rows = [
        (f"{layer.name} ({layer.type})", _shape(layer.output_shape), f"{layer.params:,}")
        for layer in layers
    ]
    click.echo(f"{model}: images of 3 x 32 x 32, 10 classes\n")
    headers = ("layer (type)", "output shape", "params")
    click.echo(lay_out(rows, headers, right=[2]))
    click.echo(
        f"\nTotal params:         {params.total:>13,}\n"
        f"Trainable params:     {params.trainable:>13,}\n"
        f"Non-trainable params: {params.total - params.trainable:>13,}\n"
        f"Multiply-accumulates: {macs:>13,}"
    )


def _shape(sizes: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in sizes)
