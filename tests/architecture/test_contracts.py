"""Each import contract is seen to fail, on a copy of the tree with one import too many."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Each folder of the tree, and the name under which it is imported.
FOLDERS = {
    "benchmark": "benchmark",
    "plugins": "benchmark_plugins",
    "perf": "perf",
    "tests/architecture": "tests/architecture",
}

NOT_SOURCES = ("__pycache__", ".*", "wheels")

LAYERS = "Arrows run one way"
CIRCLES = "No circles, within a room or between rooms"
FACES = "What a room does not hand out is its own"
PLUGINS_UNKNOWN = "The core knows no plugin"
PUBLIC_FACE = "Plugins import the public face, executors also the trial and the ground"
CLICK = "Only the command line imports click"
CONTRACTS = {LAYERS, CIRCLES, FACES, PLUGINS_UNKNOWN, PUBLIC_FACE, CLICK}

FOR_TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "
IN_A_FUNCTION = "def later():\n    "

# What is wrong, the contract that must see it, the module that has it, and the line in it.
BREACHES = {
    "a module in no layer": (LAYERS, "benchmark/novelty.py", '"""New here."""'),
    "a room in no layer": (LAYERS, "benchmark/attic/__init__.py", '"""New here."""'),
    "upwards, from the ground": (LAYERS, "benchmark/printable.py", "import benchmark.spelling"),
    "upwards, from a room": (
        LAYERS,
        "benchmark/analysis/intervals.py",
        "from benchmark.trial import run_trial",
    ),
    "upwards, for a type": (
        LAYERS,
        "benchmark/analysis/intervals.py",
        f"{FOR_TYPES}from benchmark.trial import run_trial",
    ),
    "upwards, when it is called": (
        LAYERS,
        "benchmark/analysis/intervals.py",
        f"{IN_A_FUNCTION}from benchmark.trial import run_trial",
    ),
    "sideways": (LAYERS, "benchmark/progress.py", "import benchmark.spelling"),
    "a circle in a room": (
        CIRCLES,
        "benchmark/store/lock.py",
        "from benchmark.store.housekeeping import find_runs",
    ),
    "a circle among plugins": (
        CIRCLES,
        "benchmark_plugins/executors/processes/limits.py",
        "import benchmark_plugins.executors.processes.worker_process",
    ),
    "past a face": (
        FACES,
        "benchmark/runner/continuation.py",
        "from benchmark.store.lock import is_held",
    ),
    "past a face, for a type": (
        FACES,
        "benchmark/runner/continuation.py",
        f"{FOR_TYPES}from benchmark.store.lock import is_held",
    ),
    "past a face, from outside": (FACES, "perf/scale.py", "import benchmark.store.lock"),
    "by way of the own face": (
        FACES,
        "benchmark/store/lock.py",
        "from benchmark.store import RUN_FILE",
    ),
    "by way of the public face": (FACES, "benchmark/store/lock.py", "import benchmark"),
    "a plugin in the core": (
        PLUGINS_UNKNOWN,
        "benchmark/trial/model.py",
        "import benchmark_plugins.models.baseline_cnn",
    ),
    "past the public face": (
        PUBLIC_FACE,
        "benchmark_plugins/columns.py",
        "from benchmark.analysis import summarize",
    ),
    "past the public face, a module as a name": (
        PUBLIC_FACE,
        "benchmark_plugins/columns.py",
        "from benchmark import summaries",
    ),
    "past the public face, for a type": (
        PUBLIC_FACE,
        "benchmark_plugins/columns.py",
        f"{FOR_TYPES}from benchmark.records import TrialRecord",
    ),
    "a trial in a recipe": (
        PUBLIC_FACE,
        "benchmark_plugins/recipes/adam.py",
        "from benchmark.trial import run_trial",
    ),
    "the store in an executor": (
        PUBLIC_FACE,
        "benchmark_plugins/executors/inline.py",
        "from benchmark.store import RunDirectory",
    ),
    "click in the core": (CLICK, "benchmark/report/table.py", "import click"),
    "click in a plugin": (CLICK, "benchmark_plugins/columns.py", "from click import echo"),
    "click in a measurement": (CLICK, "perf/scale.py", "import click"),
    "click when it is called": (CLICK, "benchmark/errors.py", f"{IN_A_FUNCTION}import click"),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of all that the contracts read."""
    for folder, name in FOLDERS.items():
        shutil.copytree(ROOT / folder, tmp_path / name, ignore=shutil.ignore_patterns(*NOT_SOURCES))
    (tmp_path / "tests" / "__init__.py").touch()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def broken_contracts(tree: Path) -> set[str]:
    """The names of the contracts that the tree breaks."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    result = subprocess.run(
        # Imports of its own are looked for in the folder that it is started in, the tree.
        [sys.executable, "-c", program, "--no-logo", "--no-cache"],
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=60,
    )
    verdicts = dict(re.findall(r"^(\S.*\S) (KEPT|BROKEN)\b", result.stdout, re.MULTILINE))
    assert set(verdicts) == CONTRACTS, result.stdout + result.stderr
    broken = {name for name, verdict in verdicts.items() if verdict == "BROKEN"}
    assert result.returncode == (1 if broken else 0), result.stdout + result.stderr
    return broken


def test_the_tree_as_it_is_keeps_every_contract(tree: Path) -> None:
    assert broken_contracts(tree) == set()


@pytest.mark.parametrize("breach", [*BREACHES])
def test_a_contract_sees_its_breach_and_no_other_does(tree: Path, breach: str) -> None:
    contract, module, line = BREACHES[breach]
    file = tree / module
    file.parent.mkdir(exist_ok=True)
    with file.open("a", encoding="utf-8") as source:
        source.write(f"\n{line}\n")
    assert broken_contracts(tree) == {contract}


def test_every_contract_is_seen_to_fail() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    stated = [contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]]
    assert sorted(stated) == sorted(CONTRACTS) == sorted({name for name, *_ in BREACHES.values()})
