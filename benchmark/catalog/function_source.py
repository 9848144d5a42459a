"""The source of a function of a running Python, and the globals that it names."""

from __future__ import annotations
import __future__

import ast
import dis
import functools
import linecache
import textwrap
import types
from collections.abc import Iterator, Mapping
from typing import Any

LOADS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
_FUTURE_FLAGS: int = functools.reduce(
    int.__or__, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
)


class UnreadableSourceError(Exception):
    """What something consists of cannot be found out; the text says of what, and why."""


class ChangedSourceError(UnreadableSourceError):
    """A file is not what was imported from it."""


def global_paths(code: types.CodeType, namespace: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The globals that code names; of a module, each of its attributes that is named."""
    instructions = [i for i in dis.get_instructions(code) if i.opname != "CACHE"]
    for place, instruction in enumerate(instructions):
        if instruction.opname not in LOADS:
            continue
        path = [instruction.argval]
        value = namespace.get(path[0])
        for following in instructions[place + 1 :]:
            is_attribute = following.opname in ("LOAD_ATTR", "LOAD_METHOD")
            if not is_attribute or not isinstance(value, types.ModuleType):
                break
            path.append(following.argval)
            value = getattr(value, following.argval, None)
        yield tuple(path)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from global_paths(constant, namespace)


def source_text(code: types.CodeType, name: str) -> str:
    """The source of a function, which compiles to ``code``.

    Raises UnreadableSourceError where there is none, ChangedSourceError where there is another.
    """
    text = _file_text(code, name)
    node = _node_of(code, ast.parse(text))
    if node is None:
        raise UnreadableSourceError(f"the source of {name} is not found in its file")
    if isinstance(node, ast.Lambda):
        return ast.get_source_segment(text, node) or ""
    lines = text.splitlines()[code.co_firstlineno - 1 : node.end_lineno]
    return textwrap.dedent("\n".join(lines))


def _file_text(code: types.CodeType, name: str) -> str:
    # As it was read before, if it was: a script may be edited while it runs.
    for is_read_anew in (False, True):
        if is_read_anew:
            linecache.checkcache(code.co_filename)
        text = "".join(linecache.getlines(code.co_filename))
        if text and _compiles_to(code, text):
            return text
    if not text:
        raise UnreadableSourceError(f"the source of {name} is not there")
    raise ChangedSourceError(f"the source of {name} has changed since it was imported")


def _compiles_to(code: types.CodeType, text: str) -> bool:
    try:
        units = _compiled(text, code.co_flags & _FUTURE_FLAGS)
    except (SyntaxError, ValueError):
        return False
    return any(found == code for unit in units for found in _codes(unit))


@functools.lru_cache(maxsize=64)
def _compiled(text: str, flags: int) -> list[types.CodeType]:
    """A source compiled as a whole, as of a file; and by statements, as IPython does with a cell.

    The compiler treats a name in another way where it sees the import of it.
    """
    flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = ast.parse(text)
    units = [tree, *(ast.Module([statement], []) for statement in tree.body)]
    return [compile(unit, "<source>", "exec", flags, dont_inherit=True) for unit in units]


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _node_of(code: types.CodeType, tree: ast.AST) -> Any:
    """The definition or the lambda that code was compiled from."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    found: list[Any] = [
        node
        for node in ast.walk(tree)
        if isinstance(node, kinds)
        and _first_line(node) == code.co_firstlineno
        and getattr(node, "name", "<lambda>") == code.co_name
    ]
    if code.co_name != "<lambda>":
        return found[0] if len(found) == 1 else None
    places = [(line, column) for line, _, column, _ in code.co_positions() if column]
    around = [
        node
        for node in found
        if places
        and (node.body.lineno, node.body.col_offset) <= min(places)
        and max(places) <= (node.body.end_lineno, node.body.end_col_offset)
    ]
    return around[-1] if around else None


def _first_line(node: Any) -> Any:
    return min(
        [node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))]
    )
