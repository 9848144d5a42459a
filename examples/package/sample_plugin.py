"""A whole plugin: a model to train, a column of the table, and a callback for every trial."""

import math
import statistics

from torch import nn

from benchmark import Callback, Column, ModelEntry, hookimpl


def build_linear(input_shape, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), num_classes))


@hookimpl
def benchmark_models():
    yield ModelEntry("sample_linear", build_linear, "one dense layer")


def median_total_seconds(summary):
    seconds = summary.figures(lambda record: record.timing.total_seconds)
    return statistics.median(seconds) if seconds else None


@hookimpl
def benchmark_columns():
    yield Column("total_seconds", "total\n(s)", median_total_seconds, better="lower")


class EventLog(Callback):
    def __init__(self, trial):
        self.file = trial.directory / "sample_events.txt"

    def note(self, event):
        with self.file.open("a") as lines:
            lines.write(f"{event}\n")

    def on_trial_start(self, model):
        self.note("start")

    def on_epoch_end(self, epoch):
        self.note(f"epoch {epoch.number}")

    def on_trial_end(self, record):
        self.note(record.status)

    def on_trial_error(self, error):
        self.note(f"error: {error}")


@hookimpl
def benchmark_callbacks(trial):
    yield EventLog(trial)
