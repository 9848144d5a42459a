"""The API page: every public name is on it, and nothing else, each with what it is for."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

import benchmark as face
from benchmark import errors, trial

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
# What has no docstring of its own in Python: the page itself says it.
WRITTEN = {"py:data", "py:type"}


def documented(module: str) -> dict[str, str]:
    """The page's names of that module, each with the directive that shows it."""
    found: list[tuple[str, str]] = []
    for part in PAGE.split(".. currentmodule:: ")[1:]:
        if part.startswith(f"{module}\n"):
            found += re.findall(r"^\.\. ([\w:]+):: (\w+)$", part, re.MULTILINE)
    directives = {name: directive for directive, name in found}
    assert len(directives) == len(found), "a name is there twice"
    return directives


def taken_from_trial() -> set[str]:
    """What the built-in plugins, which are as anybody's, import from ``benchmark.trial``."""
    trees = [ast.parse(file.read_text("utf-8")) for file in (ROOT / "plugins").rglob("*.py")]
    return {
        alias.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == trial.__name__
        for alias in node.names
    }


def test_the_page_has_every_public_name_and_no_other() -> None:
    assert sorted(documented("benchmark")) == sorted(importlib.import_module("benchmark").__all__)
    assert set(documented("benchmark.trial")) == taken_from_trial()
    kinds = {name for name, kind in vars(errors).items() if is_error(kind)}
    assert set(documented("benchmark.errors")) == kinds - {*documented("benchmark")}


def is_error(thing: object) -> bool:
    return inspect.isclass(thing) and issubclass(thing, errors.BenchmarkError)


def own_docstring(thing: Any) -> str:
    """What was written below it; a data class that has nothing there is given its signature."""
    text = (vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__) or ""
    return "" if text.startswith(f"{thing.__name__}(") else text


def undescribed(thing: Any) -> Iterator[str]:
    """The names of a thing and of its public methods and properties that have no docstring."""
    if not own_docstring(thing):
        yield thing.__name__
    if inspect.isclass(thing):
        for name, member in vars(thing).items():
            can_have_one = inspect.isfunction(member) or isinstance(member, property | classmethod)
            if can_have_one and not name.startswith("_") and not member.__doc__:
                yield f"{thing.__name__}.{name}"


def shown_by_autodoc() -> list[Any]:
    modules = {"benchmark": face, "benchmark.trial": trial, "benchmark.errors": errors}
    return [
        getattr(modules[module], name)
        for module in modules
        for name, directive in documented(module).items()
        if directive not in WRITTEN
    ]


@pytest.mark.parametrize("thing", shown_by_autodoc(), ids=lambda thing: thing.__name__)
def test_what_autodoc_shows_has_a_docstring(thing: Any) -> None:
    assert list(undescribed(thing)) == []


def test_what_has_no_docstring_is_described_on_the_page() -> None:
    written = [name for name, kind in documented("benchmark").items() if kind in WRITTEN]
    for name in written:
        assert re.search(rf"^\.\. py:\w+:: {name}\n(   :.*\n)*\n   \w", PAGE, re.MULTILINE), name
    values = re.findall(r":: (\w+)\n   :(?:canonical|value): (.+)$", PAGE, re.MULTILINE)
    assert [name for name, _ in values] == [name for name in written if name != "hookimpl"]
    for name, value in values:
        assert eval(value, {"Literal": Literal}) == getattr(face, name)
