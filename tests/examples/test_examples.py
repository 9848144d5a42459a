"""Every example does what its README says, from the root of the repository and from its folder."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.support.command_process import run

EXAMPLES = Path(__file__).parents[2] / "examples"
README = (EXAMPLES / "README.md").read_text(encoding="utf-8")
# So small that a training takes part of a second.
TINY = (
    *("--set", "dataset.train_images=64", "--set", "dataset.test_images=20"),
    *("--set", "dataset.size=8", "--epochs", "1", "--batch-size", "16", "--seeds", "1"),
    *("--device", "cpu", "--precision", "fp32", "--set", "executor=inline", "--format", "json"),
)
# What the table's rows are, for each folder whose plugin need not be installed.
ROWS = {
    "single_file": ["linear", "separable_cnn"],
    "neighbours": ["small_residual"],
    "recipes": ["separable_cnn"],
    "options": [
        "perceptron-hidden-16",
        "perceptron-hidden-32",
        "perceptron",
        "perceptron-hidden-128",
        "regularised",
    ],
}


def commands() -> dict[str, list[str]]:
    """What the README says to run in the root of the repository, by the example's folder."""
    found = re.findall(r"^\| \[(\w+)\].*\| `benchmark (.+)` \|$", README, re.MULTILINE)
    return {folder: shlex.split(command) for folder, command in found}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a copy of the examples: a run leaves its records there."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    return tmp_path


def rows(folder: Path, *arguments: str) -> list[str]:
    """The rows of the table that a run of the command line prints, all of them completed."""
    done = run(*arguments, *TINY, folder=folder)
    assert done.returncode == 0, done.stderr
    table = json.loads(done.stdout)
    assert {row["status"] for row in table} == {"completed"}
    return [row["model"] for row in table]


def test_the_readme_has_every_example() -> None:
    there = {path.name for path in EXAMPLES.iterdir()} - {"README.md"}
    assert set(re.findall(r"^\| \[([\w.]+)\]\(\1\)", README, re.MULTILINE)) == there
    # These have tests of their own.
    assert set(commands()) == set(ROWS) == there - {"package", "pull_request", "notebook.ipynb"}


@pytest.mark.parametrize("example", [*ROWS])
def test_an_example_runs_from_the_root(root: Path, example: str) -> None:
    assert rows(root, *commands()[example]) == ROWS[example]


@pytest.mark.parametrize("example", [*ROWS])
def test_an_example_runs_from_its_own_folder(root: Path, example: str) -> None:
    prefix = f"examples/{example}/"
    arguments = [argument.removeprefix(prefix) for argument in commands()[example]]
    assert arguments != commands()[example]
    assert rows(root / "examples" / example, *arguments) == ROWS[example]
