"""Records as a frame of pandas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from benchmark.errors import BenchmarkError
from benchmark.records import (
    EpochRecord,
    TrialRecord,
)

if TYPE_CHECKING:
    import pandas

# Before the name of a model's option, in its column's name.
OPTION = "option."
# What each row says of its trial, beside the model's options. The epoch's own figures follow.
TRIAL_FIELDS = (
    *("model", "entry", "identity", "seed", "status"),
    *("device", "precision", "engine", "params", "macs"),
)
# The field of an epoch's record, by the column's name.
EPOCH_FIELDS = {name.replace("number", "epoch"): name for name in EpochRecord.model_fields}


def epochs_frame(records: Iterable[TrialRecord]) -> pandas.DataFrame:
    """Make a frame with a row for each epoch of each trial; raises BenchmarkError without pandas.

    A trial without an epoch has no row. Each option that any of the models has is a column; a model
    without it has no value there.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise BenchmarkError(
            "to_pandas needs pandas, which is not installed: pip install 'benchmark-models[pandas]'"
        ) from error
    trials: list[dict[str, Any]] = []
    rows: list[int] = []
    figures: dict[str, list[Any]] = {name: [] for name in EPOCH_FIELDS}
    for record in records:
        rows += [len(trials)] * len(record.epochs)
        trials.append(_trial_values(record))
        for epoch in record.epochs:
            for name, values in figures.items():
                values.append(getattr(epoch, EPOCH_FIELDS[name]))
    options = {name: None for trial in trials for name in trial if name.startswith(OPTION)}
    names = [*TRIAL_FIELDS, *options]
    columns = {name: [trials[row].get(name) for row in rows] for name in names}
    return pandas.DataFrame({**columns, **figures})


def _trial_values(record: TrialRecord) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in TRIAL_FIELDS}
    values["params"] = record.params and record.params.total
    options = {f"{OPTION}{name}": value for name, value in record.options.items()}
    return {**values, **options}
