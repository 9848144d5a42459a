"""What the tests share: a command line to call, and folders in which nothing of the user's lies."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

# Read when PyTorch is imported. Tests run side by side, and OpenMP's threads, which spin for some
# time when they have nothing to do, would keep the cores from one another.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import hypothesis
import pytest

from benchmark.catalog.shelves import load_catalog
from benchmark.cli.main import execute
from benchmark.config import run_config
from benchmark.config.strict_yaml import Document
from tests.support import sampling
from tests.support.command_process import server

# On a busy machine anything can take long.
hypothesis.settings.register_profile(
    "tests",
    max_examples=sampling.examples(100),
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("tests")


def pytest_configure(config: pytest.Config) -> None:
    """Have Hypothesis try other examples on each commit, and the same ones again if asked."""
    if not sampling.is_whole() and config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(sampling.hypothesis_seed())


def pytest_collection_finish() -> None:
    """Set aside all that has been imported: each trial looks through what is in use for garbage."""
    gc.collect()
    gc.freeze()


def pytest_report_header() -> str:
    """Say what is left out, and how it is drawn again."""
    if sampling.is_whole():
        return "sample: all, nothing is left out"
    return f"sample: {sampling.seed()} (SAMPLE={sampling.seed()} draws it again, SAMPLE=all is all)"


@pytest.fixture(scope="session", autouse=True)
def _command_server() -> Iterator[None]:
    """End the process that forks command lines, if some test needed it."""
    yield
    server().end()


@dataclass(frozen=True)
class Result:
    """What a call of the command line did."""

    code: int
    out: str
    err: str


CommandLine = Callable[..., Result]


def only_error(result: Result) -> str:
    """The one line with which the command line refused."""
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith("benchmark: error: ")
    return line


with_defaults = run_config.with_defaults


def inline_by_default(document: Document) -> Document:
    """Have trials carried out in this process: tests need not wait for a start of PyTorch each."""
    return with_defaults(document).replaced(
        ("executor",), document.data.get("executor", "inline"), document.origin(("executor",))
    )


@pytest.fixture(autouse=True)
def _empty_surroundings(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Run each test in a folder of its own, with data in another, and plugins loaded anew."""
    monkeypatch.chdir(tmp_path)
    data_directory = tmp_path_factory.getbasetemp() / "data"
    monkeypatch.setenv("BENCHMARK_DATA_DIR", str(data_directory))
    # Of each test's own: what one has cached there must not be found by another.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path.parent / f"{tmp_path.name}-cache"))
    monkeypatch.delenv("BENCHMARK_CACHE_DIR", raising=False)
    monkeypatch.delenv("BENCHMARK_PLUGINS", raising=False)
    monkeypatch.setattr(run_config, "with_defaults", inline_by_default)
    load_catalog.cache_clear()
    yield
    load_catalog.cache_clear()


@pytest.fixture
def benchmark(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Call the command line in this process, as the script ``benchmark`` would."""

    def call(*arguments: str) -> Result:
        capsys.readouterr()
        code = execute(arguments)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call
