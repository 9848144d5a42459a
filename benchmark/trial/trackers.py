"""The trackers of a run or of a trial, none of which can end it, change it or hold it up."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import torch
from torch import nn

from benchmark.catalog import Catalog
from benchmark.entries import Tracker
from benchmark.errors import PLUGIN_FAULTS, one_line
from benchmark.process_settings import settings_put_back
from benchmark.protocol import Selection
from benchmark.specs import TrialSpec
from benchmark.trial.call_thread import CallThread, EndlessCallError
from benchmark.trial.onlooking import Changes, only_looking

METHODS = tuple(name for name in vars(Tracker) if name.startswith("on_"))

Method = Callable[..., Any]


@dataclass(frozen=True)
class _Chosen:
    """A tracker: its entry's name, the methods that it has, and the thread in which it works."""

    name: str
    thread: CallThread
    methods: dict[str, Method] = field(default_factory=dict)


class Trackers:
    """The trackers that were chosen, to be entered as a context.

    One that raises, that does not return in time, or that changes values of the model is dropped
    with a line for ``warn``. ``model`` is what it might change, once there is one.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self.model: nn.Module | None = None
        self._warn = warn
        self._chosen: list[_Chosen] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        for chosen in self._chosen:
            chosen.thread.end()

    def create(
        self, catalog: Catalog, selections: Sequence[Selection], trial: TrialSpec | None = None
    ) -> None:
        """Create those chosen, for a trial or, where none is given, for the run."""
        for selection in selections:
            chosen = _Chosen(selection.name, CallThread(selection.name))
            self._chosen.append(chosen)
            make = partial(_create, catalog, selection, trial)
            chosen.methods.update(self._call(chosen, "create", make) or {})

    def want(self, event: str) -> bool:
        """Whether any has a method of that name."""
        return any(event in chosen.methods for chosen in self._chosen)

    def call(self, event: str, *arguments: Any) -> None:
        """Call the method of that name of each that has one."""
        for chosen in [*self._chosen]:
            if event in chosen.methods:
                self._call(chosen, event, partial(chosen.methods[event], *arguments))

    def _call(self, chosen: _Chosen, event: str, function: Callable[[], Any]) -> Any:
        """Return what the function returns; where it is at fault, drop the tracker."""
        changes, fault, value = Changes(), "", None

        def look_on() -> Any:
            # Some settings are a thread's own: those that it finds the next time.
            with settings_put_back(changes.put_back.append):
                return function()

        try:
            # What it prints must not get among the table's lines.
            with redirect_stdout(sys.stderr), only_looking(self.model, changes):
                value = chosen.thread.call(look_on)
        except EndlessCallError as error:
            fault = str(error)
        except PLUGIN_FAULTS as error:
            fault = one_line(error)
        for change in dict.fromkeys(changes.put_back):
            self._warn(f"tracker {chosen.name} changed {change} in {event}; put back")
        for change in changes.stayed:
            change = f"it changed {change}, which stay so; a tracker only looks on"
            fault = f"{fault}; {change}" if fault else change
        if fault:
            self._warn(f"tracker {chosen.name} is dropped: {event}: {fault}")
            self._chosen = [other for other in self._chosen if other is not chosen]
            chosen.thread.end()
        return value


def _create(
    catalog: Catalog, selection: Selection, trial: TrialSpec | None
) -> Mapping[str, Method]:
    """Create a tracker; returns those of its methods that do something, by name."""
    # Looked up here: another machine may lack the plugin, which is no reason to fail a trial.
    entry = catalog.trackers[selection.name].entry
    if trial is not None and trial.device.startswith("cuda"):
        # Which GPU is the current one is a thread's own, too.
        torch.cuda.set_device(trial.device)
    tracker = entry.create(entry.options.from_mapping(selection.options))
    if isinstance(tracker, Tracker) and "trial" not in vars(tracker):
        tracker.trial = trial
    found = {name: getattr(tracker, name, None) for name in METHODS}
    methods = {name: method for name, method in found.items() if callable(method)}
    if not methods:
        raise TypeError(f"gave a {type(tracker).__name__} where a Tracker is wanted")
    return {name: method for name, method in methods.items() if not _is_inherited(name, method)}


def _is_inherited(name: str, method: Method) -> bool:
    return getattr(method, "__func__", None) is getattr(Tracker, name)
