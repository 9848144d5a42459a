"""What runs on a node of the cluster: one trial, in a process of its own as on any machine.

Ray's own process only supervises that one, so a model that crashes is a failed trial and not a lost
task, and a trial's limits are the same everywhere.
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

from benchmark import CheckpointError, TrialEvent, TrialSpec

from ..processes.guardian import Guardian
from ..processes.worker_pool import Slot, WorkerPool
from .folders import Changes, WatchedFolder, apply
from .options import RayOptions

PROGRESS_SECONDS = 5.0


class NodeTask(BaseModel):
    """A trial that a node is to train. Which GPU ``cuda`` is, Ray has decided by then."""

    spec: TrialSpec
    options: RayOptions


@dataclass(frozen=True)
class InputFiles:
    """The files that a task needs, of which the node may have none.

    ``trial_folder`` has those of the trial's folder, ``plugins`` the content of plugins' files.
    """

    trial_folder: Changes
    plugins: Mapping[str, bytes]


@dataclass(frozen=True)
class Update:
    """What a node sends as it happens: an event as JSON, and what has changed in the folder.

    ``warning`` is the node's own, beside those of the trial.
    """

    event: str
    changes: Changes
    warning: str | None


def carry_out(task: str, input_files: InputFiles) -> Iterator[Update]:
    """Train a trial on this node, a ``NodeTask`` as JSON; the last update has its record."""
    wanted = NodeTask.model_validate_json(task)
    # Ray leaves a number alone that the node's environment has.
    os.environ["OMP_NUM_THREADS"] = str(wanted.options.num_cpus)
    with Guardian() as guardian:
        folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
        # Ray may end this process any time.
        guardian.remove_in_the_end(folder)
        spec = _unpacked(wanted.spec, input_files, folder)
        try:
            yield from _train(spec, wanted.options, guardian, warning=None)
        except CheckpointError as error:
            # It began on a machine of another kind.
            why = str(error).replace(f"{spec.directory}/", "")
            _empty(spec.directory)
            warning = f"restarted from the beginning on {socket.gethostname()}: {why}"
            yield from _train(spec, wanted.options, guardian, warning)


def _unpacked(spec: TrialSpec, input_files: InputFiles, folder: Path) -> TrialSpec:
    """Write the files on this node; returns the trial with the paths that they have here."""
    directory = folder / "trial"
    directory.mkdir()
    apply(input_files.trial_folder, directory)
    plugins = [*spec.plugins]
    for path, content in input_files.plugins.items():
        if not _is_here(path, content):
            # Below the same folders as on the driver: a plugin may be named by them.
            file = folder / "plugins" / Path(path).relative_to(Path(path).anchor)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            plugins[plugins.index(path)] = str(file)
    return spec.model_copy(update={"directory": directory, "plugins": tuple(plugins)})


def _is_here(path: str, content: bytes) -> bool:
    """Whether the file is on this node as well; there it has what lies beside it."""
    try:
        return Path(path).read_bytes() == content
    except OSError:
        return False


def _empty(directory: Path) -> None:
    shutil.rmtree(directory)
    directory.mkdir()


def _train(
    spec: TrialSpec, options: RayOptions, guardian: Guardian, warning: str | None
) -> Iterator[Update]:
    watched = WatchedFolder(spec.directory)
    # The driver has what it sent.
    watched.changes()
    outbox = Outbox()
    with WorkerPool(options, guardian, outbox.add) as pool:
        pool.start(spec, _slot(spec, options))
        while pool.workers:
            for _, record in pool.ended():
                outbox.add(TrialEvent(trial=record.key, record=record))
            while outbox.events:
                event = outbox.events.popleft()
                # With progress, too: a checkpoint may be written long after its epoch's end.
                yield Update(event.model_dump_json(by_alias=True), watched.changes(), warning)


class Outbox:
    """Events to be sent; progress only so often that a driver of many trials keeps up."""

    def __init__(self) -> None:
        self.events: deque[TrialEvent] = deque()
        self._next_progress = 0.0

    def add(self, event: TrialEvent) -> None:
        """Add an event; drops progress that comes too soon after the last."""
        if event.progress is not None:
            if time.monotonic() < self._next_progress:
                return
            self._next_progress = time.monotonic() + PROGRESS_SECONDS
        self.events.append(event)


def _slot(spec: TrialSpec, options: RayOptions) -> Slot:
    """The device that is the trial's here, and whether there is room for another beside it."""
    if spec.device == "cuda":
        # Ray shows its process no other GPU.
        return Slot("cuda:0", shared=options.gpus_for(spec.device) < 1)
    return Slot(spec.device, shared=options.num_cpus < _cores_of_this_node())


def _cores_of_this_node() -> float:
    here = ray.get_runtime_context().get_node_id()
    (node,) = (node for node in ray.nodes() if node["NodeID"] == here)
    cores: float = node["Resources"]["CPU"]
    return cores
