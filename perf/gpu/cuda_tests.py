"""Part 2: the tests in ``perf/cuda``, a row each."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from perf.gpu.jobs import Figures, Job, Measurement, SkippedError
from perf.gpu.options import Options

TESTS = Path(__file__).parents[1] / "cuda"
# The device that the tests are for.
DEVICE = "PERF_GPU_DEVICE"

NO_PYTEST = (
    "pytest is not installed here: gather the wheels again with make perf-gpu-wheels, which has it "
    "among them, or have pip install pytest"
)


class FailedTestError(Exception):
    """A test that failed; the text is the end of what pytest says of it."""


def jobs(options: Options) -> Iterator[Job]:
    """All tests in one process; those after a failed one in a fresh process."""
    yield Job("tests", 60, lambda: measurements(options))


def measurements(options: Options) -> Iterator[Measurement]:
    """A measurement a test; skipped where there is no pytest."""
    if importlib.util.find_spec("pytest") is None:
        yield Measurement("tests", _without_pytest)
        return
    os.environ[DEVICE] = options.device_name
    for file, name in _collected(options):
        yield Measurement(name, partial(_outcome, file, name, options))


def _without_pytest() -> Figures:
    raise SkippedError(NO_PYTEST)


class _Watcher:
    """A plugin of pytest's that keeps what became of each test."""

    def __init__(self) -> None:
        self.collected: list[tuple[Path, str]] = []
        self.reports: list[Any] = []

    def pytest_collection_finish(self, session: Any) -> None:
        """Note where all tests are, and their names."""
        self.collected = [(item.path, item.name) for item in session.items]

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note how a test, what is before it or what is after it ended."""
        self.reports.append(report)


def _collected(options: Options) -> list[tuple[Path, str]]:
    watcher = _run(options, str(TESTS), "--collect-only")
    return watcher.collected


def _outcome(file: Path, name: str, options: Options) -> Figures:
    reports = _run(options, f"{file}::{name}").reports
    for report in reports:
        if report.failed:
            raise FailedTestError(f"{name}: {_last_line(report)}")
        if report.skipped:
            # Of a test that is skipped, this is file, line and reason.
            raise SkippedError(str(report.longrepr[2]).removeprefix("Skipped: "))
    if not reports:
        raise FailedTestError(f"{name} was not run")
    return {"seconds": sum(report.duration for report in reports)}


def _run(options: Options, *arguments: str) -> _Watcher:
    import pytest

    watcher = _Watcher()
    # Of no project: the checkout's settings, and what lies above their folder, are not the tests'.
    settings = ["-c", os.devnull, "--rootdir", str(options.work), f"--confcutdir={TESTS}"]
    # The checkout, in which the tests may lie, must not come before the wheel.
    settings += [
        "--import-mode=importlib",
        "-p",
        "no:cacheprovider",
        "-q",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
    ]
    pytest.main([*settings, *arguments], plugins=[watcher])
    return watcher


def _last_line(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    return str(text.strip().splitlines()[0]) if text.strip() else "no reason given"
