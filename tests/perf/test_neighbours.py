"""A step beside busy processes: what is started, and the table."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmark_plugins.executors.processes.openmp import SPIN_COUNT, WAIT_POLICY
from perf import neighbours, page
from tests.docs.test_docs import rows

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "perf" / "neighbours.json"


class FakeWorker:
    """Takes a second for every block."""

    environments: list[Mapping[str, str]]

    def __init__(self, name: str, workload: Any, log: Any, environment: Mapping[str, str]) -> None:
        self.environments.append(environment)

    def block(self) -> float:
        return 1.0

    def close(self) -> None:
        """There is nothing to end."""


def test_one_process_has_the_limit_and_the_other_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the user has set."""
    FakeWorker.environments = []
    monkeypatch.setattr(neighbours, "Worker", FakeWorker)
    monkeypatch.setenv(WAIT_POLICY, "passive")
    results = neighbours.measure(Namespace(steps=10, repeats=2, neighbours=1))
    assert [environment.get(SPIN_COUNT) for environment in FakeWorker.environments] == [
        "10000",
        None,
    ]
    assert not any(WAIT_POLICY in environment for environment in FakeWorker.environments)
    assert results["seconds"] == {
        "limited": [1.0, 1.0],
        "limited, beside others": [1.0, 1.0],
        "unlimited": [1.0, 1.0],
        "unlimited, beside others": [1.0, 1.0],
    }


def test_busy_processes_are_killed_in_the_end() -> None:
    with neighbours.busy_processes(2) as processes:
        assert [process.poll() for process in processes] == [None, None]
    assert [process.poll() for process in processes] == [-9, -9]


@pytest.mark.parametrize(("beside_others", "met"), [(2.5, "yes"), (2.6, "no")])
def test_the_table_holds_the_limit_to_its_target(beside_others: float, met: str) -> None:
    seconds = {
        "limited": [1.0, 1.0],
        "limited, beside others": [beside_others, beside_others],
        "unlimited": [2.0, 2.0],
        "unlimited, beside others": [20.0, 20.0],
    }
    results = {
        "environment": {"processor": "a processor", "threads": 2},
        "precision": "bf16",
        "steps": 10,
        "repeats": 2,
        "neighbours": 2,
        "seconds": seconds,
    }
    table = neighbours.write_table(results)
    limited, unlimited = rows(table)
    figure = f"{beside_others:.2f}"
    over_idle = f"{figure} ({figure} to {figure})"
    times = ["100.0", f"{100 * beside_others:.1f}"]
    assert limited[1:] == [*times, over_idle, "at most 2.5", met]
    assert unlimited[1:] == ["200.0", "2000.0", "10.00 (10.00 to 10.00)", "-", "-"]
    assert "takes 0.50 (0.50 to 0.50) times as long with the limit" in table


@pytest.mark.skipif(not RESULTS.exists(), reason="perf/neighbours.json: not measured yet")
def test_the_performance_page_shows_what_is_kept() -> None:
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    table = neighbours.write_table(json.loads(RESULTS.read_text(encoding="utf-8")))
    assert page.replace_generated(text, neighbours.PART, table) == text
