"""The page about editing and running again: what it shows happens, in its order."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from benchmark.catalog import load_catalog
from tests.conftest import CommandLine, Result

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8")
TABLE_PAGE = (ROOT / "docs" / "table.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ benchmark (.+)$", PAGE, re.MULTILINE)
BEFORE, AFTER = re.findall(r"`(nn\.Flatten\(\)[^`]*)`", PAGE)


def edit(before: str, after: str) -> None:
    text = Path("linear.py").read_text()
    assert before in text
    Path("linear.py").write_text(text.replace(before, after))
    load_catalog.cache_clear()


@pytest.fixture
def run_as_shown(benchmark: CommandLine) -> CommandLine:
    """Give a command of the page, for the folder and the version that there are here."""
    for file in (ROOT / "examples" / "single_file").iterdir():
        shutil.copy(file, file.name)

    def call(command: str, folder: str = "", identity: str = "") -> Result:
        command = re.sub(r"runs/[\w-]+", folder, command)
        command = re.sub(r"linear@\w+", f"linear@{identity}", command)
        result = benchmark(*shlex.split(command), "--format", "json")
        assert result.code == 0, result.err
        return result

    return call


def line_shown(page: str, beginning: str, folder: Path) -> str:
    """The line that the page shows, as it is for the run's folder here."""
    (line,) = re.findall(rf"^{beginning}.*$", page, re.MULTILINE)
    return re.sub(r"runs/[\w-]+", str(folder), line)


def accuracies(result: Result) -> dict[str, float]:
    return {row["model"]: row["test_accuracy"] for row in json.loads(result.out)}


def epochs(result: Result) -> int:
    return result.err.count(" epoch ")


def test_an_edit_is_trained_and_its_undoing_is_not(run_as_shown: CommandLine) -> None:
    run, every_version, two_versions = COMMANDS
    first = run_as_shown(run)
    (folder,) = Path("runs").iterdir()
    (earlier,) = (folder / "trials" / "linear").iterdir()

    edit(BEFORE, AFTER)
    changed = line_shown(TABLE_PAGE, "benchmark: the code of", folder)
    assert changed in run_as_shown("table runs/linear", str(folder)).err.splitlines()
    second = run_as_shown(run)
    assert epochs(first) == epochs(second) > 0
    assert accuracies(first) != accuracies(second)
    assert line_shown(PAGE, "benchmark: there are", folder) in second.err.splitlines()

    present = accuracies(second)["linear"]
    versions = accuracies(run_as_shown(every_version, str(folder)))
    assert {name.partition("@")[0] for name in versions} == {"linear"}
    assert [*versions.values()] == [accuracies(first)["linear"], present]
    assert accuracies(run_as_shown(two_versions, str(folder), earlier.name[:4])) == {
        "linear": present,
        f"linear@{earlier.name[:8]}": accuracies(first)["linear"],
    }

    edit(AFTER, BEFORE)
    third = run_as_shown(run)
    assert (epochs(third), accuracies(third)) == (0, accuracies(first))
