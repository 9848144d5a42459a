"""Plugins' files that import the modules beside them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.catalog.importing import PREFIX
from benchmark.catalog.neighbours import find_neighbour
from benchmark.catalog.shelves import load_catalog
from tests.conftest import CommandLine
from tests.support import command_process
from tests.support.sample_plugins import plugin, summary_of, write
from tests.support.tiny import CONFIG


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give commands in a folder where none of the files lies."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.chdir(folder)
        yield


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for modules that are installed."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


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


# Imports, in all their forms.

PARTS = {
    "../here/parts/__init__.py": "NAME = 'the package'; _HIDDEN = 1",
    "../here/parts/blocks.py": """
import tools
from . import NAME
from .. import tools as again
assert again is tools
VALUE = f"blocks of {NAME} with {tools.VALUE}"
""",
    "../here/loose/deep/inner.py": "VALUE = 'inner'",
    "../here/tools.py": "VALUE = 'tools'",
}
BLOCKS = "blocks of the package with tools"


@pytest.mark.parametrize(
    ("imports", "value", "got"),
    [
        ("import tools", "tools.VALUE", "tools"),
        ("from tools import VALUE as v", "v", "tools"),
        ("from . import tools", "tools.VALUE", "tools"),
        ("from .tools import *", "VALUE", "tools"),
        ("import parts.blocks", "parts.NAME + ', ' + parts.blocks.VALUE", f"the package, {BLOCKS}"),
        ("import parts.blocks as b", "b.VALUE", BLOCKS),
        ("from parts import blocks", "blocks.VALUE", BLOCKS),
        ("from parts import *", "NAME, '_HIDDEN' in dir()", "('the package', False)"),
        ("from .parts.blocks import VALUE", "VALUE", BLOCKS),
        ("from loose.deep.inner import VALUE", "VALUE", "inner"),
        ("import loose.deep.inner", "loose.deep.inner.VALUE", "inner"),
        ("from .loose.deep import inner", "inner.VALUE", "inner"),
        ("import tools, parts; from . import tools as same", "same is tools", "True"),
        ("exec('import tools')", "tools.VALUE", "tools"),
        ("tools = __import__('tools')", "tools.VALUE", "tools"),
        (
            "import importlib\ntools = importlib.import_module('.tools', __package__)",
            "tools.VALUE",
            "tools",
        ),
        ("import random, json.decoder as j, benchmark", "j.__name__", "json.decoder"),
        ("try: import missing\nexcept ImportError: missing = 'none'", "missing", "none"),
    ],
)
@pytest.mark.usefixtures("elsewhere")
def test_a_file_imports_what_is_beside_it(
    benchmark: CommandLine, imports: str, value: str, got: str
) -> None:
    write(PARTS | {"../here/model.py": plugin(imports, value)})
    result = benchmark("list", "models", "-p", "../here/model.py")
    assert (result.code, result.err, summary_of(result)) == (0, "", got)


def test_neighbours_may_import_each_other(benchmark: CommandLine) -> None:
    write(
        {
            "here/model.py": plugin("WIDTH = 8\nimport left", "left.right.total()"),
            "here/left.py": "import right\nWIDTH = 2",
            "here/right.py": "import left, model\ndef total(): return left.WIDTH + model.WIDTH",
        }
    )
    result = benchmark("list", "models", "-p", "here/model.py")
    assert (result.err, summary_of(result)) == ("", "10")


def test_a_file_of_any_name_is_a_module(benchmark: CommandLine) -> None:
    names = ["my-model", "model.v2", "class", "2nd model", "my_model", "__init__"]
    write({f"{name}.py": plugin("from .parts import *", "VALUE", name="m") for name in names})
    write({"parts.py": "VALUE = 'parts'"})
    for name in names:
        result = benchmark("list", "models", "-p", f"{name}.py")
        assert (result.err, summary_of(result, "m")) == ("", "parts"), name


MEETS_PYTHON = """
import copy, dataclasses, inspect, pickle, typing, warnings
import torch
from parts import Block, Options, __name__ as its_name

class Own(Block):
    def forward(self, x):
        return self.layer(x).relu()

assert pickle.loads(pickle.dumps(Own(4))).width == 4
assert isinstance(copy.deepcopy(Block(4)), Block)
assert dataclasses.replace(Options(), width=3).width == 3
assert typing.get_type_hints(Options)["block"] is Block
assert "class Own(Block)" in inspect.getsource(Own)
assert "class Block" in inspect.getsource(Block)
assert inspect.getmodule(Block).__name__ == its_name
images = torch.rand(2, 4)
for kind in (Block, Own):
    eager = kind(4)
    with warnings.catch_warnings(action="ignore"):
        scripted = torch.jit.script(eager)
    assert torch.equal(eager(images), scripted(images))
    compiled = torch.compile(eager, backend="eager")
    assert torch.equal(eager(images), compiled(images))
"""
BLOCK = """
from __future__ import annotations
import dataclasses
from torch import Tensor, nn
from tools import double

class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.layer = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return double(self.layer(x))

@dataclasses.dataclass
class Options:
    width: int = 2
    block: Block = Block
"""


def test_what_looks_into_modules_finds_the_plugin_s(benchmark: CommandLine) -> None:
    tools = "from torch import Tensor\ndef double(x: Tensor) -> Tensor:\n    return x * 2"
    model = plugin(MEETS_PYTHON, "'all is well'")
    write({"my-model.py": model, "parts.py": BLOCK, "tools.py": tools})
    result = benchmark("list", "models", "-p", "my-model.py")
    assert (result.err, summary_of(result)) == ("", "all is well")


# Every plugin has neighbours of its own, in the worker too.


def test_two_folders_whose_modules_are_called_the_same(tmp_path: Path) -> None:
    for folder in ("ra", "rb"):
        at_build = f"from parts import tell; tell('{folder}')"
        said = "import deeper\ndef tell(whose): print(f'{whose} has {deeper.VALUE}')"
        write(
            {
                f"{folder}/model.py": plugin(name=f"of_{folder}", at_build=at_build),
                f"{folder}/parts.py": said,
                f"{folder}/deeper.py": f"VALUE = 'what is in {folder}'",
            }
        )
    write({"tiny.yaml": CONFIG.replace("tiny, twin", "of_ra, of_rb"), "else/where.txt": ""})
    arguments = ["../tiny.yaml", "-p", "../ra/model.py", "-p", "../rb/model.py", "--seeds", "1"]
    done = command_process.run(
        "run", *arguments, "--executor", "local", "--epochs", "1", folder=tmp_path / "else"
    )
    assert (done.returncode, done.stdout.count("completed")) == (0, 2), done.stderr
    for folder in ("ra", "rb"):
        (log,) = Path("else/runs").glob(f"*/trials/of_{folder}/**/log.txt")
        assert f"{folder} has what is in {folder}\n" in log.read_text()


# What is installed wins, and says so.

SAYS = "VALUE = {!r}"


@pytest.mark.parametrize(
    ("module", "installed"),
    [
        ("random", {}),
        ("yaml", {}),
        ("ours", {"ours.py": SAYS.format("installed")}),
        ("ours", {"ours/__init__.py": SAYS.format("installed")}),
    ],
)
@pytest.mark.parametrize(
    ("importer", "statement"),
    [
        ("model", "import {}"),
        ("model", "if False: from {} import VALUE"),
        ("model", "def later():\n    import {}.more as m"),
        ("tools", "import {}"),
        ("pack.inner", "import {}"),
        ("pack.__init__", "import {}"),
    ],
)
@pytest.mark.usefixtures("elsewhere")
def test_an_installed_module_wins_with_a_line_whose_remedy_works(
    benchmark: CommandLine,
    site: Path,
    module: str,
    installed: dict[str, str],
    importer: str,
    statement: str,
) -> None:
    write({str(site / name): text for name, text in installed.items()})
    file = f"{importer.replace('.', '/')}.py"
    others = {"model.py": plugin("import tools, pack.inner"), "tools.py": "", "pack/inner.py": ""}
    neighbour = Path(f"../here/{module}.py")
    write({f"../here/{name}": text for name, text in others.items()})
    write({"../here/pack/__init__.py": "", str(neighbour): SAYS.format("beside")})
    source = Path(f"../here/{file}")
    first = source.read_text()
    source.write_text(f"{first}\n{statement.format(module)}\n")
    result = benchmark("list", "models", "-p", "../here/model.py")
    (line,) = result.err.splitlines()
    assert line.startswith(f"benchmark: plugin model (no distribution): {source.name} imports ")
    assert str(neighbour.resolve()) in line
    assert all(str(site / name) in line for name in installed)
    remedy = re.fullmatch(r".*; for that one, write: (from \.+ import \w+)", line)
    assert remedy is not None
    source.write_text(f"{first}\n{remedy[1]}\nassert {module}.VALUE == 'beside'\n")
    load_catalog.cache_clear()
    assert benchmark("list", "models", "-p", "../here/model.py").err == ""


@pytest.mark.usefixtures("elsewhere")
def test_a_neighbour_wins_over_what_is_not_installed(
    benchmark: CommandLine, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The current folder, and a folder of files that happens to have a module's name."""
    write({str(site / "parts" / "data.txt"): "", "parts.py": "VALUE = 'in the current folder'"})
    write({"../here/parts.py": "VALUE = 'beside'", "../here/torch/data.txt": ""})
    write({"../here/model.py": plugin("import parts, torch.nn", "parts.VALUE, torch.nn.ReLU")})
    for entry in ("", str(Path.cwd())):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "path", [entry, *sys.path])
            load_catalog.cache_clear()
            result = benchmark("list", "models", "-p", "../here/model.py")
        assert result.err == ""
        assert summary_of(result).startswith("('beside', <class 'torch")


def test_a_folder_on_the_search_path_hides_nothing_of_itself(
    benchmark: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path / "here")
    write({"here/model.py": plugin("import parts", "parts.VALUE"), "here/parts.py": "VALUE = 1"})
    result = benchmark("list", "models", "-p", "here/model.py")
    assert (result.err, summary_of(result)) == ("", "1")
    assert find_neighbour(tmp_path / "here", "parts") == tmp_path / "here/parts.py"


def test_what_one_plugin_puts_on_the_search_path_is_not_installed_for_another(
    benchmark: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As plugins do that were written for the script that they once were."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    insert = "import os, sys; sys.path.insert(0, os.path.dirname(__file__))\nimport parts"
    selection = []
    for folder in ("ra", "rb"):
        source = plugin(insert, "parts.VALUE", name=f"of_{folder}")
        write({f"{folder}/model.py": source, f"{folder}/parts.py": f"VALUE = {folder!r}"})
        selection += ["-p", f"{folder}/model.py"]
    result = benchmark("list", "models", *selection)
    assert result.err == ""
    for folder in ("ra", "rb"):
        assert summary_of(result, f"of_{folder}") == folder
        assert find_neighbour(tmp_path / folder, "parts") == tmp_path / folder / "parts.py"


# Neighbours that fail, and that are edited.


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("raise RuntimeError('no weights')", "RuntimeError: no weights"),
        ("def", "SyntaxError: invalid syntax (tools.py, line 1)"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import mising", "needs the module 'mising', which is neither installed nor in {here}"),
        (
            "import parts.mising",
            "needs the module 'parts.mising', which is neither installed nor in {here}",
        ),
        ("from .parts import mising", "ImportError: cannot import name 'mising' from "),
        (
            "import importlib; importlib.import_module('parts')",
            "needs the module 'parts', which is beside it: import it by a statement, or by "
            "importlib.import_module('.parts', __package__)",
        ),
    ],
)
def test_a_neighbour_that_fails_is_the_plugin_s_failure_until_it_is_mended(
    benchmark: CommandLine, source: str, cause: str, tmp_path: Path
) -> None:
    model = plugin("import sound, tools", "tools.VALUE")
    write({"here/model.py": model, "here/tools.py": source, "here/sound.py": ""})
    write({"here/parts/__init__.py": ""})
    before = {*sys.modules}
    result = benchmark("list", "-p", "here/model.py")
    line = f"benchmark: plugin model (no distribution) is left out: {cause}"
    assert result.err.startswith(line.format(here=tmp_path / "here"))
    assert not [name for name in {*sys.modules} - before if name.startswith(PREFIX)]
    write({"here/tools.py": "VALUE = 'mended'"})
    load_catalog.cache_clear()
    assert summary_of(benchmark("list", "models", "-p", "here/model.py")) == "mended"


def test_an_edit_that_leaves_time_and_length_is_noticed(
    benchmark: CommandLine, tmp_path: Path
) -> None:
    write({"model.py": plugin("import parts", "parts.VALUE")})
    for value in ("one", "two"):
        write({"parts.py": f"VALUE = {value!r}"})
        os.utime("parts.py", (1e9, 1e9))
        load_catalog.cache_clear()
        assert summary_of(benchmark("list", "models", "-p", "model.py")) == value
    assert not [*tmp_path.rglob("*.pyc")]
