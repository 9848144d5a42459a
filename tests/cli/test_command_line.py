"""The command line: help pages, what they import, and the commands that only look."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CommandLine

COMMANDS = (
    *("run", "list", "plugins", "show", "table", "compare", "env"),
    *("runs", "runs clean", "data prepare", "data info"),
)


def test_help_imports_no_torch() -> None:
    script = (
        "import sys; from benchmark.cli.main import execute\n"
        "assert execute(['--help']) == 0\n"
        "heavy = {'torch', 'torchvision', 'numpy', 'scipy', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_public_face_imports_no_torch() -> None:
    script = "import sys, benchmark; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_page_with_an_example(
    benchmark: CommandLine, command: str
) -> None:
    result = benchmark(*command.split(), "--help")
    assert result.code == 0
    assert f"Example: benchmark {command}" in result.out
    assert benchmark(*command.split(), "-h").out == result.out


def test_version(benchmark: CommandLine) -> None:
    assert benchmark("--version").out.startswith("benchmark 0.")


def test_list_filters_by_kind_and_glob(benchmark: CommandLine) -> None:
    out = benchmark("list", "models", "sep*").out
    assert "separable_cnn" in out
    assert "baseline_cnn" not in out
    everything = benchmark("list").out
    assert all(
        name in everything
        for name in ("cifar10", "adam", "inline", "test_accuracy", "baseline_cnn")
    )


def test_listings_fit_80_columns(benchmark: CommandLine) -> None:
    for command in ("list", "plugins"):
        assert max(len(line) for line in benchmark(command).out.splitlines()) <= 80


def test_env_names_versions_and_hardware(benchmark: CommandLine) -> None:
    lines = dict(line.split(": ", 1) for line in benchmark("env").out.splitlines())
    assert lines["versions.python"] == sys.version.split()[0]
    assert int(lines["cores"]) >= 1
    assert lines["device"]


def test_show_as_json(benchmark: CommandLine) -> None:
    content = json.loads(benchmark("show", "baseline_cnn", "--json").out)
    assert content["params"]["total"] == 1_172_410
    assert content["layers"][-1]["output_shape"] == [10]


FAULTY_MODEL = """
from benchmark import ModelEntry, hookimpl

def build(input_shape, num_classes):
    raise RuntimeError("no weights")

@hookimpl
def benchmark_models():
    yield ModelEntry("faulty", build, "cannot be built")
"""


def test_show_names_a_model_that_cannot_be_built(benchmark: CommandLine) -> None:
    Path("faulty.py").write_text(FAULTY_MODEL)
    result = benchmark("show", "faulty", "-p", "faulty.py")
    assert result.code == 2
    assert result.err == (
        "benchmark: error: model 'faulty' of faulty (no distribution): "
        "build raised RuntimeError: no weights\n"
    )
    verbose = benchmark("show", "faulty", "-p", "faulty.py", "-v")
    assert 'raise RuntimeError("no weights")' in verbose.err
