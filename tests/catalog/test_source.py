"""What a plugin consists of: its file or module, and what of its own that imports."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmark.catalog.libraries import library_versions
from benchmark.catalog.source import folder_source, module_source


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


BESIDE = {
    "model.py": (
        "import parts\nfrom . import near\nfrom blocks.conv import Conv\n"
        "def build():\n    import late\n    from torch import nn\n    import timm_of_nobody\n"
    ),
    "parts.py": "SIZE = 1\n",
    "near.py": "from .deep import y\n",
    "deep.py": "y = 1\n",
    "late.py": "z = 1\n",
    "blocks/__init__.py": "",
    "blocks/conv.py": "from ..parts import SIZE\nfrom . import norm\nimport blocks.act as act\n",
    "blocks/norm.py": "",
    "blocks/act.py": "",
    "blocks/unused.py": "",
    "unused.py": "",
    "typed.py": "",
    "torch.py": "hidden = 1\n",
}
USED = (
    "model.py", "parts.py", "near.py", "deep.py", "late.py", "blocks/__init__.py", "blocks/conv.py",
    "blocks/norm.py", "blocks/act.py",
)  # fmt: skip


def beside(folder: Path) -> str | None:
    return folder_source(folder, folder / "model.py").digest


@pytest.mark.parametrize("file", USED)
def test_all_that_a_file_imports_from_beside_it_counts(tmp_path: Path, file: str) -> None:
    write(tmp_path, BESIDE)
    before = beside(tmp_path)
    text = (tmp_path / file).read_text()
    (tmp_path / file).write_text(f'"""A docstring."""\n\n# A comment.\n{text}')
    assert beside(tmp_path) == before
    (tmp_path / file).write_text(f"{text}\nchanged = 1\n")
    assert beside(tmp_path) != before


@pytest.mark.parametrize("file", sorted(BESIDE.keys() - USED))
def test_what_it_does_not_import_does_not_count(tmp_path: Path, file: str) -> None:
    write(tmp_path, BESIDE)
    before = beside(tmp_path)
    (tmp_path / file).write_text("changed = 1\n")
    assert beside(tmp_path) == before


def test_a_file_is_the_same_in_another_folder_and_under_another_name(tmp_path: Path) -> None:
    for name in ("here", "there"):
        write(tmp_path / name, BESIDE)
    there = tmp_path / "there"
    (there / "model.py").rename(there / "net.py")
    assert folder_source(there, there / "net.py").digest == beside(tmp_path / "here")


def test_what_is_imported_for_type_checkers_alone_does_not_count(tmp_path: Path) -> None:
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import typed\n"
    write(tmp_path, {**BESIDE, "model.py": typed})
    before = beside(tmp_path)
    (tmp_path / "typed.py").write_text("changed = 1\n")
    assert beside(tmp_path) == before


def test_libraries_are_those_that_are_neither_beside_nor_pythons_own(tmp_path: Path) -> None:
    write(tmp_path, {**BESIDE, "late.py": "import os.path, numpy.linalg\nimport benchmark\n"})
    source = folder_source(tmp_path, tmp_path / "model.py")
    assert source.libraries == ("numpy", "torch")
    versions = library_versions(source.libraries)
    assert versions.keys() == {"numpy", "torch"}
    assert versions["numpy"] == importlib.import_module("numpy").__version__


PACKAGE = {
    "net/__init__.py": "",
    "net/plugin.py": "from net.models import wide\nfrom .data import load\n",
    "net/models/__init__.py": "from .deep import Deep\n",
    "net/models/wide.py": "",
    "net/models/deep.py": "Deep = 1\n",
    "net/models/unused.py": "",
    "net/data.py": "import net_tools\nload = 1\n",
    "net_tools.py": "",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str | None]]:
    """Work out the source of the module ``net.plugin``, which lies on the path."""
    write(tmp_path, PACKAGE)
    monkeypatch.syspath_prepend(tmp_path)
    before = {*sys.modules}
    module = importlib.import_module("net.plugin")
    yield lambda: module_source(module, None).digest
    for name in {*sys.modules} - before:
        del sys.modules[name]


def test_a_module_in_a_package_counts_with_what_it_imports_from_there(
    package: Callable[[], str | None], tmp_path: Path
) -> None:
    before = package()
    for file, text in PACKAGE.items():
        (tmp_path / file).write_text(f"{text}changed = 1\n")
        assert (package() == before) == file.endswith("unused.py"), file
        (tmp_path / file).write_text(text)
    assert package() == before


def test_where_imports_are_made_at_run_time_the_whole_package_counts(
    package: Callable[[], str | None], tmp_path: Path
) -> None:
    loader = "import importlib\nload = importlib.import_module('net.models.' + 'unused')\n"
    (tmp_path / "net/data.py").write_text(loader)
    before = package()
    (tmp_path / "net/models/unused.py").write_text("changed = 1\n")
    assert package() != before


def test_a_module_without_source_has_none() -> None:
    assert module_source(importlib.import_module("math"), None).digest is None


@pytest.mark.parametrize("is_editable", [False, True], ids=["on the path", "editable"])
def test_a_library_that_no_version_tells_apart_counts_as_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_editable: bool
) -> None:
    name = "edited_library" if is_editable else "own_library"
    library, plugin = tmp_path / "library", tmp_path / "plugin"
    write(
        library,
        {f"{name}/__init__.py": "", f"{name}/nets.py": "from . import layers\n"}
        | {f"{name}/layers.py": "x = 1\n", f"{name}/unused.py": ""},
    )
    if is_editable:
        metadata = {
            "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
            "direct_url.json": '{"url": "file:///nowhere", "dir_info": {"editable": true}}',
        }
        write(library / f"{name}-1.0.dist-info", metadata)
    write(plugin, {"model.py": f"from {name} import nets\n"})
    monkeypatch.syspath_prepend(library)
    before = folder_source(plugin, plugin / "model.py")
    assert before.libraries == ()
    (library / name / "unused.py").write_text("changed = 1\n")
    assert folder_source(plugin, plugin / "model.py") == before
    (library / name / "layers.py").write_text("x = 2\n")
    assert folder_source(plugin, plugin / "model.py") != before


@pytest.mark.parametrize(
    ("statement", "counted"),
    [
        ("importlib.import_module('.late', __package__)", {"late.py"}),
        ("importlib.import_module('late')", {"late.py"}),
        ("find('.blocks.act', __package__)", {"blocks/__init__.py", "blocks/act.py"}),
        ("__import__('late')", {"late.py"}),
        ("[importlib.import_module(f'.{n}', __package__) for n in ('late',)]", {*BESIDE}),
        ("importlib.import_module", {*BESIDE}),
        ("importlib.reload", set()),
    ],
)
def test_what_is_imported_by_a_name_counts(
    tmp_path: Path, statement: str, counted: set[str]
) -> None:
    head = "import importlib\nfrom importlib import import_module as find\n"
    write(tmp_path, {**BESIDE, "model.py": f"{head}def build():\n    {statement}\n"})
    for file in BESIDE.keys() - {"model.py"}:
        before, text = beside(tmp_path), (tmp_path / file).read_text()
        (tmp_path / file).write_text(f"{text}changed = 1\n")
        assert (beside(tmp_path) != before) == (file in counted), file
        (tmp_path / file).write_text(text)
