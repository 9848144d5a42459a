"""A capture that fails half way: the trial goes on in a fresh process, without a graph."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark import BenchmarkError, CaptureError, TrialEvent, TrialSpec, run
from benchmark_plugins.executors.local import LocalExecutor
from benchmark_plugins.executors.processes.guardian import Guardian
from benchmark_plugins.executors.processes.worker_pool import Slot
from tests.conftest import CommandLine
from tests.plugins.executors.test_local import (
    CONFIG,
    INLINE,
    arguments,
    hurry_while,
    log,
)
from tests.support import misbehaving
from tests.support.sampling import is_drawn
from tests.support.trial_files import figures, trial_folder, trial_record


def notes(model: str, out: str = "runs") -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        (trial_folder(model, out=out) / misbehaving.NOTES).read_text()
    )
    return content


def test_the_trial_goes_on_in_a_fresh_process(benchmark: CommandLine) -> None:
    assert benchmark(*arguments(["captured_half_way"])).code == 0
    assert benchmark(*arguments(["steady"], *INLINE)).code == 0
    record = trial_record("captured_half_way")
    assert (record["status"], record["reason"]) == ("completed", None)
    assert figures(record) == figures(trial_record("steady", out="inline"))
    here = notes("captured_half_way")
    assert here["no_graph_because"] == misbehaving.CAPTURE_FAULT
    assert here["process"] != int(misbehaving.CAPTURE_FAILED.read_text())
    # Its log has what both have printed.
    said = re.findall(r"^tried.*|^\S*CaptureError: .*", log("captured_half_way"), re.M)
    assert [line.rpartition(".")[2] for line in said] == [
        "tried",
        f"CaptureError: {misbehaving.CAPTURE_FAULT}",
        "tried again",
    ]


def test_inline_has_it_and_all_that_are_left_go_on_in_processes(benchmark: CommandLine) -> None:
    """The process of the command line can train nothing more."""
    assert benchmark(*arguments(["captured_half_way", "steady"], *INLINE)).code == 0
    assert misbehaving.CAPTURE_FAILED.read_text() == str(os.getpid())
    for model, reason in (("captured_half_way", misbehaving.CAPTURE_FAULT), ("steady", None)):
        assert trial_record(model, out="inline")["status"] == "completed"
        assert notes(model, "inline")["no_graph_because"] == reason
        assert notes(model, "inline")["process"] != os.getpid()


@pytest.mark.skipif(
    not is_drawn("test_the_other_seeds_of_its_model_are_not_captured_at_all", one_in=2),
    reason="is not in this commit's sample",
)
def test_the_other_seeds_of_its_model_are_not_captured_at_all(benchmark: CommandLine) -> None:
    assert benchmark(*arguments(["captured_half_way"]), "--seeds", "2").code == 0
    for seed in (0, 1):
        folder = trial_folder("captured_half_way", seed)
        noted = json.loads((folder / misbehaving.NOTES).read_text())
        assert noted["no_graph_because"] == misbehaving.CAPTURE_FAULT
    assert "CaptureError" not in (trial_folder("captured_half_way", 1) / "log.txt").read_text()


@pytest.mark.skipif(
    not is_drawn("test_it_is_tried_once_more_and_not_again", one_in=2),
    reason="is not in this commit's sample",
)
def test_it_is_tried_once_more_and_not_again(benchmark: CommandLine) -> None:
    assert benchmark(*arguments(["never_captured"])).code == 1
    record = trial_record("never_captured")
    assert record["status"] == "failed"
    assert record["reason"] == f"CaptureError: {misbehaving.CAPTURE_FAULT}"
    assert log("never_captured").count("CaptureError: ") == 2


@pytest.mark.skipif(
    not is_drawn("test_its_timeout_is_that_of_the_trial", one_in=2),
    reason="is not in this commit's sample",
)
def test_its_timeout_is_that_of_the_trial(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry_while(misbehaving.CAPTURE_FAILED, monkeypatch)
    limits = ("--timeout", "60", "--set", "executor.silence_seconds=1e6")
    assert benchmark(*arguments(["captured_half_way"], *limits)).code == 1
    record = trial_record("captured_half_way")
    assert (record["status"], record["reason"]) == (
        "timed_out",
        "after 60 s, while it was set up",
    )


def test_a_node_of_a_cluster_does_the_same(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the node itself: its driver is sent one record."""
    pytest.importorskip("ray")
    from benchmark_plugins.executors.cluster import node
    from benchmark_plugins.executors.cluster.options import RayOptions

    monkeypatch.setattr(node, "_slot", lambda spec, options: Slot(spec.device, shared=False))
    sent = []

    def carry_out_on_a_node(
        executor: LocalExecutor, specs: list[TrialSpec], report: Callable[[TrialEvent], None]
    ) -> Any:
        with Guardian() as guardian:
            for update in node._train(specs[0], RayOptions(), guardian, warning=None):
                event = TrialEvent.model_validate_json(update.event)
                sent.append(event)
                if event.record is not None:
                    yield event.record
                elif event.progress is None:
                    report(event)

    monkeypatch.setattr(LocalExecutor, "run", carry_out_on_a_node)
    assert benchmark(*arguments(["captured_half_way"])).code == 0
    assert trial_record("captured_half_way")["status"] == "completed"
    assert notes("captured_half_way")["no_graph_because"] == misbehaving.CAPTURE_FAULT
    assert sum(event.record is not None for event in sent) == 1
    assert sum(event.start is not None for event in sent) == 2


def test_a_class_of_this_process_can_go_on_nowhere_else() -> None:
    class HalfWay(misbehaving.Linear):
        def act(self) -> None:
            raise CaptureError(misbehaving.CAPTURE_FAULT)

    Path("half.yaml").write_text(CONFIG.replace("executor: local", ""))
    with pytest.raises(BenchmarkError) as refused:
        run("half.yaml", models=[HalfWay])
    assert re.fullmatch(
        r"HalfWay, seed 0: capturing a step as a graph failed half way, after which this process "
        rf"can train nothing more \({misbehaving.CAPTURE_FAULT}\); restart Python, and "
        r"engine='eager' trains without",
        str(refused.value),
    )
