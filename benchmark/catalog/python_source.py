"""What a class or a function of a running Python consists of, as a digest.

Of a function these are its source, its defaults, what its closure holds, and the globals that it
names; of a class its bases and all that is in it. What those name counts likewise, however deep,
but for what comes from an installed library, which counts by its name. A source is believed only
where it compiles to the very code that is in memory: a file may have been edited since.
"""

from __future__ import annotations

import builtins
import dataclasses
import enum
import functools
import hashlib
import inspect
import re
import sys
import types
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy
import torch

from benchmark.catalog.code_digest import code_digest
from benchmark.catalog.function_source import UnreadableSourceError, global_paths, source_text
from benchmark.catalog.installation import is_in_installation, is_installed
from benchmark.catalog.source import Source
from benchmark.errors import PLUGIN_FAULTS, one_line
from benchmark.hookspecs import PROJECT
from benchmark.plain_data import canonical_json

# In a class's namespace: what Python puts there, and what says nothing of what the class does.
# fmt: off
_IGNORED = frozenset((
    "__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "_abc_impl",
    "__abstractmethods__", "__annotations__", "__annotate__", "__annotate_func__",
    "__annotations_cache__", "__conditional_annotations__", "__firstlineno__",
    "__static_attributes__", "__orig_bases__", "__parameters__", "__dataclass_params__",
    "__match_args__",
))
# fmt: on
_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), range, slice)
_BY_REPR = (torch.dtype, torch.device, torch.Size, PurePath, types.GenericAlias, types.UnionType)


def python_source(build: Any) -> Source:
    """What a class or function consists of, and the libraries that it uses.

    Raises UnreadableSourceError.
    """
    walk = _Walk(_top_level(build))
    try:
        facts = walk.describe(build, getattr(build, "__qualname__", "the model"))
    except UnreadableSourceError:
        raise
    except PLUGIN_FAULTS as error:
        # Whatever an object does when it is looked at.
        raise UnreadableSourceError(one_line(error)) from error
    digest = hashlib.sha256(canonical_json({"model": facts, "parts": walk.parts})).hexdigest()
    return Source(digest, tuple(sorted(walk.libraries)))


class _Walk:
    """Describes things as JSON has them; each class and function once, in ``parts``."""

    def __init__(self, own: str) -> None:
        self.parts: list[Any] = []
        self.libraries: set[str] = set()
        self._own = own
        self._seen: dict[int, int] = {}
        # So that no other thing gets the address of one that has been seen.
        self._held: list[Any] = []

    def describe(self, value: Any, name: str) -> Any:
        """What a thing is; ``name`` is what it is called where it cannot be told."""
        if isinstance(value, _PLAIN) and not isinstance(value, enum.Enum):
            return [type(value).__name__, repr(value)]
        if isinstance(value, numpy.ndarray | numpy.generic | torch.Tensor):
            return _numbers(value, name)
        if isinstance(value, _BY_REPR) or type(value).__module__ == "typing":
            return [type(value).__qualname__, repr(value)]
        if isinstance(value, re.Pattern):
            return ["pattern", repr(value.pattern), value.flags]
        if isinstance(value, types.ModuleType):
            return self._module(value, name)
        if isinstance(value, type) or callable(getattr(value, "__get__", None)):
            return self._code(value, name)
        return self._once(value, name, self._object)

    def _code(self, value: Any, name: str) -> Any:
        """A class, a function, or what wraps one."""
        match value:
            case types.MethodType():
                return [
                    "method",
                    self.describe(value.__func__, name),
                    self.describe(value.__self__, name),
                ]
            case staticmethod() | classmethod():
                return [type(value).__name__, self.describe(value.__func__, name)]
            case property():
                accessors = (value.fget, value.fset, value.fdel)
                return ["property", *(self.describe(accessor, name) for accessor in accessors)]
            case functools.cached_property():
                return ["cached_property", self.describe(value.func, name)]
            case types.MemberDescriptorType() | types.GetSetDescriptorType():
                return ["slot", value.__name__]
        if self._is_library(_module_name(value)):
            return self._library_thing(value, name)
        if isinstance(value, type):
            return self._once(value, name, self._class)
        if isinstance(value, types.FunctionType):
            return self._once(value, name, self._function)
        return self._once(value, name, self._object)

    def _once(self, value: Any, name: str, describe: Any) -> Any:
        if id(value) not in self._seen:
            self._seen[id(value)] = number = len(self.parts)
            self._held.append(value)
            self.parts.append(None)
            self.parts[number] = describe(value, name)
        return ["part", self._seen[id(value)]]

    def _library_thing(self, value: Any, name: str) -> Any:
        module, qualified = _module_name(value), getattr(value, "__qualname__", "<locals>")
        assert module is not None
        self._note_library(module)
        if "<locals>" not in qualified:
            return ["library", module, qualified]
        is_function = isinstance(value, types.FunctionType)
        return self._once(value, name, self._function if is_function else self._object)

    def _module(self, module: types.ModuleType, name: str) -> Any:
        if not self._is_library(module.__name__):
            raise UnreadableSourceError(f"{name} is a module, used as a whole")
        self._note_library(module.__name__)
        return ["module", module.__name__]

    def _note_library(self, module: str) -> None:
        self.libraries |= {module.partition(".")[0]} - sys.stdlib_module_names - {PROJECT}

    def _class(self, value: type, name: str) -> Any:
        members = {
            key: _fields(member) if key == "__dataclass_fields__" else member
            for key, member in vars(value).items()
            if key not in _IGNORED and not _is_generated(value, member)
        }
        described = {
            key: self.describe(member, f"{name}.{key}") for key, member in sorted(members.items())
        }
        bases = [self.describe(base, base.__qualname__) for base in value.__bases__]
        metaclass = self.describe(type(value), type(value).__qualname__)
        return ["class", value.__qualname__, metaclass, bases, described]

    def _function(self, function: types.FunctionType, name: str) -> Any:
        code = function.__code__
        if is_in_installation(code.co_filename):
            # A library's wrapper around an own function.
            digest, paths = code.co_name, set()
        else:
            text = source_text(code, name)
            digest = code_digest(text.encode("utf-8", "surrogatepass"))
            paths = {*global_paths(code, function.__globals__)}
        cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
        named = {
            variable: self.describe(_content(cell, variable), variable) for variable, cell in cells
        }
        for path in sorted(paths):
            named[".".join(path)] = self._global(path, function.__globals__)
        defaults = [self.describe(value, f"a default of {name}") for value in _defaults(function)]
        return ["function", digest, defaults, named]

    def _global(self, path: tuple[str, ...], namespace: Mapping[str, Any]) -> Any:
        first, *attributes = path
        if first not in namespace:
            return ["builtin" if hasattr(builtins, first) else "missing", first]
        value = namespace[first]
        for place, attribute in enumerate(attributes):
            if self._is_library(value.__name__):
                return [*self._module(value, first), *attributes[place:]]
            value = getattr(value, attribute, None)
        return self.describe(value, ".".join(path))

    def _object(self, value: Any, name: str) -> Any:
        """A container, a partial function, or an object of an own class: what is in it."""
        kind = type(value)
        if kind in (list, tuple):
            return [kind.__name__, *(self.describe(item, name) for item in value)]
        if kind in (set, frozenset):
            return [kind.__name__, *sorted(str(self.describe(item, name)) for item in value)]
        if kind is dict:
            pairs = [(self.describe(k, name), self.describe(v, name)) for k, v in value.items()]
            return ["dict", *pairs]
        if isinstance(value, types.BuiltinFunctionType) and not _is_bound(value):
            return ["builtin", value.__qualname__]
        wrapped = getattr(value, "__wrapped__", None)
        if wrapped is not None:
            return ["wrapper", type(value).__qualname__, self.describe(wrapped, name)]
        return ["object", self.describe(_reduced(value, name), name)]

    def _is_library(self, module: str | None) -> bool:
        top_level = (module or "").partition(".")[0]
        return top_level not in ("", "__main__", self._own) and is_installed(top_level)


def _reduced(value: Any, name: str) -> Any:
    """What an object is made again from, as pickle has it."""
    try:
        parts = value.__reduce_ex__(2)
    except Exception as error:
        raise _unreadable(value, name) from error
    if isinstance(parts, str):
        raise _unreadable(value, name)
    # The last two give a list's and a dict's items.
    return tuple(part if place < 3 else [*(part or ())] for place, part in enumerate(parts))


def _unreadable(value: object, name: str) -> UnreadableSourceError:
    return UnreadableSourceError(f"{name} is a {type(value).__name__}")


def _is_bound(function: types.BuiltinFunctionType) -> bool:
    """Whether it is a method of an object, whose content would count."""
    return not isinstance(function.__self__, types.ModuleType | type | types.NoneType)


def _fields(fields: Mapping[str, dataclasses.Field[Any]]) -> list[Any]:
    missing = dataclasses.MISSING
    return [
        (
            field.name,
            *(
                None if value is missing else (value,)
                for value in (field.default, field.default_factory)
            ),
            field.init,
        )
        for field in fields.values()
    ]


def _top_level(build: Any) -> str:
    return (_module_name(getattr(build, "func", build)) or "").partition(".")[0]


def _module_name(value: Any) -> str | None:
    module = getattr(value, "__module__", None) or getattr(
        getattr(value, "__self__", None), "__name__", None
    )
    return module if isinstance(module, str) else None


def _numbers(value: Any, name: str) -> Any:
    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided or value.device.type == "meta":
            raise UnreadableSourceError(f"{name} is a Tensor of a special kind")
        content = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        kind = str(value.dtype)
    else:
        if value.dtype.hasobject:
            raise UnreadableSourceError(f"{name} is an array of objects")
        content, kind = numpy.ascontiguousarray(value), str(value.dtype)
    return ["numbers", kind, [*value.shape], hashlib.sha256(content.tobytes()).hexdigest()]


def _content(cell: types.CellType, variable: str) -> Any:
    try:
        return cell.cell_contents
    except ValueError as error:
        raise UnreadableSourceError(f"{variable} has no value yet") from error


def _defaults(function: types.FunctionType) -> list[Any]:
    return [*(function.__defaults__ or ()), *sorted((function.__kwdefaults__ or {}).items())]


def _is_generated(owner: type, member: Any) -> bool:
    """Whether a method was made from the fields of its class, which count themselves."""
    code = getattr(inspect.unwrap(member) if callable(member) else member, "__code__", None)
    has_fields = not {"__dataclass_fields__", "_fields"}.isdisjoint(vars(owner))
    file = code.co_filename if code is not None else ""
    return has_fields and (file.startswith("<") or (bool(file) and is_in_installation(file)))
