"""A plugin as a third party publishes it: built, installed, and used from the real command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command_process import run as run_command

SOURCE = Path(__file__).parents[2] / "examples" / "package"
PIP = (sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check")
OFFLINE = ("--no-deps", "--no-build-isolation", "--no-index")
# Small enough for a second; "synthetic" needs no network.
TINY = (
    *("-d", "synthetic", "--set", "dataset.train_images=64", "--set", "dataset.test_images=20"),
    *("--set", "dataset.size=8", "--epochs", "2", "--batch-size", "16"),
    *("--device", "cpu", "--precision", "fp32"),
)

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the module's own, with the plugin installed in ``site``."""
    folder = tmp_path_factory.mktemp("sample_plugin")
    # A build leaves files beside its source.
    source = shutil.copytree(SOURCE, folder / "source")
    arguments = (*PIP, "install", *OFFLINE, "--target", str(folder / "site"), str(source))
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def command(folder: Path) -> Command:
    """Call the command line in a process of its own, in which the plugin is installed."""
    environment = {
        "PYTHONPATH": str(folder / "site"),
        "BENCHMARK_DATA_DIR": str(folder / "data"),
        "BENCHMARK_PLUGINS": "",
    }

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_command(*arguments, folder=folder, environment=environment)

    return call


@pytest.fixture(scope="module")
def run(command: Command) -> subprocess.CompletedProcess[str]:
    """The plugin's model and a built-in one, trained beside each other."""
    return command("run", "source/sample.yaml", *TINY, "--format", "github")


def test_its_own_tests_pass(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder / "source",
        env={**os.environ, "PYTHONPATH": str(folder / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def names_listed(listing: str) -> set[str]:
    return {line.split()[1] for line in listing.splitlines()[2:]}


def rows(table: str) -> dict[str, list[str]]:
    """The cells of each model's row."""
    lines = [line.strip("| ").split() for line in table.splitlines() if line.startswith("|")]
    cells = [[cell for cell in line if cell != "|"] for line in lines]
    return {row[0]: row for row in cells if row[0] in ("sample_linear", "separable_cnn")}


def test_plugins_shows_distribution_version_hooks_and_entries(command: Command) -> None:
    result = command("plugins")
    assert (result.returncode, result.stderr) == (0, "")
    row = next(line for line in result.stdout.splitlines() if line.startswith("sample "))
    hooks = ["columns", "models", "trackers"]
    assert row.split() == ["sample", "benchmark-sample-plugin", "1.2.3", *hooks, "3", "loaded"]


def test_its_model_is_trained_beside_a_built_in_one(
    run: subprocess.CompletedProcess[str],
) -> None:
    assert run.returncode == 0, run.stderr
    table = rows(run.stdout)
    assert list(table) == ["sample_linear", "separable_cnn"]
    # 3 x 8 x 8 pixels to 10 classes, and a bias each.
    assert table["sample_linear"][1] == "1,930"
    assert all("completed" in cells for cells in table.values())


def test_its_column_is_in_every_table(
    run: subprocess.CompletedProcess[str], command: Command, folder: Path
) -> None:
    assert "total" in run.stdout
    (directory,) = (folder / "runs").iterdir()
    result = command(
        "table", str(directory), "--columns", "model,total_seconds", "--format", "github"
    )
    assert (result.returncode, result.stderr) == (0, "")
    table = rows(result.stdout)
    assert list(table) == ["sample_linear", "separable_cnn"]
    for model, cells in table.items():
        assert float(cells[1]) > 0
        assert cells[1] == rows(run.stdout)[model][-1]


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("model", ["sample_linear", "separable_cnn"])
def test_its_tracker_is_told_of_every_trial(folder: Path, model: str) -> None:
    (events,) = folder.glob(f"runs/*/trials/{model}/*/seed-0/sample_events.txt")
    assert events.read_text().splitlines() == ["start", "epoch 1", "epoch 2", "completed"]


@pytest.mark.parametrize(
    ("block", "gone", "kept"),
    [
        ("sample", {"sample_linear", "total_seconds"}, {"separable_cnn", "adam"}),
        ("benchmark-sample-plugin", {"sample_linear", "total_seconds"}, {"separable_cnn", "adam"}),
        ("separable_cnn", {"separable_cnn"}, {"sample_linear", "baseline_cnn", "adam"}),
    ],
)
def test_a_plugin_or_a_distribution_is_blocked_by_name(
    command: Command, block: str, gone: set[str], kept: set[str]
) -> None:
    result = command("list", "-p", f"no:{block}")
    assert (result.returncode, result.stderr) == (0, "")
    names = names_listed(result.stdout)
    assert not gone & names
    assert kept <= names


def test_a_blocked_plugin_is_shown_as_blocked(command: Command) -> None:
    result = command("plugins", "-p", "no:sample")
    row = next(line for line in result.stdout.splitlines() if line.startswith("sample "))
    assert row.split() == ["sample", "benchmark-sample-plugin", "1.2.3", "-", "0", "blocked"]
