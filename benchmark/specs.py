"""What a trial is told: its variant, its seed, and all that is needed to train it anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from benchmark.plain_data import Record
from benchmark.protocol import Identity, Protocol, Selection

# A selection that begins so is of a model that is only in the process of whoever gave it.
PYTHON = "python:"


class TrialKey(NamedTuple):
    """Which trial of its run a trial is: the label and the identity of its variant, and a seed."""

    model: str
    identity: str
    seed: int

    def __str__(self) -> str:
        """The trial as messages name it."""
        return f"{self.model}, seed {self.seed}"


class Origin(Record):
    """The plugin that an entry comes from; ``source`` is a digest of the plugin's source.

    ``libraries`` are the versions of what the source imports from elsewhere. None stands for what
    is not known: a file has neither distribution nor version.
    """

    plugin: str
    distribution: str | None
    version: str | None
    source: str | None
    libraries: dict[str, str]

    @property
    def versions(self) -> dict[str, str]:
        """The versions of the plugin's own distribution, if it has one, and of the libraries."""
        if self.distribution is None or self.version is None:
            return self.libraries
        return {self.distribution: self.version, **self.libraries}


class Variant(Record):
    """A model entry with its options, under the label ``model``, which is its row's name.

    ``identity`` is a digest of the entry's code and of the options: it tells this state of the
    variant from others that have the same label.
    """

    model: str
    entry: str
    options: dict[str, Any]
    identity: Identity
    origin: Origin


class PlannedVariant(Variant):
    """A variant and the seeds with which it is to be trained.

    ``control_of`` is the label of the variant that it repeats under another name and with other
    seeds, None where it repeats none.
    """

    seeds: tuple[int, ...]
    control_of: str | None = None

    @property
    def trials(self) -> list[TrialKey]:
        """Its trials."""
        return [TrialKey(self.model, self.identity, seed) for seed in self.seeds]


class FileState(NamedTuple):
    """A file's name, size in bytes, inode, and when its content and its inode last changed.

    The second time cannot be set: it shows a change whose author has put the first one back.
    """

    name: str
    size_bytes: int
    inode: int
    changed_nanoseconds: int
    inode_changed_nanoseconds: int


class VerifiedCache(Record):
    """A folder of decoded images that were found to have ``fingerprint`` while its files were so.

    As long as they are, the images need not be read to know it.
    """

    folder: Path
    fingerprint: str
    files: tuple[FileState, ...]


class TrialSpec(Record):
    """One variant to be trained once with one seed, and all that is needed to do it anywhere.

    ``directory`` is the trial's own folder, in which its plugins may write, and ``log_file`` the
    log in it, for people; ``plugins`` is what was selected, so that a worker has the plugins
    its parent had, and ``core`` is a digest of the parent's core. ``device`` may leave open which
    GPU (``cuda``); a trial that ``shares_device`` with others is no timing. Where there is a reason
    in ``no_graph_because``, no step is captured as a graph. A checkpoint is written after
    ``checkpoint_every`` epochs, or where that is None by the seconds between two. ``verified`` is
    what the parent has verified of the data set and of those that it wraps.
    """

    variant: Variant
    recipe_origin: Origin
    seed: int = Field(ge=0)
    protocol: Protocol
    dataset: Selection
    verified: tuple[VerifiedCache, ...] = ()
    device: str
    shares_device: bool = False
    engine: Literal["auto", "eager", "graph"] = "auto"
    no_graph_because: str | None = None
    compile: bool = False
    checkpoint_every: int | None = Field(default=None, ge=1)
    keep_weights: bool = True
    metrics: tuple[str, ...] = ()
    trackers: tuple[Selection, ...] = ()
    data_directory: Path
    directory: Path
    plugins: tuple[str, ...] = ()
    core: str

    @property
    def model(self) -> str:
        """The label of its variant."""
        return self.variant.model

    @property
    def key(self) -> TrialKey:
        """Which trial of its run it is."""
        return TrialKey(self.variant.model, self.variant.identity, self.seed)

    def on(self, device: str, *, shared: bool = False) -> TrialSpec:
        """The same trial on a certain device, which it may share with others at the time."""
        return self.model_copy(update={"device": device, "shares_device": shared})

    def without_graph(self, reason: str) -> TrialSpec:
        """The same trial, of which no step is to be captured as a graph."""
        return self.model_copy(update={"no_graph_because": reason})

    @property
    def is_portable(self) -> bool:
        """Whether another process has its plugins: not where one is a class of this process."""
        return not any(plugin.startswith(PYTHON) for plugin in self.plugins)

    @property
    def log_file(self) -> Path:
        """What the trial's log and whatever its process printed are written to."""
        return self.directory / "log.txt"
