"""A face hands out what others use, all of it and nothing else, and loads it when it is used."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = [
    "benchmark",
    *(f"benchmark.{file.parent.name}" for file in sorted(ROOT.glob("benchmark/*/__init__.pyi"))),
]
ROOMS = PACKAGES[1:]
VOCABULARY = [
    ROOT / "benchmark" / f"{name}.py"
    for name in (
        *("entries", "optimization", "events", "records", "specs", "protocol", "summaries"),
    )
]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
# What takes long to load, and what only some of the commands and plugins need.
HEAVY = {
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "pydantic",
    "pluggy",
    "click",
    "rich",
    "tabulate",
    "yaml",
    "PIL",
}


def handed_out(package: str) -> list[str]:
    return importlib.import_module(package).__all__


@cache
def sources() -> dict[Path, ast.Module]:
    """Every module of the tree, parsed."""
    files = [
        file
        for top in ("benchmark", "plugins", "perf", "tests")
        for file in (ROOT / top).rglob("*.py")
    ]
    return {
        file: ast.parse(file.read_text(encoding="utf-8"))
        for file in files
        if not any(part.startswith(".") for part in file.relative_to(ROOT).parts)
    }


def imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each ``from MODULE import NAME``, wherever in the module it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.module, alias.name) for alias in node.names)


@cache
def imports() -> list[tuple[Path, str, str]]:
    """The same of every module of the tree."""
    return [(file, *pair) for file, tree in sources().items() for pair in imported(tree)]


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)


# What is handed out


def test_every_room_has_a_face() -> None:
    folders = {file.parent.name for file in ROOT.glob("benchmark/*/*.py")}
    assert {f"benchmark.{folder}" for folder in folders} == set(ROOMS)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_on_a_face_is_there(package: str) -> None:
    module = importlib.import_module(package)
    for name in handed_out(package):
        assert getattr(module, name) is not None, name


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_hands_out_only_what_others_use(room: str) -> None:
    inside = ROOT / room.replace(".", "/")
    used = {
        name for file, module, name in imports() if module == room and inside not in file.parents
    }
    assert set(handed_out(room)) - used == set()


def test_no_face_loads_anything_heavy() -> None:
    program = (
        f"import importlib, json, sys; [importlib.import_module(name) for name in {PACKAGES}]; "
        "print(json.dumps([*sys.modules]))"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    loaded = {module.partition(".")[0] for module in json.loads(output)}
    assert "benchmark" in loaded
    assert loaded & HEAVY == set()


# The public face


def type_expressions(tree: ast.Module) -> Iterator[ast.expr]:
    """What the module's public classes say of their fields, arguments and results."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for part in ast.walk(node):
                if isinstance(part, ast.AnnAssign | ast.arg) and part.annotation:
                    yield part.annotation
                if isinstance(part, ast.FunctionDef) and part.returns:
                    yield part.returns


def defined(trees: Iterable[ast.Module]) -> set[str]:
    """The public names of classes and types in modules."""
    names = set()
    for tree in trees:
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                names.add(node.name)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                names.add(node.targets[0].id)
    return {name for name in names if not name.startswith("_")}


def test_a_plugin_can_name_the_type_of_all_that_it_is_given() -> None:
    vocabulary = [sources()[file] for file in VOCABULARY]
    mentioned = {
        name.id
        for tree in vocabulary
        for annotation in type_expressions(tree)
        for name in ast.walk(annotation)
        if isinstance(name, ast.Name)
    }
    types = mentioned & defined(vocabulary) - {"Figure", "Identity"}
    assert {"TrialSpec", "EpochRecord", "TrialKey", "Interval", "Status"} <= types
    assert types <= set(handed_out("benchmark"))


def examples() -> list[tuple[str, str]]:
    """Each piece of Python that a plugin's author is shown, and where it stands."""
    shown = [
        (str(page.relative_to(ROOT)), block) for page in PAGES for block in python_blocks(page)
    ]
    samples = (ROOT / "examples").rglob("*.py")
    return shown + [(sample.name, sample.read_text(encoding="utf-8")) for sample in samples]


def test_examples_import_from_the_public_face_alone() -> None:
    modules = [
        (place, module)
        for place, source in examples()
        if "import" in source
        for module, _ in imported(ast.parse(source))
        if module.partition(".")[0] == "benchmark"
    ]
    assert len(modules) > 5
    behind = {(place, module) for place, module in modules if module != "benchmark"}
    # An executor's example, which trains.
    assert behind == {("docs/hooks/executors.md", "benchmark.trial")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_names_that_a_page_mentions_exist(page: Path) -> None:
    # The entry points' group and the presets' package are no modules of the tree.
    others = ("benchmark.plugins", "benchmark.presets")
    for name in re.findall(r"`(benchmark(?:\.\w+)+)", page.read_text(encoding="utf-8")):
        if not name.startswith(others):
            pkgutil.resolve_name(name)
