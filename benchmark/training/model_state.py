"""All that a model holds, so that a pass that only looks at it can be undone.

Whatever can be reached from a model belongs to it: parameters and buffers, attributes, what lies in
lists and dictionaries, what its functions enclose, and random generators of its own.
"""

from __future__ import annotations

import copy
import types
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from benchmark.training.random_generators import (
    GENERATORS,
    generator_state,
    generators_undone,
    is_global,
    set_generator_state,
)

Undo = Callable[[], object]

_CONTAINERS = (dict, list, set, deque)
# Values that cannot change, or that a model only uses.
_CONSTANTS = (type(None), bool, int, float, complex, str, bytes, type, types.ModuleType)
# Libraries whose own objects, apart from modules and tensors, are no part of a model's state.
_LIBRARIES = {"torch", "numpy", "builtins", "_thread", "threading", "logging", "itertools"}


@contextmanager
def undone(model: nn.Module) -> Iterator[None]:
    """Undo whatever is done inside to a model, and to the process's random generators."""
    with generators_undone():
        undo = _remember(model)
        try:
            yield
        finally:
            _put_back(undo)


@contextmanager
def undone_but_for_new_parameters(model: nn.Module) -> Iterator[None]:
    """The same, but a module that is given parameters inside stays as it is then.

    What such a module notes of itself, that it has been built say, belongs to its new parameters.
    """
    with generators_undone():
        undo = _remember(model)
        before = {module: _own_parameters(module) for module in model.modules()}
        try:
            yield
        finally:
            _put_back(undo, _parts_of_grown_modules(model, before))


def own_generators(model: nn.Module) -> dict[str, Any]:
    """The random generators that a model holds, apart from the process's, by where they are."""
    return {
        path: value
        for path, value in _reachable(model)
        if isinstance(value, GENERATORS) and not is_global(value)
    }


def _remember(model: nn.Module) -> dict[int, tuple[Any, Undo]]:
    """How to undo what may happen to each part of a model, by the part's id."""
    copies: dict[int, Any] = {}
    undo = {}
    for _, value in _reachable(model):
        action = _undo(value, copies)
        if action is not None:
            # With the value itself, which so keeps its id.
            undo[id(value)] = (value, action)
    return undo


def _put_back(undo: Mapping[int, tuple[Any, Undo]], kept: Set[int] = frozenset()) -> None:
    with torch.no_grad():
        for key, (_, action) in undo.items():
            if key not in kept:
                action()


def _reachable(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Everything that a model reaches and that may change, each once, and where it is."""
    seen: dict[int, Any] = {}
    waiting: deque[tuple[str, Any]] = deque([("", model)])
    while waiting:
        path, value = waiting.popleft()
        if isinstance(value, _CONSTANTS) or id(value) in seen:
            continue
        seen[id(value)] = value
        yield path.lstrip("."), value
        waiting.extend(_parts(path, value))


def _parts(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, torch.jit.ScriptModule):
        for name, tensor in [*value.named_parameters(), *value.named_buffers()]:
            yield f"{path}.{name}", tensor
    elif isinstance(value, dict):
        yield from ((f"{path}.{key}", item) for key, item in value.items())
    elif isinstance(value, list | tuple | deque | set | frozenset):
        yield from ((f"{path}[{index}]", item) for index, item in enumerate(value))
    elif isinstance(value, types.MethodType):
        yield from ((path, value.__self__), (path, value.__func__))
    elif isinstance(value, types.BuiltinMethodType):
        yield path, value.__self__
    elif isinstance(value, types.FunctionType):
        names = value.__code__.co_freevars
        yield from zip((f"{path}.{n}" for n in names), value.__closure__ or (), strict=True)
        yield from ((path, value.__defaults__), (path, value.__kwdefaults__))
    elif isinstance(value, types.CellType):
        yield from ((path, content) for content in _content(value))
    elif isinstance(value, partial):
        yield from ((path, value.func), (path, value.args), (path, value.keywords))
    elif _has_attributes(value):
        # A module's tensors and children stand in dictionaries, whose names say nothing.
        for name, item in vars(value).items():
            yield (
                (path if name in ("_parameters", "_buffers", "_modules") else f"{path}.{name}"),
                item,
            )


def _has_attributes(value: Any) -> bool:
    if isinstance(value, Tensor) or not hasattr(value, "__dict__"):
        return False
    return isinstance(value, nn.Module) or type(value).__module__.split(".")[0] not in _LIBRARIES


def _content(cell: types.CellType) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:
        # A variable that has no value yet.
        return []


def _undo(value: Any, copies: dict[int, Any]) -> Undo | None:
    """What puts a part of a model back as it is now; None for one that cannot change."""
    if isinstance(value, Tensor):
        return _undo_tensor(value)
    if isinstance(value, GENERATORS):
        return partial(set_generator_state, value, generator_state(value))
    if isinstance(value, numpy.ndarray):
        return partial(numpy.copyto, value, value.copy()) if value.flags.writeable else None
    if isinstance(value, _CONTAINERS):
        return _undo_container(value, copies)
    if isinstance(value, types.CellType):
        content = _content(value)
        return partial(setattr, value, "cell_contents", content[0]) if content else None
    if isinstance(value, torch.jit.ScriptModule):
        return partial(value.train, value.training)
    return _undo_attributes(value, copies) if _has_attributes(value) else None


def _undo_tensor(tensor: Tensor) -> Undo | None:
    if is_lazy(tensor) or tensor.is_meta:
        return None
    needs_gradient, gradient, memory = tensor.requires_grad, tensor.grad, tensor.detach()
    values = memory.clone()

    def undo() -> None:
        if tensor.is_leaf:
            if tensor.data_ptr() != memory.data_ptr() or tensor.shape != memory.shape:
                tensor.data = memory
            tensor.requires_grad_(needs_gradient)
            tensor.grad = gradient
        # Compared first: of several elements in one place, none can be written to.
        if not torch.equal(memory, values):
            memory.copy_(values)

    return undo


def _undo_container(container: Any, copies: dict[int, Any]) -> Undo:
    if isinstance(container, dict):
        items: Any = {key: _still(value, copies) for key, value in container.items()}
    else:
        items = [_still(value, copies) for value in container]

    def undo() -> None:
        if isinstance(container, list):
            container[:] = items
            return
        container.clear()
        container.extend(items) if isinstance(container, deque) else container.update(items)

    return undo


def _undo_attributes(value: Any, copies: dict[int, Any]) -> Undo:
    kind = type(value)
    attributes = {name: _still(item, copies) for name, item in vars(value).items()}

    def undo() -> None:
        if type(value) is not kind:
            value.__class__ = kind
        vars(value).clear()
        vars(value).update(attributes)

    return undo


def _still(value: Any, copies: dict[int, Any]) -> Any:
    """The value; of an iterator, which nothing turns back, a copy, the same wherever it is."""
    if not isinstance(value, Iterator) or isinstance(value, types.GeneratorType):
        return value
    if id(value) not in copies:
        with warnings.catch_warnings():
            # Python 3.14 copies none of itertools any more.
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                copies[id(value)] = copy.copy(value)
            except TypeError:
                copies[id(value)] = value
    return copies[id(value)]


def _own_parameters(module: nn.Module) -> set[str]:
    """The names of parameters that a module itself holds and that have been made."""
    return {
        name for name, parameter in module.named_parameters(recurse=False) if not is_lazy(parameter)
    }


def _parts_of_grown_modules(model: nn.Module, before: Mapping[nn.Module, set[str]]) -> set[int]:
    """Ids of the modules that have more parameters than ``before``, and of their dictionaries."""
    grown = {module for module, names in before.items() if _own_parameters(module) - names}
    for module in model.modules():
        has_new_child = any(
            child not in before and [*child.parameters()] for child in module.children()
        )
        if module in before and has_new_child:
            grown.add(module)
    # A list of layers notes nothing; the module whose it is does.
    lists = [
        module
        for module in grown
        if isinstance(module, nn.ModuleList | nn.ModuleDict | nn.Sequential)
    ]
    grown |= {module for module in before if any(child in lists for child in module.children())}
    own = {
        id(value)
        for module in grown
        for name, value in vars(module).items()
        if name.startswith("_") and isinstance(value, dict)
    }
    return own | {id(module) for module in grown}
