"""A whole plugin: a model to train, a column of the table, and a tracker of trials."""

import math
import statistics

from torch import nn

from benchmark import Column, ModelEntry, Options, Tracker, TrackerEntry, hookimpl


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


class EventLogOptions(Options):
    file: str = "sample_events.txt"


class EventLog(Tracker):
    def __init__(self, options):
        self.options = options

    def note(self, event):
        with (self.trial.directory / self.options.file).open("a") as lines:
            lines.write(f"{event}\n")

    def on_trial_start(self, trial, model, epochs_done):
        self.note("start")

    def on_epoch_end(self, epoch):
        self.note(f"epoch {epoch.number}")

    def on_trial_end(self, record, model):
        self.note(record.status)

    def on_trial_error(self, error):
        self.note(f"error: {error}")


@hookimpl
def benchmark_trackers():
    yield TrackerEntry("sample_events", EventLog, "what happens in a trial", EventLogOptions)
