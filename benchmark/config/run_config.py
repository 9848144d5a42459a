"""From a YAML file and the command line to a RunConfig, every fault found and told at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from benchmark.catalog import Catalog, Shelf
from benchmark.config.checker import Checker
from benchmark.config.chosen_datasets import chosen_datasets
from benchmark.config.control import refuse_control
from benchmark.config.held_out import checked_validation, refuse_subset_of_nothing
from benchmark.config.python_values import mapping_document
from benchmark.config.seeds import (
    SeedsUntil,
    chosen_seeds,
    listed_seeds,
    refuse_nothing_to_compare,
)
from benchmark.config.strict_yaml import Document, Location, parse_key, read_document
from benchmark.config.variants import ChosenModel, chosen_models
from benchmark.entries import check_name, is_name
from benchmark.errors import ConfigError, Fault
from benchmark.files import usable_path
from benchmark.protocol import (
    ChosenDataset,
    Selection,
)
from benchmark.spelling import did_you_mean

PRESETS = "benchmark.presets"
DEFAULTS = "defaults"
# A run's name where its config has none.
UNNAMED = "run"

# Far beyond any use; a slip of the finger should not fill the memory with steps.
MOST_EPOCHS = 100_000
MOST_IMAGES = 2**31 - 1


class RunConfig(BaseModel):
    """What to run. Where a key is left out, ``configs/defaults.yaml`` says what holds.

    ``dataset`` lists data sets of which the first that can be had is used. ``seeds`` is a list of
    different whole numbers; written as one number n it means 0 to n - 1. Or they are added until
    the leading models differ. With ``control`` the first model is trained once more, under a second
    name. ``validation`` is how many training images are held out to judge a model by, or which
    share of them; without ``test`` the test images are not looked at. ``train_images`` and
    ``test_images``, where given, are the sizes of fixed subsets. ``metrics`` are worked out at the
    end; ``keep_weights`` says whether the weights that were evaluated are kept.
    ``note`` is printed with the table. ``engine`` and ``compile`` say how steps are taken,
    ``checkpoint_every`` after how many epochs a training's state is written to disk, None that some
    seconds decide. ``trackers`` look on. ``plugins`` are all that were selected, also by ``-p``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    note: str | None = None
    dataset: tuple[ChosenDataset, ...]
    models: tuple[ChosenModel, ...]
    recipe: Selection
    epochs: int = Field(ge=1, le=MOST_EPOCHS)
    batch_size: int = Field(ge=1, le=MOST_IMAGES)
    seeds: tuple[int, ...] | SeedsUntil
    control: bool = False
    validation: int | float | None = None
    test: bool = True
    train_images: int | None = Field(default=None, ge=1, le=MOST_IMAGES)
    test_images: int | None = Field(default=None, ge=1, le=MOST_IMAGES)
    device: str
    precision: Literal["auto", "fp32", "bf16", "tf32"]
    engine: Literal["auto", "eager", "graph"]
    compile: bool
    checkpoint_every: int | None = Field(ge=1, le=MOST_EPOCHS)
    keep_weights: bool = True
    metrics: tuple[str, ...] = ("accuracy",)
    executor: Selection
    trackers: tuple[Selection, ...]
    plugins: tuple[str, ...] = ()

    @field_validator("name")
    @classmethod
    def _name_is_a_folder(cls, name: str) -> str:
        return check_name(name)

    @field_validator("plugins", mode="before")
    @classmethod
    def _plugins_are_listed(cls, plugins: Any) -> Any:
        # A config may leave the list empty; what is no list is left to be refused.
        return tuple(plugins or ()) if isinstance(plugins, list | None) else plugins

    @field_validator("validation", mode="before")
    @classmethod
    def _validation_is_a_part(cls, validation: Any) -> Any:
        return checked_validation(validation)

    @field_validator("seeds", mode="before")
    @classmethod
    def _seeds_are_different(cls, seeds: Any) -> Any:
        # As a run's description has them, and as they have been checked.
        return seeds if isinstance(seeds, dict | SeedsUntil) else listed_seeds(seeds)


def preset_names() -> list[str]:
    """The configs that are installed with the package."""
    files = resources.files(PRESETS).iterdir()
    names = (file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))
    return sorted(name for name in names if name != DEFAULTS)


def find_document(config: str | Mapping[str, Any]) -> Document:
    """Read a config given by path, by a preset's name or as a mapping; fill in what it leaves out.

    Raises ConfigError where there is none, and for what ``read_document`` and ``mapping_document``
    refuse; PathError for what can be no path.
    """
    if not isinstance(config, str):
        return with_defaults(mapping_document({"name": UNNAMED, **config}))
    if config in preset_names():
        return with_defaults(_preset(config))
    path = usable_path(config, config or "CONFIG")
    if path.suffix in (".yaml", ".yml") or path.exists() or path.parent != Path():
        return with_defaults(read_document(path))
    known = preset_names()
    hint = did_you_mean(config, known) or f" (there are: {', '.join(known)})"
    raise ConfigError([Fault("", config, f"no such file and no preset of that name{hint}")])


def _preset(name: str) -> Document:
    with resources.as_file(resources.files(PRESETS) / f"{name}.yaml") as path:
        return read_document(path)


def with_defaults(document: Document) -> Document:
    """Return the document with ``configs/defaults.yaml`` and its file's name where it is silent."""
    defaults = _preset(DEFAULTS)
    origins = {**defaults.origins, **document.origins}
    name = {"name": _folder_name(Path(document.source).stem)} if document.source else {}
    return Document(document.source, {**defaults.data, **name, **document.data}, origins)


def load_config(document: Document, catalog: Catalog) -> RunConfig:
    """Validate a document against what the plugins offer.

    Raises ConfigError with every fault: unknown keys, names and options, wrong types and values.
    """
    checker = Checker(document)
    sections = {
        "models": chosen_models(checker, catalog.models),
        "seeds": chosen_seeds(checker),
        "dataset": chosen_datasets(checker, catalog.datasets),
        "recipe": checker.selection("recipe", catalog.recipes),
        "executor": checker.selection("executor", catalog.executors),
        "metrics": checker.names("metrics", catalog.metrics),
        "trackers": checker.different_selections("trackers", catalog.trackers),
    }
    config = _validated(checker, sections)
    if config is not None and config.models:
        _refuse_combinations(checker, config)
    if checker.faults or config is None:
        raise ConfigError(list(dict.fromkeys(checker.faults)))
    return config


def resolve_selection(
    shelf: Shelf[Any],
    name: str,
    given: Mapping[str, Any],
    origins: Mapping[str, str],
    section: tuple[str, ...] = (),
) -> Selection:
    """Look an entry up and complete its options; ``origins`` says where each option was given.

    Options stand in a ``section`` of a config, if any. In the key of an option a dot leads to an
    option of what it names: ``of.size``. Raises ConfigError for an unknown name or faulty options.
    """
    document = Document("", {key: {} for key in section}, {})
    # Options of what is named come after its name, whichever was given first.
    for key in sorted(given, key=lambda key: key.count(".")):
        origin = origins.get(key, "")
        place: Location = (*section, *parse_key(key, origin))
        document = document.with_option(place, given[key], origin)
    checker = Checker(document)
    options = document.data[section[0]] if section else document.data
    selection = checker.resolve(section, name, options, shelf)
    if checker.faults or selection is None:
        raise ConfigError(checker.faults)
    return selection


def _folder_name(stem: str) -> str:
    """Make a name of a file's, whatever letters it has."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:80].rstrip(".")
    return name if is_name(name) else UNNAMED


def _refuse_combinations(checker: Checker, config: RunConfig) -> None:
    """Note the faults that no key has alone."""
    listed = None if isinstance(config.seeds, SeedsUntil) else config.seeds
    if listed is None:
        refuse_nothing_to_compare(checker, config.models)
    refuse_subset_of_nothing(checker, config.test, config.test_images)
    if config.control:
        refuse_control(checker, config.models, listed)


def _validated(checker: Checker, sections: Mapping[str, Any]) -> RunConfig | None:
    resolved = {key: value for key, value in sections.items() if value is not None}
    others = {key: value for key, value in checker.document.data.items() if key not in sections}
    try:
        return RunConfig.model_validate({**others, **resolved})
    except ValidationError as error:
        checker.validation_faults(error, RunConfig, "a config")
        return None
