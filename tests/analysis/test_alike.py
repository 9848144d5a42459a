"""Records of one identity that are of different networks: they never share a row."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from benchmark.analysis.alike import by_network
from benchmark.analysis.summary import summarize
from benchmark.catalog.shelves import load_catalog
from benchmark.records import (
    ParameterCount,
    TrialRecord,
)
from tests.conftest import CommandLine, Result
from tests.support.made_records import failed_record, make_origin, make_planned, make_record
from tests.support.sampling import examples
from tests.support.tiny import write_tiny_run

SIZE = ParameterCount(total=5, trainable=5, buffers=0)
FROZEN = ParameterCount(total=5, trainable=0, buffers=0)


# The records alone.


def seeds_of(groups: Sequence[Sequence[TrialRecord]]) -> list[list[int]]:
    return [[record.seed for record in group] for group in groups]


def grouped(*records: TrialRecord) -> list[list[int]]:
    return seeds_of([summary.records for summary in summarize(records)])


@pytest.mark.parametrize(
    "change",
    [
        {"params": SIZE},
        {"params": FROZEN},
        {"macs": 7},
        {"origin": make_origin("alpha", version="1.1")},
        {"origin": make_origin("alpha", version=None)},
    ],
)
def test_records_that_differ_in_their_network_are_not_summed_up(change: dict[str, Any]) -> None:
    records = [make_record(seed=seed, params=SIZE.model_copy()) for seed in (0, 2)]
    other = make_record(seed=1, **{"params": SIZE, **change})
    if change == {"params": SIZE}:
        records = [record.model_copy(update={"params": FROZEN}) for record in records]
    assert grouped(*records, other) == [[0, 2], [1]]


@pytest.mark.parametrize(
    "change",
    [
        {"origin": make_origin("alpha", source="a" * 64)},
        {"origin": make_origin("alpha", libraries={"timm": "1.0.9"})},
        {"core_version": "0.2.0"},
        {"device": "cuda:1"},
        {"macs": None},
    ],
)
def test_what_is_no_part_of_a_network_divides_no_row(change: dict[str, Any]) -> None:
    assert grouped(make_record(seed=0), make_record(seed=1, **change)) == [[0, 1]]


def test_a_record_without_a_size_is_with_the_first_that_it_can_be_of() -> None:
    records = [failed_record(seed=0), make_record(seed=1), make_record(seed=2, macs=None)]
    assert grouped(*records) == [[0, 1, 2]]
    assert grouped(*records, make_record(seed=3, params=SIZE)) == [[0, 1, 2], [3]]


VARIED: dict[str, list[Any]] = {
    "params": [None, SIZE, FROZEN],
    "macs": [None, 7, 8],
    "origin": [make_origin("alpha"), make_origin("alpha", version="1.1")],
}


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.fixed_dictionaries({key: st.sampled_from(VARIED[key]) for key in VARIED})))
@example([{"params": SIZE, "macs": None}, {"params": None, "macs": 7}, {"params": None, "macs": 8}])
def test_no_two_records_of_a_row_contradict_each_other(changes: list[dict[str, Any]]) -> None:
    records = [make_record(seed=seed, **change) for seed, change in enumerate(changes)]
    groups = [group for _, group in by_network(records)]
    # Each is in one row, and rows and records stay in order.
    assert sorted(seed for seeds in seeds_of(groups) for seed in seeds) == [*range(len(records))]
    assert all(seeds == sorted(seeds) for seeds in seeds_of(groups))
    assert [seeds[0] for seeds in seeds_of(groups)] == sorted(s[0] for s in seeds_of(groups))
    for group in groups:
        assert len({record.params for record in group} - {None}) <= 1
        assert len({record.macs for record in group} - {None}) <= 1
        assert len({record.origin.version for record in group}) == 1


def test_each_row_is_numbered_and_the_line_says_what_it_has() -> None:
    lines: list[str] = []
    versions = [("1.0", 12), ("1.1", 1)]
    records = [
        make_record(seed=100 * number + seed, origin=make_origin("alpha", version=version))
        for number, (version, count) in enumerate(versions)
        for seed in range(count)
    ]
    planned = make_planned("alpha", *(record.seed for record in records))
    summaries = [*summarize(records, [planned], lines.append, {("alpha", planned.identity): "@01"})]
    assert [summary.label for summary in summaries] == ["alpha@01#1", "alpha@01#2"]
    assert [summary.planned for summary in summaries] == [13, 13]
    assert [summary.status for summary in summaries] == ["unfinished", "unfinished"]
    size = "1,172,410 parameters, 1,172,410 trainable, 55,150,000 MACs"
    assert lines == [
        "the records of alpha are of 2 networks or releases, shown in separate rows: "
        f"alpha@01#1 ({size}, version 1.0; seeds 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more), "
        f"alpha@01#2 ({size}, version 1.1; seed 100); 'benchmark run' with --fresh trains all again"
    ]


# What a model reads while it is built is no part of its identity.


@pytest.fixture
def dependent(tmp_path: Path) -> list[str]:
    """The arguments of a run of a model that has a bias if there is a file of that name."""
    arguments = [*write_tiny_run(tmp_path), "-m", "tiny", "--format", "json"]
    before = "nn.Linear(channels * height * width, num_classes))"
    plugin = Path("tiny.py").read_text()
    assert before in plugin
    after = f"{before[:-2]}, bias=Path('bias').exists()))"
    Path("tiny.py").write_text(f"from pathlib import Path\n{plugin.replace(before, after)}")
    load_catalog.cache_clear()
    Path("bias").touch()
    return arguments


def rows(result: Result) -> list[tuple[Any, ...]]:
    found = json.loads(result.out)
    return [(row["model"], row["params"], row["seeds"], row["status"]) for row in found]


def test_a_network_that_turns_out_to_be_another_is_not_averaged(
    benchmark: CommandLine, dependent: list[str]
) -> None:
    assert rows(benchmark(*dependent, "--seeds", "1")) == [("tiny", 1930, [0], "completed")]
    Path("bias").unlink()
    result = benchmark(*dependent, "--seeds", "2")
    (run,) = Path("runs").iterdir()
    table = ("table", str(run), "-p", "tiny.py")
    for shown in (result, benchmark(*table, "--format", "json")):
        assert rows(shown) == [
            ("tiny#1", 1930, [0], "unfinished"),
            ("tiny#2", 1920, [1], "unfinished"),
        ]
        assert (
            "benchmark: the records of tiny are of 2 networks or releases, shown in separate rows: "
            "tiny#1 (1,930 parameters, 1,930 trainable, 1,920 MACs; seed 0), "
            "tiny#2 (1,920 parameters, 1,920 trainable, 1,920 MACs; seed 1); "
            "'benchmark run' with --fresh trains all again"
        ) in shown.err.splitlines()
    assert re.search(r"^tiny#1 +1,930 .* 1/2 ok$", benchmark(*table).out, re.M)
    assert re.search(r"unfinished +1 of 2", benchmark("runs").out)
    # As the line says.
    again = benchmark(*dependent, "--seeds", "2", "--fresh")
    assert (again.code, rows(again)) == (0, [("tiny", 1920, [0, 1], "completed")])
    assert "networks" not in again.err
