"""A trial on the cluster: submitted, followed, and submitted again where its task was lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import ray
from ray import ObjectRefGenerator
from ray.exceptions import RayTaskError

from benchmark import BenchmarkError, TrialEvent, TrialRecord, TrialSpec
from benchmark.errors import one_line

from ..processes.trial_state import TrialState
from .folders import WatchedFolder, apply
from .node import InputFiles, NodeTask, Update, carry_out
from .options import RayOptions
from .request import Request

# Ray must not retry: only the driver can resume a trial from its last checkpoint. Ray's processes
# are reused: what a trial does to its own process, it does not do to them.
_CARRY_OUT = ray.remote(max_retries=0, max_calls=0)(carry_out)


class RemoteTrial:
    """One trial. Its files are kept up to date here, and ``report`` is called with its events.

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
        self._state = TrialState(spec)
        # A dictionary, as a set that keeps its order.
        self._node_warnings: dict[str, None] = {}
        self._losses: list[str] = []

    def submit(self, request: Request) -> ObjectRefGenerator:
        """Have a node train it, from its last checkpoint on; returns the updates as they come."""
        spec = self._spec
        task = NodeTask(spec=spec, options=self._options)
        input_files = InputFiles(WatchedFolder(spec.directory).changes(), self._plugins)
        on_some_node = _CARRY_OUT.options(
            name=f"{spec.model}, seed {spec.seed}",
            num_cpus=request.num_cpus,
            num_gpus=request.num_gpus,
            memory=request.memory or None,
            # Trials on one node disturb each other more than any distance does.
            scheduling_strategy="SPREAD",
        )
        return on_some_node.remote(task.model_dump_json(), input_files)

    def receive(self, update: Update) -> TrialRecord | None:
        """Take an update from the node; returns the trial's record once it is there."""
        apply(update.changes, self._spec.directory)
        if update.warning:
            self._node_warnings[update.warning] = None
        event = TrialEvent.model_validate_json(update.event)
        if event.record is not None:
            warnings = (*event.record.warnings, *self._warnings)
            return event.record.model_copy(update={"warnings": warnings})
        warnings = (*event.warnings, *self._warnings)
        event = event.model_copy(update={"spec": self._spec, "warnings": warnings})
        self._state.note(event)
        self._report(event)
        return None

    def lose(self, error: Exception) -> TrialRecord | None:
        """Note that the task ended without a record; returns one if it was lost too often."""
        self._losses.append(f"{_cause(error)}, {self._state.stage}")
        self._state.restart()
        if len(self._losses) <= self._options.max_retries:
            return None
        return self._state.lost_record("failed", self._all_losses)

    def interrupted(self) -> TrialRecord | None:
        """The record of a trial that is interrupted; None if it has not begun."""
        if not self._state.has_begun:
            return None
        return self._state.lost_record("interrupted", self._state.stage)

    @property
    def _warnings(self) -> tuple[str, ...]:
        """What to warn of beside what the trial itself warns of."""
        lost = [f"{self._all_losses}; submitted again"] if self._losses else []
        return (*self._node_warnings, *lost)

    @property
    def _all_losses(self) -> str:
        times = "once" if len(self._losses) == 1 else f"{len(self._losses)} times"
        return f"its task was lost {times}: {'; '.join(self._losses)}"


def _cause(error: Exception) -> str:
    """Why a task ended without a record, in a line: what it raised, or Ray's name for it."""
    if isinstance(error, RayTaskError):
        cause = error.cause
        return str(cause) if isinstance(cause, BenchmarkError) else one_line(cause)
    return type(error).__name__
