"""A model's state other than its parameters and buffers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.training.model_state import own_generators
from benchmark.training.random_generators import generator_state, set_generator_state

_OF_EVERY_MODULE = vars(nn.Module()).keys()


def extra_state(model: nn.Module) -> dict[str, dict[str, Any]]:
    """What modules hand over by ``get_extra_state``, and where generators of the model's stand."""
    return {
        "modules": {name: module.get_extra_state() for name, module in _with_extra_state(model)},
        "generators": {
            name: generator_state(generator) for name, generator in own_generators(model).items()
        },
    }


def set_extra_state(model: nn.Module, state: Mapping[str, Mapping[str, Any]]) -> None:
    """Give ``extra_state`` back to a model that has all of it."""
    for name, module in _with_extra_state(model):
        module.set_extra_state(state["modules"][name])
    for name, generator in own_generators(model).items():
        set_generator_state(generator, state["generators"][name])


def misfit(model: nn.Module, state: Mapping[str, Mapping[str, Any]]) -> str | None:
    """What a model lacks that ``state`` is of, or has besides; None where it fits."""
    present = {
        "modules": {name for name, _ in _with_extra_state(model)},
        "generators": own_generators(model).keys(),
    }
    for kind, names in present.items():
        for name in sorted(state[kind].keys() ^ names):
            what = "extra state" if kind == "modules" else "a random generator"
            return f"{name or 'the model'} has {what} {'now' if name in names else 'no longer'}"
    return None


class UnsavedAttributes:
    """Tells which attributes of a model's modules change that no checkpoint keeps.

    These are numbers, texts, tensors and collections that are neither parameters nor buffers, of
    modules without a ``get_extra_state``. One that is set once, as a cache is, does not change.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._before = dict(_attributes(model))

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """Take no notice of what changes inside."""
        before = dict(_attributes(self._model))
        yield
        for name, seen in _attributes(self._model):
            if seen != before.get(name):
                self._before[name] = seen

    def changed(self) -> list[str]:
        """The names of those that have changed since this was last asked, or since the start."""
        before, self._before = self._before, dict(_attributes(self._model))
        return [name for name, seen in self._before.items() if seen != before.get(name, seen)]


def _with_extra_state(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, module in model.named_modules():
        if type(module).get_extra_state is not nn.Module.get_extra_state:
            yield name, module


def _attributes(model: nn.Module) -> Iterator[tuple[str, object]]:
    handed_over = {name for name, _ in _with_extra_state(model)}
    for path, module in model.named_modules():
        is_plugins = not type(module).__module__.startswith("torch.")
        if path in handed_over or not is_plugins or isinstance(module, torch.jit.ScriptModule):
            continue
        for name, value in vars(module).items():
            if name not in _OF_EVERY_MODULE and (seen := _seen(value)) is not None:
                yield f"{path}.{name}".lstrip("."), seen


def _seen(value: object) -> object:
    """What of a value shows that it has changed; None where nothing does, or there is no value."""
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor):
        return id(value), value._version
    return len(value) or None if isinstance(value, list | dict | set) else None
