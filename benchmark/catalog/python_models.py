"""Models that are classes and functions of this process, such as a notebook's.

Each is offered by a plugin that is no file: a selection that only this process understands.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from benchmark.catalog.function_source import ChangedSourceError, UnreadableSourceError
from benchmark.catalog.plugin import Plugin
from benchmark.catalog.source import Source
from benchmark.entries import ModelEntry, is_name
from benchmark.errors import BenchmarkError, PluginError
from benchmark.hookspecs import hookimpl
from benchmark.specs import PYTHON


@dataclass(frozen=True)
class PythonModel:
    """A class or a function that builds a model; ``label`` is what its row is called."""

    label: str
    build: Any

    @property
    def module(self) -> str:
        """The module that it comes from."""
        return getattr(getattr(self.build, "func", self.build), "__module__", None) or "__main__"


_offered: dict[str, tuple[PythonModel, Source]] = {}


def take_python_models(models: Any) -> tuple[Any, list[PythonModel]]:
    """What a config can say of ``models``, and the classes and functions among them.

    ``models`` is a list as a config has it, or a mapping of labels to its items. Raises
    BenchmarkError for a model that has been built already, and for what has no name.
    """
    taken: list[PythonModel] = []
    match models:
        case Mapping():
            return [_plain(label, item, taken) for label, item in models.items()], taken
        case list() | tuple():
            return [_plain(None, item, taken) for item in models], taken
    return models, taken


def _plain(label: Any, item: Any, taken: list[PythonModel]) -> Any:
    # Imported here: it takes seconds, and whoever loads plugins may not need it.
    from torch import nn

    if isinstance(item, nn.Module):
        kind = type(item).__name__
        raise BenchmarkError(
            f"models: an instance of {kind}; give the class, or a function that builds one, "
            "because each seed needs weights of its own"
        )
    if not callable(item):
        return item if label is None else _labelled(label, item)
    name = getattr(item, "__name__", "") if label is None else label
    if not (isinstance(name, str) and is_name(name)):
        raise BenchmarkError(
            f"models: {name!r} cannot be a label; give one: models={{'LABEL': ...}}"
        )
    model = PythonModel(name, item)
    if any(other.label == name and other.build is not item for other in taken):
        raise BenchmarkError(
            f"models: two have the label {name!r}; give others: models={{'LABEL': ...}}"
        )
    taken.append(model)
    return name


def _labelled(label: Any, item: Any) -> Any:
    if isinstance(item, Mapping):
        return {**item, "label": label}
    if not isinstance(item, str):
        raise BenchmarkError(
            f"models: {label!r} should be a class, a function, a name or a mapping, "
            f"not a value of type {type(item).__name__}"
        )
    return {"name": item, "label": label}


def offer_python_model(model: PythonModel, warn: Callable[[str], None]) -> str:
    """Offer a model; returns the selection of its plugin.

    Where what it consists of cannot be found out, it is another model at each call, and ``warn``
    gets a line that says why. Raises PluginError where its file was edited since it was imported.
    """
    # Imported here: it imports torch.
    from benchmark.catalog.python_source import python_source

    try:
        source = python_source(model.build)
    except ChangedSourceError as error:
        raise PluginError(
            f"{model.label}: {error}; restart Python, or import it anew (importlib.reload)"
        ) from error
    except UnreadableSourceError as error:
        source = Source(secrets.token_hex(32))
        warn(
            f"{model.label}: {error}; so nothing tells this model from its next version, and each "
            "call trains it anew (what is in a file, given as a plugin, is trained once)"
        )
    selection = f"{PYTHON}{model.label}@{source.digest}"
    _offered[selection] = model, source
    return selection


def without_python_models(selection: tuple[str, ...]) -> tuple[str, ...]:
    """What of a selection means something in another process."""
    return tuple(item for item in selection if not item.startswith(PYTHON))


def python_plugin(selection: str) -> Plugin:
    """The plugin of such a selection, with its module; raises PluginError in another process."""
    if selection not in _offered:
        label = selection.removeprefix(PYTHON).partition("@")[0]
        raise PluginError(f"{label} is a class or a function of another process: train it there")
    model, source = _offered[selection]
    module = ModuleType(model.label)

    @hookimpl
    def benchmark_models() -> Iterator[ModelEntry]:
        yield ModelEntry(model.label, model.build, f"{model.module}, in this process")

    module.benchmark_models = benchmark_models  # type: ignore[attr-defined]
    plugin = Plugin(f"{model.module}:{model.label}", module=module)
    plugin.source = source
    return plugin
