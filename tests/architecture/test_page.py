"""The architecture page is true of the tree: all that it names is there, and nothing is missing."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# Deeper than any name: such a line says more of the line above it.
DESCRIPTIONS = 30


def section(title: str) -> str:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return found


def contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return settings["tool"]["importlinter"]["contracts"]


def named() -> Iterator[str]:
    """Each path in the page's tree, a folder's with a slash at its end."""
    (tree,) = re.findall(r"^```text\n(.*?)^```$", section("The house"), re.MULTILINE | re.DOTALL)
    folders: list[str] = []
    for line in filter(None, tree.splitlines()):
        depth = len(line) - len(line.lstrip())
        if depth == DESCRIPTIONS:
            continue
        del folders[depth // 4 :]
        names = line.strip().partition("  ")[0].split(", ")
        yield from ("".join([*folders, name]) for name in names)
        if names[0].endswith("/"):
            folders.append(names[0])


def packages(top: str) -> list[Path]:
    """A folder and those below it that have modules, without an environment that lies there."""
    folders = [file.parent for file in (ROOT / top).rglob("__init__.py")]
    return [folder for folder in folders if "/." not in folder.relative_to(ROOT).as_posix()]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() + ("/" if path.is_dir() else "")


def modules(folder: Path) -> list[Path]:
    return [file for file in folder.glob("*.py") if file.name != "__init__.py"]


def test_the_page_names_no_path_twice_and_none_that_is_not_there() -> None:
    paths = [*named()]
    assert len(paths) == len(set(paths)) > 100
    assert [path for path in paths if path != relative(ROOT / path)] == []


def test_the_page_has_every_room_and_module_of_the_core() -> None:
    folders = packages("benchmark")
    files = [file for folder in folders for file in modules(folder)]
    expected = {*map(relative, [*folders, *files]), "benchmark/__init__.py"}
    assert {path for path in named() if path.startswith("benchmark/")} == expected


def test_the_page_has_every_folder_of_plugins_and_of_perf_and_their_modules() -> None:
    for top in ("plugins", "perf"):
        expected = {*map(relative, [*packages(top), *modules(ROOT / top)])}
        assert {path for path in named() if path.startswith(f"{top}/")} == expected


def test_tests_have_a_folder_for_each_room_and_those_on_the_page() -> None:
    rooms = {folder.name for folder in packages("benchmark") if folder.parent == ROOT / "benchmark"}
    folders = {folder.name for folder in packages("tests") if folder.parent == ROOT / "tests"}
    assert {f"tests/{folder}/" for folder in folders - rooms} == {
        path for path in named() if path.startswith("tests/") and path != "tests/"
    }
    assert rooms <= folders


def test_the_page_explains_every_contract_in_their_order() -> None:
    explained = re.findall(r"^\*\*(.+?)\.?\*\*", section("Contracts"), re.MULTILINE)
    names = [contract["name"] for contract in contracts()]
    assert len(explained) == len(names)
    for words, name in zip(explained, names, strict=True):
        assert name.startswith(words)


def test_the_page_has_what_executors_may_import() -> None:
    (exempt,) = (
        contract["ignore_imports"]
        for contract in contracts()
        if contract.get("source_modules") == ["benchmark_plugins"]
    )
    words = re.findall(r"`(?:benchmark\.)?(\w+)`", section("What plugins import"))
    assert {line.rpartition("benchmark.")[2] for line in exempt} == {*words} - {"benchmark"}
