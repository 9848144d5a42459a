"""What a shell completes, asked as a shell asks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from benchmark.cli import entry_names
from benchmark.cli.main import root
from benchmark.cli.session import Session
from tests.support.sample_plugins import plugin, write
from tests.support.tiny import PLUGIN

Complete = Callable[..., list[str]]

# What a plugin could do to a shell, and how much of the rest is offered all the same.
BROKEN = {
    "raises": "raise RuntimeError('broken')",
    "leaves": "import sys; sys.exit('gone')",
    "prints": "import atexit, os\nprint(1)\nos.write(1, b'2')\natexit.register(print, 3)",
    "offers": "import benchmark\n@benchmark.hookimpl\ndef benchmark_models():\n    return 7",
}


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Complete:
    """Complete the last of some words; the names are kept in a folder of this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(*words: str) -> list[str]:
        shell = ShellComplete(root, {"obj": Session()}, "benchmark", "_BENCHMARK_COMPLETE")
        *before, incomplete = words
        return [item.value for item in shell.get_completions(before, incomplete)]

    return call


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Have no process load plugins; the selections for which one would have."""
    asked: list[object] = []
    names = {
        "models": ["baseline_cnn", "separable_cnn"],
        "datasets": ["cifar10", "synthetic"],
        "recipes": ["adam"],
        "trackers": ["log"],
        "columns": ["epoch_seconds", "macs", "test_accuracy"],
        "executors": ["inline", "local"],
    }

    def ask(selection: object) -> dict[str, list[str]]:
        asked.append(selection)
        return names

    monkeypatch.setattr(entry_names, "_ask", ask)
    return asked


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("run", "-m", "sep"), ["separable_cnn"]),
        (("run", "-m", "separable_cnn", "-m", ""), ["baseline_cnn", "separable_cnn"]),
        (("run", "-d", "s"), ["synthetic"]),
        (("run", "-r", ""), ["adam"]),
        (("run", "--executor", "l"), ["local"]),
        (("run", "--tracker", ""), ["log"]),
        (("run", "--sort", "test"), ["test_accuracy"]),
        (("run", "--columns", "macs,"), ["macs,epoch_seconds", "macs,test_accuracy"]),
        (("table", "runs", "--columns", "m"), ["macs"]),
        (("run", "--device", "c"), ["cpu", "cuda"]),
        (("run", "--precision", "b"), ["bf16"]),
        (("run", "--engine", "g"), ["graph"]),
        (("show", "b"), ["baseline_cnn"]),
        (("list", "mo"), ["models"]),
        (("list", "recipes", ""), ["adam"]),
        (("data", "prepare", "cif"), ["cifar10"]),
        (("data", "info", "x"), []),
    ],
)
@pytest.mark.usefixtures("loads")
def test_names_are_completed(complete: Complete, words: tuple[str], expected: list[str]) -> None:
    assert complete(*words) == expected


def test_a_config_is_a_preset_or_a_yaml_file(complete: Complete) -> None:
    for file in ("mine.yaml", "more.yml", ".hidden.yaml", "notes.txt", "sub/deep.yaml"):
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).touch()
    assert complete("run", "") == ["cifar10", "quickstart", "mine.yaml", "more.yml"]
    assert complete("run", "m") == ["mine.yaml", "more.yml"]
    assert complete("run", "sub/") == ["sub/deep.yaml"]
    absolute = str(Path("mine.yaml").absolute())
    assert complete("run", absolute[:-2]) == [absolute]
    # The shell's own turn: "su" may be the folder.
    assert complete("run", "su") == ["su"]


def test_plugins_are_loaded_once_until_one_changes(complete: Complete, loads: list[object]) -> None:
    plugin = Path("theirs.py")
    plugin.write_text(PLUGIN)
    for _ in range(3):
        complete("run", "-p", "theirs.py", "-m", "")
    assert loads == [(str(plugin.absolute()),)]
    plugin.write_text(PLUGIN + "\n")
    complete("run", "-p", "theirs.py", "-m", "")
    assert len(loads) == 2
    (kept,) = Path("cache").rglob(entry_names.CACHE_FILE)
    kept.write_text("{")
    complete("run", "-p", "theirs.py", "-m", "")
    assert len(loads) == 3


def test_names_follow_an_edit_of_what_a_plugin_imports(
    complete: Complete, monkeypatch: pytest.MonkeyPatch
) -> None:
    write({"here/model.py": plugin("from parts import *", name="m")})
    write({"pack/__init__.py": "", "pack/more.py": "from .names import *"})
    for folder in ("here/parts.py", "pack/names.py"):
        write({folder: "def"})
    words = ("run", "-p", "here/model.py", "-p", "pack.more", "-m", "of_")
    assert complete(*words) == []
    offers = "from benchmark import *\n@hookimpl\ndef benchmark_recipes(): return []\n"
    mended = offers.replace("recipes", "models").replace("[]", "[ModelEntry('of_pack', len)]")
    write({"pack/names.py": mended, "here/parts.py": offers})
    assert complete(*words) == ["of_pack"]
    monkeypatch.setattr(entry_names, "_ask", None)
    assert complete(*words) == ["of_pack"]


def test_where_nothing_can_be_kept_names_are_completed_all_the_same(
    complete: Complete, loads: list[object]
) -> None:
    Path(os.environ["XDG_CACHE_HOME"]).write_text("no folder")
    assert complete("run", "-m", "sep") == complete("run", "-m", "sep") == ["separable_cnn"]
    assert len(loads) == 2


def test_a_plugin_that_is_missing_offers_nothing(complete: Complete) -> None:
    assert complete("run", "-p", "missing.py", "-m", "") == []


def test_bash_completes_whatever_broken_plugins_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, text in BROKEN.items():
        Path(f"{name}.py").write_text(text)
    selected = " ".join(f"-p {name}.py" for name in BROKEN)
    words = f"benchmark run {selected} -m sep"
    script = f"""
    eval "$(_BENCHMARK_COMPLETE=bash_source benchmark)"
    COMP_WORDS=({words}) COMP_CWORD={len(words.split()) - 1}
    _benchmark_completion benchmark
    echo "offered: ${{COMPREPLY[@]}}"
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("offered: separable_cnn\n", "")
