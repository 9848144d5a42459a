"""Packages and libraries with new releases: what is trained again, and what is only said."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmark import environment
from benchmark.catalog import libraries
from benchmark.catalog.shelves import load_catalog
from tests.conftest import CommandLine, Result

PACKAGE = """
from torch import nn
from benchmark import ModelEntry, hookimpl
from released_layers import head

def build(input_shape, num_classes):
    pixels = input_shape[0] * input_shape[1] * input_shape[2]
    return nn.Sequential(nn.Flatten(), head(pixels, num_classes))

@hookimpl
def benchmark_models():
    yield ModelEntry("net", build)
"""
LAYERS = (
    "from torch import nn\n\ndef head(inputs, outputs):\n    return nn.Linear(inputs, outputs)\n"
)
OWN_VERSION = environment.core_version()
CONFIG = """
name: released
dataset: {name: synthetic, train_images: 64, test_images: 50, size: 8}
models: [net]
epochs: 1
batch_size: 32
precision: fp32
device: cpu
"""


def release(site: Path, name: str, version: str, source: str) -> None:
    """Install a release of a distribution with one module, in place of the one before."""
    for before in site.glob(f"{name}-*.dist-info"):
        for file in before.iterdir():
            file.unlink()
        before.rmdir()
    metadata = site / f"{name}-{version}.dist-info"
    metadata.mkdir(parents=True)
    metadata.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    )
    metadata.joinpath("RECORD").write_text(f"{name}.py,,\n")
    if name == "released_net":
        points = f"[benchmark.plugins]\n{name} = {name}\n"
        metadata.joinpath("entry_points.txt").write_text(points)
    (site / f"{name}.py").write_text(source)
    for module in (name, "released_net"):
        sys.modules.pop(module, None)
    importlib.invalidate_caches()
    load_catalog.cache_clear()
    libraries._distribution.cache_clear()
    libraries._distributions_by_module.cache_clear()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where packages are installed: a plugin, and a library that it imports."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    release(folder, "released_layers", "3.0", LAYERS)
    release(folder, "released_net", "1.0", PACKAGE)
    Path("released.yaml").write_text(CONFIG)
    return folder


def run(benchmark: CommandLine, *arguments: str) -> Result:
    result = benchmark("run", "released.yaml", *arguments)
    assert result.code == 0, result.err
    return result


def rows(benchmark: CommandLine) -> list[dict[str, Any]]:
    (folder,) = Path("runs").iterdir()
    found = json.loads(benchmark("table", str(folder), "--format", "json").out)
    assert isinstance(found, list)
    return found


def test_a_release_with_other_code_is_trained_and_the_one_before_is_kept(
    benchmark: CommandLine, site: Path
) -> None:
    run(benchmark, "--seeds", "2")
    other = PACKAGE.replace("nn.Flatten()", "nn.Flatten(), nn.LayerNorm(pixels)")
    release(site, "released_net", "1.1", other)
    result = run(benchmark, "--seeds", "2")
    assert "there are records of other versions of net (1)" in result.err
    (row,) = rows(benchmark)
    assert (row["seeds"], row["versions"]["released_net"]) == ([0, 1], ["1.1"])


def test_a_release_with_the_same_code_trains_nothing_again_and_is_said(
    benchmark: CommandLine, site: Path
) -> None:
    run(benchmark, "--seeds", "1")
    release(site, "released_net", "1.1", f"# Released anew.\n{PACKAGE}")
    result = run(benchmark, "--seeds", "1")
    assert "1 of 1 trials completed earlier, 0 to train" in result.err
    assert (
        "benchmark: net: trained earlier with released_net 1.0, now there is released_net 1.1; "
        "--fresh trains all again\n"
    ) in result.err
    (row,) = rows(benchmark)
    assert row["versions"]["released_net"] == ["1.0"]


def test_seeds_of_two_releases_are_never_one_row(benchmark: CommandLine, site: Path) -> None:
    run(benchmark, "--seeds", "1")
    release(site, "released_net", "1.1", PACKAGE)
    result = run(benchmark, "--seeds", "2")
    assert (
        "the records of net are of 2 networks or releases, shown in separate rows: net#1 ("
        in result.err
    )
    assert [(row["model"], row["seeds"]) for row in rows(benchmark)] == [
        ("net#1", [0]),
        ("net#2", [1]),
    ]
    run(benchmark, "--seeds", "2", "--fresh")
    assert [(row["model"], row["seeds"]) for row in rows(benchmark)] == [("net", [0, 1])]


def test_another_version_of_a_library_is_said_beside_the_row(
    benchmark: CommandLine, site: Path
) -> None:
    run(benchmark, "--seeds", "1")
    release(site, "released_layers", "3.1", LAYERS)
    result = run(benchmark, "--seeds", "2")
    assert "net: trained earlier with released_layers 3.0, now there is released_layers" in (
        result.err
    )
    assert "Trials of net were trained with released_layers 3.0 and 3.1." in (
        " ".join(result.out.split())
    )
    (row,) = rows(benchmark)
    assert (row["seeds"], row["versions"]["released_layers"]) == ([0, 1], ["3.0", "3.1"])


def test_a_library_that_gives_another_network_has_a_row_of_its_own(
    benchmark: CommandLine, site: Path
) -> None:
    run(benchmark, "--seeds", "1")
    release(site, "released_layers", "3.1", LAYERS.replace("outputs)\n", "outputs, bias=False)\n"))
    result = run(benchmark, "--seeds", "2")
    assert "the records of net are of 2 networks or releases" in result.err
    assert len(rows(benchmark)) == 2


def test_rows_that_different_versions_of_this_project_trained_say_so(
    benchmark: CommandLine, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(benchmark, "--seeds", "1")
    versions = {**environment.versions(), "benchmark-models": "9.9"}
    monkeypatch.setattr(environment, "versions", lambda: versions)
    result = run(benchmark, "-m", "net", "-m", "separable_cnn", "--seeds", "1")
    caption = " ".join(result.out.split())
    assert (
        f"Trained with different versions of benchmark: net with {OWN_VERSION}; "
        "separable_cnn with 9.9."
    ) in caption
