"""Keras on TensorFlow: the same architectures, arrays in memory, ``compile`` and ``fit``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

# Both are read when Keras and TensorFlow are imported.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy
from keras import layers

from perf.random_images import CLASSES, SIDE
from perf.turns import Turns
from perf.workload import EPSILON, LEARNING_RATE, Workload


def build(name: str) -> keras.Model:
    """Build the model of that name for images of 32 x 32 x 3; it gives logits."""
    parts = {"baseline_cnn": _baseline_layers, "separable_cnn": _separable_layers}[name]
    return keras.Sequential([keras.Input((SIDE, SIDE, 3)), *parts()], name=name)


def _baseline_layers() -> Iterator[layers.Layer]:
    for filters in (48, 96, 192):
        yield layers.Conv2D(filters, 3, padding="same", activation="relu")
        yield layers.Conv2D(filters, 3, activation="relu")
        yield layers.MaxPooling2D(2)
        yield layers.Dropout(0.25)
    yield layers.Flatten()
    for units in (512, 256):
        yield layers.Dense(units, activation="relu")
        yield layers.Dropout(0.5)
    yield layers.Dense(len(CLASSES))


def _separable_layers() -> Iterator[layers.Layer]:
    yield from _separable_convolution(32)
    yield layers.Dropout(0.1)
    yield from _separable_convolution(32)
    yield layers.MaxPooling2D(2)
    yield layers.Dropout(0.2)
    for filters, rate in ((64, 0.3), (128, 0.4)):
        yield from _separable_convolution(filters)
        yield from _separable_convolution(filters)
        yield layers.MaxPooling2D(2)
        yield layers.Dropout(rate)
    yield layers.Flatten()
    yield layers.Dense(30, activation="relu", kernel_initializer="he_uniform")
    yield layers.BatchNormalization()
    yield layers.Dropout(0.5)
    yield layers.Dense(len(CLASSES))


def _separable_convolution(filters: int) -> Iterator[layers.Layer]:
    yield layers.SeparableConv2D(filters, 3, padding="same", activation="relu")
    yield layers.BatchNormalization()


class EpochClock(keras.callbacks.Callback):  # type: ignore[misc]
    """Times an epoch: what ``fit`` prepares before and clears away after it is not in it."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self._start = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stop it; ``fit`` has waited for TensorFlow by now."""
        self.seconds = time.perf_counter() - self._start


def contend(workload: Workload, turns: Turns) -> None:
    """Fit an epoch a turn.

    Not one ``fit`` that waits between its epochs: what read the epoch before is then let go only
    in the next epoch's time, and may sleep for as long as it has waited.
    """
    keras.utils.set_random_seed(workload.seed)
    images = workload.images()
    pixels = images.pixels.transpose(0, 2, 3, 1).astype(numpy.float32) / 255
    model = build(workload.model)
    model.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE, epsilon=EPSILON),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    turns.describe(
        parameters=model.count_params(), precision="fp32", jit_compile=bool(model.jit_compile)
    )
    clock = EpochClock()
    goes_on = True
    while goes_on:
        model.fit(
            pixels,
            images.labels,
            batch_size=workload.batch_size,
            verbose=0,
            callbacks=[clock],
        )
        goes_on = turns.give(clock.seconds)
