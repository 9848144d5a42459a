"""A trial on the cluster: ordered, listened to, and ordered again where it was lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import ray
from ray import ObjectRefGenerator
from ray.exceptions import RayTaskError

from benchmark import TrialEvent, TrialRecord, TrialSpec
from benchmark.errors import BenchmarkError, one_line

from ..processes.reported import Reported
from .folders import WatchedFolder, apply
from .node import Luggage, Parcel, TrialOrder, carry_out
from .options import RayOptions
from .request import Request

# It is not for Ray to try again: only from here can a trial go on where it stopped. Its processes
# are kept: what a trial does to its own process, it does not do to them.
_CARRY_OUT = ray.remote(max_retries=0, max_calls=0)(carry_out)


class Task:
    """One trial. What it sends is put where it belongs, and ``report`` is called with its events.

    ``plugins`` is the content of the plugins' files that were selected.
    """

    def __init__(
        self,
        spec: TrialSpec,
        options: RayOptions,
        plugins: Mapping[str, bytes],
        report: Callable[[TrialEvent], None],
    ) -> None:
        self._spec = spec
        self._options = options
        self._plugins = plugins
        self._report = report
        self._reported = Reported(spec)
        self._said_by_nodes: dict[str, None] = {}
        self._losses: list[str] = []

    def order(self, request: Request) -> ObjectRefGenerator:
        """Have it carried out on some node, from where it has come to; returns what it sends."""
        spec = self._spec
        order = TrialOrder(spec=spec, options=self._options)
        luggage = Luggage(WatchedFolder(spec.directory).changes(), self._plugins)
        placed = _CARRY_OUT.options(
            name=f"{spec.model}, seed {spec.seed}",
            num_cpus=request.num_cpus,
            num_gpus=request.num_gpus,
            memory=request.memory or None,
            # Trials on one node disturb each other more than any distance does.
            scheduling_strategy="SPREAD",
        )
        return placed.remote(order.model_dump_json(), luggage)

    def take(self, parcel: Parcel) -> TrialRecord | None:
        """Unpack what a node sent; returns the trial's record once it is there."""
        apply(parcel.changes, self._spec.directory)
        if parcel.remark:
            self._said_by_nodes[parcel.remark] = None
        event = TrialEvent.model_validate_json(parcel.event)
        if event.record is not None:
            warnings = (*event.record.warnings, *self._remarks)
            return event.record.model_copy(update={"warnings": warnings})
        warnings = (*event.warnings, *self._remarks)
        event = event.model_copy(update={"spec": self._spec, "warnings": warnings})
        self._reported.take(event)
        self._report(event)
        return None

    def lose(self, error: Exception) -> TrialRecord | None:
        """Note that the task has ended without a record; returns one if this was once too often."""
        self._losses.append(f"{_cause(error)}, {self._reported.stage}")
        self._reported.begin_anew()
        if len(self._losses) <= self._options.max_retries:
            return None
        return self._reported.lost_record("failed", self._all_losses)

    def interrupted(self) -> TrialRecord | None:
        """The record of a trial that is interrupted; None if it has not begun."""
        if not self._reported.has_begun:
            return None
        return self._reported.lost_record("interrupted", self._reported.stage)

    @property
    def _remarks(self) -> tuple[str, ...]:
        """What the record should say beside what the trial itself does."""
        lost = [f"{self._all_losses}; ordered again"] if self._losses else []
        return (*self._said_by_nodes, *lost)

    @property
    def _all_losses(self) -> str:
        times = "once" if len(self._losses) == 1 else f"{len(self._losses)} times"
        return f"its task was lost {times}: {'; '.join(self._losses)}"


def _cause(error: Exception) -> str:
    """Why a task ended without a record, in a line: what was raised there, or what Ray calls it."""
    if isinstance(error, RayTaskError):
        cause = error.cause
        return str(cause) if isinstance(cause, BenchmarkError) else one_line(cause)
    return type(error).__name__
