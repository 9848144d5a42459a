"""Plugins' files that import the modules beside them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmark.catalog.neighbours import find_neighbour


def write(files: dict[str, str]) -> None:
    """Write files into the current folder, and make the folders that they need."""
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)


# What an import finds, before anything is imported.


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("parts", "parts/__init__.py"),
        ("parts.blocks", "parts/blocks.py"),
        ("loose.blocks", "loose/blocks.py"),
        ("tools", "tools.py"),
        (".tools", "tools.py"),
        (".parts.blocks", "parts/blocks.py"),
        # The standard library, the core, and a package that is installed.
        ("random", None),
        ("benchmark", None),
        ("torch", None),
        (".random", "random.py"),
        (".torch", "torch/__init__.py"),
        # A folder without __init__ has no file, and a class is no module.
        ("loose", None),
        ("parts.blocks.Block", None),
        ("missing", None),
        (".", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("path_entry", [None, "", "{}"], ids=["not there", "empty", "its path"])
def test_where_a_name_leads(
    name: str,
    file: str | None,
    path_entry: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ["parts/__init__", "parts/blocks", "loose/blocks", "tools", "random", "torch/__init__"]
    write({f"{name}.py": "" for name in [*names, "__init__", "benchmark"]})
    if path_entry is not None:
        monkeypatch.setattr(sys, "path", [path_entry.format(tmp_path), *sys.path])
    expected = None if file is None else tmp_path / file
    assert find_neighbour(tmp_path, name) == expected
