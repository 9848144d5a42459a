"""From a YAML file and the command line to a RunConfig, every fault found and told at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from benchmark.catalog import Catalog, Shelf
from benchmark.config.strict_yaml import Document, Location, dotted, read_document
from benchmark.entries import check_name, is_name
from benchmark.errors import ConfigError, Fault, UnknownNameError
from benchmark.files import usable_path
from benchmark.records import Selection
from benchmark.spelling import did_you_mean

PRESETS = "benchmark.presets"
DEFAULTS = "defaults"

# Far beyond any use; a slip of the finger should not fill the memory with trials or steps.
MOST_EPOCHS = 100_000
MOST_IMAGES = 2**31 - 1
MOST_SEEDS = 10_000
LARGEST_SEED = 2**32 - 1


class RunConfig(BaseModel):
    """What to run. Where a key is left out, ``configs/defaults.yaml`` says what holds.

    ``dataset`` lists data sets of which the first that can be had is used. ``seeds`` is a list of
    different whole numbers; written as one number n it means 0 to n - 1. ``train_images`` and
    ``test_images``, where given, are the sizes of fixed subsets. ``note`` is printed with the
    table. ``engine`` and ``compile`` say how steps are taken, ``checkpoint_every`` after how many
    epochs a training's state is written to disk. ``trackers`` look on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    note: str | None = None
    dataset: tuple[Selection, ...]
    models: tuple[str, ...] = Field(min_length=1)
    recipe: Selection
    epochs: int = Field(ge=1, le=MOST_EPOCHS)
    batch_size: int = Field(ge=1, le=MOST_IMAGES)
    seeds: tuple[int, ...]
    train_images: int | None = Field(default=None, ge=1, le=MOST_IMAGES)
    test_images: int | None = Field(default=None, ge=1, le=MOST_IMAGES)
    device: str
    precision: Literal["auto", "fp32", "bf16", "tf32"]
    engine: Literal["auto", "eager", "graph"]
    compile: bool
    checkpoint_every: int = Field(ge=1, le=MOST_EPOCHS)
    executor: Selection
    trackers: tuple[Selection, ...]

    @field_validator("name")
    @classmethod
    def _name_is_a_folder(cls, name: str) -> str:
        return check_name(name)

    @field_validator("models", mode="before")
    @classmethod
    def _models_are_different(cls, models: Any) -> Any:
        if not isinstance(models, list) or not all(isinstance(name, str) for name in models):
            raise ValueError("should be a list of names")
        if not models:
            raise ValueError("should name at least one")
        if len(set(models)) < len(models):
            raise ValueError("names a model twice")
        if len({name.casefold() for name in models}) < len(models):
            raise ValueError("has names that differ in case only, which one folder may have")
        return tuple(models)

    @field_validator("seeds", mode="before")
    @classmethod
    def _seeds_are_different(cls, seeds: Any) -> Any:
        expected = "should be a number of seeds (1 or more) or a list of different whole numbers"
        if _is_whole_number(seeds) and seeds > MOST_SEEDS:
            raise ValueError(f"should be {MOST_SEEDS:,} seeds at most, got {seeds}")
        if _is_whole_number(seeds) and seeds >= 1:
            return tuple(range(seeds))
        if not isinstance(seeds, list) or not seeds:
            raise ValueError(f"{expected}, got {seeds!r}")
        if not all(_is_whole_number(seed) and 0 <= seed <= LARGEST_SEED for seed in seeds):
            raise ValueError(f"{expected}, got {seeds!r}")
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"{expected}, got {seeds!r}, which has one twice")
        return tuple(seeds)


def _is_whole_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def preset_names() -> list[str]:
    """The configs that are installed with the package."""
    files = resources.files(PRESETS).iterdir()
    names = (file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))
    return sorted(name for name in names if name != DEFAULTS)


def find_document(config: str) -> Document:
    """Read a config given by path or by a preset's name, and fill in what it leaves out.

    Raises ConfigError where there is none, and for what ``read_document`` refuses; PathError for
    what can be no path.
    """
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
    checker = _Checker(document)
    sections = {
        "dataset": checker.selections("dataset", catalog.datasets),
        "recipe": checker.selection("recipe", catalog.recipes),
        "executor": checker.selection("executor", catalog.executors),
        "trackers": checker.different_selections("trackers", catalog.trackers),
    }
    checker.names("models", catalog.models)
    config = checker.validate(sections)
    if checker.faults or config is None:
        raise ConfigError(list(dict.fromkeys(checker.faults)))
    return config


def resolve_selection(
    shelf: Shelf[Any], name: str, given: Mapping[str, Any], origins: Mapping[str, str]
) -> Selection:
    """Look an entry up and complete its options; ``origins`` says where each option was given.

    Raises ConfigError for an unknown name or faulty options.
    """
    document = Document("", given, {(key,): origin for key, origin in origins.items()})
    checker = _Checker(document)
    selection = checker.resolve((), name, given, shelf)
    if checker.faults or selection is None:
        raise ConfigError(checker.faults)
    return selection


def _folder_name(stem: str) -> str:
    """Make a name of a file's, whatever letters it has."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:80].rstrip(".")
    return name if is_name(name) else "run"


class _Checker:
    """Collects the faults of one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.faults: list[Fault] = []

    def fault(self, location: Location, message: str) -> None:
        origin = self.document.origin(location)
        # A flag of the command line names its key itself.
        named = location[:-1] if location and isinstance(location[-1], int) else location
        is_flag = origin.startswith("-") and named in self.document.origins
        if origin.startswith("--set "):
            is_flag = origin == f"--set {dotted(named)}"
        key = "" if is_flag else dotted(location)
        self.faults.append(Fault(origin, key, message))

    def names(self, key: str, shelf: Shelf[Any]) -> None:
        names = self.document.data.get(key)
        for index, name in enumerate(names if isinstance(names, list) else []):
            if isinstance(name, str):
                self._known((key, index), name, shelf)

    def selections(self, key: str, shelf: Shelf[Any]) -> tuple[Selection, ...] | None:
        if self.document.data.get(key) == []:
            self.fault((key,), "should name at least one")
        found = self._listed(key, shelf)
        return None if found is None else tuple(selection for selection in found if selection)

    def different_selections(self, key: str, shelf: Shelf[Any]) -> tuple[Selection, ...] | None:
        found = self._listed(key, shelf)
        chosen: dict[str, Selection] = {}
        for index, selection in enumerate(found or ()):
            if selection and selection.name in chosen:
                self.fault((key, index), f"{shelf.kind} {selection.name!r} is chosen twice")
            elif selection:
                chosen[selection.name] = selection
        return None if found is None else tuple(chosen.values())

    def _listed(self, key: str, shelf: Shelf[Any]) -> list[Selection | None] | None:
        """What is chosen, None for each that is at fault; no list stands for a list of one."""
        if key not in self.document.data:
            return None
        raw = self.document.data[key]
        if not isinstance(raw, list):
            return [self._one((key,), raw, shelf)]
        return [self._one((key, index), item, shelf) for index, item in enumerate(raw)]

    def selection(self, key: str, shelf: Shelf[Any]) -> Selection | None:
        if key not in self.document.data:
            return None
        return self._one((key,), self.document.data[key], shelf)

    def _one(self, location: Location, raw: Any, shelf: Shelf[Any]) -> Selection | None:
        if isinstance(raw, str):
            return self.resolve(location, raw, {}, shelf)
        if not isinstance(raw, dict) or "name" not in raw:
            self.fault(location, "should be a name, or a mapping with a name and options")
            return None
        name_location = (*location, "name")
        if not isinstance(raw["name"], str):
            self.fault(name_location, f"should be a name, got {raw['name']!r}")
            return None
        if not self._known(name_location, raw["name"], shelf):
            return None
        options = {key: value for key, value in raw.items() if key != "name"}
        return self.resolve(location, raw["name"], options, shelf)

    def resolve(
        self, location: Location, name: str, options: Mapping[str, Any], shelf: Shelf[Any]
    ) -> Selection | None:
        if not self._known(location, name, shelf):
            return None
        options_type = shelf[name].entry.options
        try:
            validated = options_type.from_mapping(options)
        except ValidationError as error:
            whose = f"{shelf.kind} {name!r}"
            self._validation_faults(error, options_type, location, whose)
            return None
        return Selection(name=name, options=validated.model_dump(mode="json"))

    def _known(self, location: Location, name: str, shelf: Shelf[Any]) -> bool:
        try:
            shelf[name]
        except UnknownNameError as error:
            self.fault(location, str(error))
            return False
        return True

    def validate(self, sections: Mapping[str, Any]) -> RunConfig | None:
        resolved = {key: value for key, value in sections.items() if value is not None}
        others = {key: value for key, value in self.document.data.items() if key not in sections}
        try:
            return RunConfig.model_validate({**others, **resolved})
        except ValidationError as error:
            self._validation_faults(error, RunConfig, (), "a config")
            return None

    def _validation_faults(
        self, error: ValidationError, model: type[BaseModel], prefix: Location, whose: str
    ) -> None:
        for detail in error.errors():
            location = (*prefix, *detail["loc"])
            # A section that could not be resolved is missing by now; why has been said.
            if detail["type"] == "missing" and location[0] in self.document.data and not prefix:
                continue
            message = _message(detail, model, whose)
            if detail["type"] == "missing" and model is not RunConfig:
                message += f": --set {dotted(location)}=VALUE"
            self.fault(location, message)


def _message(detail: Any, model: type[BaseModel], whose: str) -> str:
    match detail["type"]:
        case "extra_forbidden":
            key = str(detail["loc"][-1])
            known = list(model.model_fields)
            options = f" ({whose} has {', '.join(known) or 'no options'})"
            return f"unknown key{did_you_mean(key, known) or options}"
        case "missing":
            return "missing"
        case "value_error":
            return str(detail["ctx"]["error"])
        case _:
            message = detail["msg"].removeprefix("Input ")
            return f"{message[0].lower()}{message[1:]}, got {detail['input']!r}"
