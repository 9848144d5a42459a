"""Hold a document to what the plugins offer, every fault with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from benchmark.catalog import Shelf
from benchmark.config.strict_yaml import Document, Location, dotted
from benchmark.entries import Options
from benchmark.errors import Fault, UnknownNameError
from benchmark.protocol import Selection
from benchmark.spelling import did_you_mean

MISSING = "missing"


class Checker:
    """Collects the faults of one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.faults: list[Fault] = []

    def fault(self, location: Location, message: str) -> None:
        """Note what is wrong at a key."""
        origin = self.document.origin(location)
        # A flag of the command line names its key itself.
        named = location[:-1] if location and isinstance(location[-1], int) else location
        is_flag = origin.startswith("-") and named in self.document.origins
        if origin.startswith("--set "):
            is_flag = origin == f"--set {dotted(named)}"
        key = "" if is_flag else dotted(location)
        self.faults.append(Fault(origin, key, message))

    def different_selections(self, key: str, shelf: Shelf[Any]) -> tuple[Selection, ...] | None:
        """Read a list of entries, which may be empty and has none twice."""
        found = self._listed(key, shelf)
        chosen: dict[str, Selection] = {}
        for index, selection in enumerate(found or ()):
            if selection and selection.name in chosen:
                self.fault((key, index), f"{shelf.kind} {selection.name!r} is chosen twice")
            elif selection:
                chosen[selection.name] = selection
        return None if found is None else tuple(chosen.values())

    def names(self, key: str, shelf: Shelf[Any]) -> tuple[str, ...] | None:
        """Read a list of entries' names, none of them twice; no list stands for a list of one."""
        if key not in self.document.data:
            return None
        raw = self.document.data[key]
        chosen: dict[str, None] = {}
        for index, name in enumerate(raw if isinstance(raw, list) else [raw]):
            location = (key, index) if isinstance(raw, list) else (key,)
            if not isinstance(name, str):
                self.fault(location, f"should be a name, got {name!r}")
            elif name in chosen:
                self.fault(location, f"{shelf.kind} {name!r} is chosen twice")
            elif self.knows(location, name, shelf):
                chosen[name] = None
        return tuple(chosen)

    def _listed(self, key: str, shelf: Shelf[Any]) -> list[Selection | None] | None:
        """What is chosen, None for each that is at fault; no list stands for a list of one."""
        if key not in self.document.data:
            return None
        raw = self.document.data[key]
        if not isinstance(raw, list):
            return [self.entry((key,), raw, shelf)]
        return [self.entry((key, index), item, shelf) for index, item in enumerate(raw)]

    def selection(self, key: str, shelf: Shelf[Any]) -> Selection | None:
        """Read one entry, None where the key is not there."""
        if key not in self.document.data:
            return None
        return self.entry((key,), self.document.data[key], shelf)

    def entry(self, location: Location, raw: Any, shelf: Shelf[Any]) -> Selection | None:
        """Read a name, or a mapping with a name and options."""
        if isinstance(raw, str):
            return self.resolve(location, raw, {}, shelf)
        if not isinstance(raw, dict) or "name" not in raw:
            self.fault(location, "should be a name, or a mapping with a name and options")
            return None
        name_location = (*location, "name")
        if not isinstance(raw["name"], str):
            self.fault(name_location, f"should be a name, got {raw['name']!r}")
            return None
        if not self.knows(name_location, raw["name"], shelf):
            return None
        options = {key: value for key, value in raw.items() if key != "name"}
        return self.resolve(location, raw["name"], options, shelf)

    def resolve(
        self, location: Location, name: str, given: Mapping[str, Any], shelf: Shelf[Any]
    ) -> Selection | None:
        """Look an entry up and complete its options; None, with faults noted, if that fails."""
        if not self.knows(location, name, shelf):
            return None
        faults_before = len(self.faults)
        given = self._with_wrapped(location, name, given, shelf)
        options = self.options(name, given, shelf, lambda key: (*location, *key), _settable)
        if options is None or len(self.faults) > faults_before:
            return None
        return Selection(name=name, options=options.model_dump(mode="json"))

    def _with_wrapped(
        self, location: Location, name: str, given: Mapping[str, Any], shelf: Shelf[Any]
    ) -> Mapping[str, Any]:
        """The same options, where one of them names another entry as a mapping with all of its."""
        entry = shelf[name].entry
        option = getattr(entry, "wraps", None)
        if option is None:
            return given
        field = entry.options.model_fields[option]
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        raw = given.get(option, default)
        if raw is None:
            return given
        wrapped = self.entry((*location, option), raw, shelf)
        # If it is wrong, the other options are still checked, so that every fault is told at once.
        written = {"name": wrapped.name, **wrapped.options} if wrapped else {}
        return {**given, option: written}

    def options(
        self,
        name: str,
        given: Mapping[str, Any],
        shelf: Shelf[Any],
        locate: Callable[[Location], Location],
        remedy: Callable[[Location], str],
    ) -> Options | None:
        """Check an entry's options.

        ``locate`` says where an option stands in the document, ``remedy`` how one that is missing
        can be given there.
        """
        options_type: type[Options] = shelf[name].entry.options
        try:
            return options_type.from_mapping(given)
        except ValidationError as error:
            whose = f"{shelf.kind} {name!r}"
            self.validation_faults(error, options_type, whose, locate, remedy)
            return None

    def knows(self, location: Location, name: str, shelf: Shelf[Any]) -> bool:
        """Whether there is an entry of that name; noted as a fault where there is not."""
        try:
            shelf[name]
        except UnknownNameError as error:
            self.fault(location, str(error))
            return False
        return True

    def validation_faults(
        self,
        error: ValidationError,
        model: type[BaseModel],
        whose: str,
        locate: Callable[[Location], Location] = lambda key: key,
        remedy: Callable[[Location], str] = lambda location: "",
    ) -> None:
        """Note what pydantic found, in our words."""
        for detail in error.errors():
            location = locate(detail["loc"])
            # A section that could not be resolved is missing by now; why has been said.
            if (
                detail["type"] == "missing"
                and location[0] in self.document.data
                and len(location) == 1
            ):
                continue
            message = _message(detail, model, whose)
            self.fault(location, message + (remedy(location) if message == MISSING else ""))


def _settable(location: Location) -> str:
    return f": --set {dotted(location)}=VALUE"


def _message(detail: Any, model: type[BaseModel], whose: str) -> str:
    match detail["type"]:
        case "extra_forbidden":
            key = str(detail["loc"][-1])
            known = list(model.model_fields)
            options = f" ({whose} has {', '.join(known) or 'no options'})"
            return f"unknown key{did_you_mean(key, known) or options}"
        case "missing":
            return MISSING
        case "value_error":
            return str(detail["ctx"]["error"])
        case _:
            message = detail["msg"].removeprefix("Input ")
            return f"{message[0].lower()}{message[1:]}, got {detail['input']!r}"
