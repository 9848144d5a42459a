"""What a module imports, found by reading its source: nothing is imported for this."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

# What imports a module whose name is an argument, and what imports others in ways of its own.
BY_NAME = frozenset(("import_module", "__import__"))
IN_OTHER_WAYS = frozenset(("attach", "attach_stub", "iter_modules", "walk_packages"))


@dataclass(frozen=True)
class Imported:
    """A module that a statement may import; as many dots as ``level`` stand before its name."""

    name: str
    level: int


def imports_in(source: bytes) -> tuple[list[Imported], bool]:
    """What a module may import, and whether it also imports by names that it makes.

    Imports in functions count, and those that are there for type checkers alone do not. Of a
    module that is no Python nothing is known: it fails when it is imported, and says why.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return [], False
    found: list[Imported] = []
    makes_names = False
    called = _names_for_import(tree)
    literal_calls = set()
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            found += [Imported(alias.name, 0) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += _imported_from(node)
        elif isinstance(node, ast.Call) and _name(node.func) in called and _literal(node):
            literal_calls.add(node.func)
            found.append(_named(_literal(node)))
        elif _name(node) in called | IN_OTHER_WAYS and node not in literal_calls:
            makes_names = True
    return found, makes_names


def _names_for_import(tree: ast.AST) -> frozenset[str]:
    """What ``import_module`` and ``__import__`` are called in this module."""
    renamed = {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in BY_NAME and alias.asname
    }
    return BY_NAME | renamed


def _imported_from(node: ast.ImportFrom) -> Iterator[Imported]:
    base = node.module or ""
    # What is imported from a package may be a module in it.
    names = ["", *(f".{alias.name}" for alias in node.names if alias.name != "*")]
    modules = ((base + name).removeprefix(".") for name in names)
    yield from (Imported(module, node.level) for module in modules if module)


def _named(name: str) -> Imported:
    module = name.lstrip(".")
    return Imported(module, len(name) - len(module))


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that are there for type checkers alone; calls before their parts."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def _name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _literal(call: ast.Call) -> str:
    """The name that a call has as its first argument, where that is written out."""
    first = call.args[0] if call.args else None
    value = first.value if isinstance(first, ast.Constant) else ""
    return value if isinstance(value, str) else ""
