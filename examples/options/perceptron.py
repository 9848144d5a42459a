"""A model with options: one entry, and as many variants as a config asks for."""

import math

from pydantic import Field
from torch import nn

from benchmark import ModelEntry, Options, hookimpl


class PerceptronOptions(Options):
    """Options of the model ``perceptron``."""

    hidden: int = Field(default=64, ge=1)
    """How many units the hidden layer has."""

    dropout: float = Field(default=0.0, ge=0, lt=1)
    """The dropout rate behind the hidden layer."""


def build(input_shape, num_classes, options):
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(input_shape), options.hidden),
        nn.ReLU(),
        nn.Dropout(options.dropout),
        nn.Linear(options.hidden, num_classes),
    )


@hookimpl
def benchmark_models():
    yield ModelEntry("perceptron", build, "one hidden layer", options=PerceptronOptions)
