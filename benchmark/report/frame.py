"""Records as a frame of pandas."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from benchmark.errors import BenchmarkError
from benchmark.records import EpochRecord, TrialRecord

if TYPE_CHECKING:
    import pandas

# What each row says of its trial. The epoch's own figures follow.
TRIAL_FIELDS = ("model", "seed", "status", "device", "precision", "engine", "params", "macs")


def epochs_frame(records: Iterable[TrialRecord]) -> pandas.DataFrame:
    """Make a frame with a row for each epoch of each trial; raises BenchmarkError without pandas.

    A trial without an epoch has no row.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise BenchmarkError(
            "to_pandas needs pandas, which is not installed: pip install 'benchmark-models[pandas]'"
        ) from error
    columns: dict[str, list[Any]] = defaultdict(list)
    for record in records:
        trial = _trial_values(record)
        for epoch in record.epochs:
            for name, value in {**trial, **_epoch_values(epoch)}.items():
                columns[name].append(value)
    names = [*TRIAL_FIELDS, *_epoch_fields()]
    return pandas.DataFrame({name: columns[name] for name in names})


def _trial_values(record: TrialRecord) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in TRIAL_FIELDS}
    values["model"] = record.model
    values["params"] = record.params and record.params.total
    return values


def _epoch_fields() -> list[str]:
    return ["epoch", *(name for name in EpochRecord.model_fields if name != "number")]


def _epoch_values(epoch: EpochRecord) -> dict[str, Any]:
    values = epoch.model_dump()
    return {"epoch": values.pop("number"), **values}
