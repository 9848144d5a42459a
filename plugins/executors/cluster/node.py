"""What runs on a node of the cluster: one trial, in a process of its own as on any machine.

Ray's process only looks after that one, so a model that crashes is a failed trial and not a lost
task, and whatever limits a trial has are kept in the same way everywhere.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import ray
from pydantic import BaseModel

from benchmark import TrialEvent, TrialSpec
from benchmark.errors import CheckpointError

from ..processes.crew import Crew, Place
from ..processes.guardian import Guardian
from .folders import Changes, WatchedFolder, apply
from .options import RayOptions

PROGRESS_SECONDS = 5.0
NO_CHANGES = Changes({}, {})


class TrialOrder(BaseModel):
    """What a node is to do. Which GPU ``cuda`` is, Ray has decided when it arrives."""

    spec: TrialSpec
    options: RayOptions


@dataclass(frozen=True)
class Luggage:
    """The files that an order needs, of which the node may have none.

    ``folder`` is what is in the trial's folder, ``plugins`` the content of plugins' files.
    """

    folder: Changes
    plugins: Mapping[str, bytes]


@dataclass(frozen=True)
class Parcel:
    """What a node sends as it happens: an event as JSON, and what has changed in the folder.

    ``remark`` is what the node has to say of its own.
    """

    event: str
    changes: Changes
    remark: str | None


def carry_out(order: str, luggage: Luggage) -> Iterator[Parcel]:
    """Train a trial on this node; the last parcel has its record."""
    wanted = TrialOrder.model_validate_json(order)
    # Ray leaves a number alone that the node's environment has.
    os.environ["OMP_NUM_THREADS"] = str(wanted.options.num_cpus)
    with Guardian() as guardian:
        folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
        # Ray may end this process any time.
        guardian.remove_in_the_end(folder)
        spec = _settled(wanted.spec, luggage, folder)
        try:
            yield from _train(spec, wanted.options, guardian, remark=None)
        except CheckpointError as error:
            # It began on a machine of another kind.
            where, what = socket.gethostname(), str(error).replace(f"{spec.directory}/", "")
            _empty(spec.directory)
            remark = f"begun anew on {where}: {what}"
            yield from _train(spec, wanted.options, guardian, remark)


def _settled(spec: TrialSpec, luggage: Luggage, folder: Path) -> TrialSpec:
    """The trial with places of this node in it, and the files there."""
    directory = folder / "trial"
    directory.mkdir()
    apply(luggage.folder, directory)
    plugins = [*spec.plugins]
    for number, (path, content) in enumerate(luggage.plugins.items()):
        file = folder / str(number) / Path(path).name
        file.parent.mkdir()
        file.write_bytes(content)
        plugins[plugins.index(path)] = str(file)
    return spec.model_copy(update={"directory": directory, "plugins": tuple(plugins)})


def _empty(directory: Path) -> None:
    shutil.rmtree(directory)
    directory.mkdir()


def _train(
    spec: TrialSpec, options: RayOptions, guardian: Guardian, remark: str | None
) -> Iterator[Parcel]:
    watched = WatchedFolder(spec.directory)
    # What was brought is known to whom it came from.
    watched.changes()
    outbox = Outbox()
    with Crew(options, guardian, outbox.add) as crew:
        crew.start(spec, _place(spec, options))
        while crew.workers:
            for _, record in crew.ended():
                outbox.add(TrialEvent(trial=record.key, record=record))
            while outbox.events:
                event = outbox.events.popleft()
                changes = NO_CHANGES if event.progress else watched.changes()
                yield Parcel(event.model_dump_json(by_alias=True), changes, remark)


class Outbox:
    """Events to be sent; of those of progress, no more than a driver of many trials can take."""

    def __init__(self) -> None:
        self.events: deque[TrialEvent] = deque()
        self._next_progress = 0.0

    def add(self, event: TrialEvent) -> None:
        """Put an event in, unless it is of progress and the last of those was just sent."""
        if event.progress is not None:
            if time.monotonic() < self._next_progress:
                return
            self._next_progress = time.monotonic() + PROGRESS_SECONDS
        self.events.append(event)


def _place(spec: TrialSpec, options: RayOptions) -> Place:
    """The device that is the trial's here, and whether there is room for another beside it."""
    if spec.device == "cuda":
        # Ray shows its process no other GPU.
        return Place("cuda:0", shared=options.gpus_for(spec.device) < 1)
    return Place(spec.device, shared=options.num_cpus < _cores_of_this_node())


def _cores_of_this_node() -> float:
    here = ray.get_runtime_context().get_node_id()
    (node,) = (node for node in ray.nodes() if node["NodeID"] == here)
    cores: float = node["Resources"]["CPU"]
    return cores
