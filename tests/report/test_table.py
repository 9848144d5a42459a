"""The table: its columns, formats and order, and that it fits a terminal."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import weakref
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from benchmark import Column
from benchmark.analysis.summary import model_summary, summarize
from benchmark.catalog.shelves import load_catalog
from benchmark.config.run_config import find_document, load_config
from benchmark.records import TrialRecord
from benchmark.report import table
from benchmark.report.caption import Coverage, training_text, write_caption
from benchmark.report.run_table import with_metrics
from benchmark.report.text_table import SEPARATORS, fold
from benchmark.store.description import RunDescription
from benchmark.summaries import ModelSummary
from tests.support.made_records import (
    IDENTITY,
    PROTOCOL,
    failed_record,
    make_planned,
    make_record,
    make_summary,
    make_variant,
)

JSON_KEYS = [
    *("model", "params", "macs", "test_accuracy", "accuracy", "accuracy_low", "accuracy_high"),
    *("rank", "epoch_seconds", "peak_memory_bytes"),
    *("status", "trainable_params", "test_accuracy_low", "test_accuracy_high"),
    *("largest_class_share", "beats_largest_class", "entry"),
    *("options", "identity", "versions", "seeds", "macs_is_lower_bound"),
]


@pytest.fixture
def columns() -> list[Column]:
    """Every standard column, and those of the accuracy."""
    catalog = load_catalog()
    offered = [offer.entry for offer in catalog.columns]
    return with_metrics(offered, catalog.metric_columns["accuracy"])


def render(
    summaries: Iterable[ModelSummary], columns: list[Column], format: str, caption: str = ""
) -> str:
    """Work out the table, all of whose columns are sound, and write it."""
    warnings: list[str] = []
    text = table.render(table.tabulate(summaries, columns, warnings.append), format, caption)
    assert not warnings
    return text


def shown(columns: list[Column]) -> list[Column]:
    return [column for column in columns if column.shown]


def named(columns: list[Column], name: str) -> Column:
    return next(column for column in columns if column.name == name)


def test_json_has_the_documented_keys_in_base_units(columns: list[Column]) -> None:
    rows = json.loads(render([make_summary("alpha", 0.5, 0.7)], columns, "json"))
    assert rows == [
        {
            "model": "alpha",
            "params": 1_172_410,
            "macs": 55_150_000,
            "test_accuracy": pytest.approx(0.6),
            "accuracy": pytest.approx(0.6),
            # Student's t of 0.975 at 1 degree of freedom is 12.71, the standard error 0.1.
            "accuracy_low": 0.0,
            "accuracy_high": 1.0,
            "rank": None,
            "epoch_seconds": 2.0,
            "peak_memory_bytes": 2**30,
            "status": "completed",
            "trainable_params": 1_172_410,
            "test_accuracy_low": 0.0,
            "test_accuracy_high": 1.0,
            "largest_class_share": None,
            "beats_largest_class": None,
            "entry": "alpha",
            "options": {},
            "identity": IDENTITY,
            "versions": {"benchmark-models": ["0.1.0"], "sample": ["1.0"]},
            "seeds": [0, 1],
            "macs_is_lower_bound": False,
        }
    ]
    assert list(rows[0]) == JSON_KEYS


def test_a_failed_trial_is_a_row_without_figures(columns: list[Column]) -> None:
    summary = model_summary(make_variant("alpha"), (failed_record("alpha"),), 1)
    row = json.loads(render([summary], columns, "json"))[0]
    assert row["status"] == "failed"
    assert row["test_accuracy"] is None
    assert row["params"] is None
    line = render([summary], shown(columns), "simple").splitlines()[-1]
    assert line.split() == ["alpha", "-", "-", "-", "-", "-", "-", "failed"]


def test_csv_has_a_header_and_the_same_figures(columns: list[Column]) -> None:
    text = render([make_summary("alpha", 0.5), make_summary("beta", 0.25)], columns, "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == JSON_KEYS
    assert [row["test_accuracy"] for row in rows] == ["0.5", "0.25"]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=cmd()", "'=cmd()"),
        ("+1+cmd()", "'+1+cmd()"),
        ("-1+cmd()", "'-1+cmd()"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" =cmd()", "' =cmd()"),
        ("\t=cmd()", "'\t=cmd()"),
        ("\r=cmd()", "\\u000d=cmd()"),
        ("\uff1dcmd()", "'\uff1dcmd()"),
        ("a\n=cmd(),1", "a\\n=cmd(),1"),
        (["=cmd()", "b"], "'=cmd() b"),
        ("-1.5e-3", "-1.5e-3"),
        (-1.5, "-1.5"),
        (-3, "-3"),
        ([-1, 2], "-1 2"),
        ("conv=2", "conv=2"),
        (None, ""),
        (True, "True"),
    ],
)
def test_no_text_is_a_formula_in_csv(value: Any, cell: str) -> None:
    column = Column("figure", "figure", lambda summary: value)
    text = render([make_summary("alpha", 0.5)], [column], "csv")
    assert [*csv.reader(io.StringIO(text))] == [["figure"], [cell]]


def test_one_seed_has_no_interval_and_several_have(columns: list[Column]) -> None:
    accuracy = [named(columns, "test_accuracy")]
    one = render([make_summary("alpha", 0.8)], accuracy, "simple")
    assert one.splitlines()[-1].strip() == "80.00"
    three = render([make_summary("alpha", 0.79, 0.80, 0.81)], accuracy, "simple")
    # V is 0.000101/3 of the seeds, whose t is 4.30, and 0.153/10,000 of the images, whose is 1.96.
    assert three.splitlines()[-1].strip() == "80.00 ± 2.50"
    few = render([make_summary("alpha", 1.0, 1.0)], accuracy, "simple")
    assert few.splitlines()[-1].strip() == "100.00 [99.96, 100]"


def test_how_many_seeds_completed_is_shown(columns: list[Column]) -> None:
    records = [make_record("alpha", 0), make_record("alpha", 1), failed_record("alpha", 2)]
    (summary,) = summarize(records, [make_planned("alpha", 0, 1, 2)])
    status = [named(columns, "status"), named(columns, "test_accuracy")]
    assert "2/3 ok" in render([summary], status, "simple")
    assert json.loads(render([summary], status, "json"))[0]["status"] == "failed"
    complete = make_summary("alpha", 0.5, 0.6, 0.7)
    assert "3/3 ok" in render([complete], status, "simple")


def test_a_trial_that_was_not_reached_is_unfinished(columns: list[Column]) -> None:
    summaries = summarize(
        [make_record("alpha", 0)], [make_planned("alpha", 0, 1), make_planned("beta")]
    )
    rows = json.loads(render(summaries, columns, "json"))
    assert [(row["model"], row["status"]) for row in rows] == [
        ("alpha", "unfinished"),
        ("beta", "unfinished"),
    ]


def test_a_table_needs_no_more_than_one_models_records_at_a_time() -> None:
    seen: list[weakref.ref[TrialRecord]] = []

    def count(summary: ModelSummary) -> int:
        seen.extend(weakref.ref(record) for record in summary.records)
        return sum(record() is not None for record in seen)

    names = ("alpha", "beta", "gamma")
    records = (make_record(model, seed) for model in names for seed in range(3))
    made = table.tabulate(summarize(records), [Column("alive", "alive", count)], print)
    # The first of the next model has been read by then: so it is known that there are no more.
    assert [row["alive"].value for row in made.rows] == [3, 3, 3]


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_table_fits_80_columns(columns: list[Column], seeds: int) -> None:
    accuracies = [0.8167, 0.7742, 0.9969][:seeds]
    summaries = [make_summary(name, *accuracies) for name in ("baseline_cnn", "separable_cnn")]
    lines = render(summaries, shown(columns), "simple").splitlines()
    assert max(map(len, lines)) <= 80


def test_a_long_name_is_folded_and_nothing_is_lost(columns: list[Column]) -> None:
    name = "a_model_with_a_remarkably_long_name_of_many_words"
    lines = render([make_summary(name, 0.8, 0.9)], shown(columns), "simple").splitlines()
    assert max(map(len, lines)) <= 80
    assert "".join(line.split()[0] for line in lines[3:]) == name


def single_letters(lines: Iterable[str]) -> int:
    return sum(sum(letter not in SEPARATORS for letter in line) < 2 for line in lines)


@given(st.text(st.characters(exclude_characters="\n")), st.integers(0, 40))
def test_a_name_is_folded_to_any_width_and_nothing_is_lost(name: str, width: int) -> None:
    lines = fold(name, width).split("\n")
    assert "".join(lines) == name
    assert max(map(len, lines)) <= max(width, 1)


@given(st.from_regex(r"[a-z0-9]+([-_./][a-z0-9]+)*", fullmatch=True), st.integers(12, 40))
def test_no_single_letter_is_folded_off(name: str, width: int) -> None:
    lines = fold(name, width).split("\n")
    assert len(lines) == 1 or single_letters(lines) == 0


@given(st.text("ab_", min_size=1, max_size=9), st.integers(1, 9))
def test_in_a_narrower_column_there_are_as_few_as_there_can_be(name: str, width: int) -> None:
    ways = []
    for folds in itertools.product([False, True], repeat=len(name) - 1):
        ends = [*(end for end, is_fold in enumerate(folds, 1) if is_fold), len(name)]
        lines = [name[start:end] for start, end in itertools.pairwise([0, *ends])]
        if max(map(len, lines)) <= width:
            ways.append(single_letters(lines))
    assert single_letters(fold(name, width).split("\n")) == min(ways)


@pytest.mark.parametrize(
    ("name", "width", "lines"),
    [
        ("separable_cnn", 12, ["separable_", "cnn"]),
        ("resnet_x", 7, ["resn", "et_x"]),
        ("timm/resnet18.a1_in1k", 12, ["timm/", "resnet18.", "a1_in1k"]),
        ("supercalifragilistic", 12, ["supercalif", "ragilistic"]),
        ("alpha", 12, ["alpha"]),
        ("alpha", 0, ["a", "l", "p", "h", "a"]),
    ],
)
def test_a_name_is_folded_where_people_would(name: str, width: int, lines: list[str]) -> None:
    assert fold(name, width).split("\n") == lines


def test_only_names_are_folded_wherever_they_stand(columns: list[Column]) -> None:
    wanted = [named(columns, name) for name in ("seeds", "model", "status")]
    summaries = [make_summary("separable_network_of_some_length", 0.5, 0.25)]
    warnings: list[str] = []
    text = table.render(table.tabulate(summaries, wanted, warnings.append), "simple", width=30)
    assert max(map(len, text.splitlines())) <= 30
    assert "2/2 ok" in text


def test_the_caption_is_folded_to_the_width(columns: list[Column]) -> None:
    text = render([make_summary("alpha", 0.5)], shown(columns), "simple", "word " * 60)
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("word") == 60


@pytest.mark.parametrize(
    ("format", "pattern"),
    [
        (
            "simple",
            r"^baseline_cnn +1,172,410 +55\.15 +81\.67 +- +2\.00 +1,024 +completed$",
        ),
        ("github", r"^\| baseline_cnn +\| +1,172,410 \|"),
        ("latex", r"baseline\\_cnn +& +1,172,410 &"),
        ("html", r"<td>baseline_cnn *</td><td style=\"text-align: right;\"> *1,172,410</td>"),
    ],
)
def test_formats_for_people(columns: list[Column], format: str, pattern: str) -> None:
    text = render([make_summary("baseline_cnn", 0.8167)], shown(columns), format, "Caption <&>")
    assert re.search(pattern, text, re.MULTILINE), text
    assert "Caption &lt;&amp;&gt;" in text if format == "html" else "Caption <&>" in text


def test_html_from_a_plugin_is_escaped(columns: list[Column]) -> None:
    hostile = Column("note", "<b>note</b>", lambda summary: "<script>alert(1)</script>")
    text = render([make_summary("alpha", 0.5)], [hostile], "html")
    assert "<script>" not in text
    assert "<b>" not in text


@pytest.mark.parametrize(
    ("column", "order"),
    [
        ("test_accuracy", ["beta", "gamma", "alpha", "broken"]),
        ("params", ["alpha", "beta", "gamma", "broken"]),
        ("model", ["alpha", "beta", "broken", "gamma"]),
    ],
)
def test_sorting_puts_the_best_first_and_the_unknown_last(
    columns: list[Column], column: str, order: list[str]
) -> None:
    summaries = [
        model_summary(make_variant("broken"), (failed_record("broken"),), 1),
        make_summary("alpha", 0.5),
        make_summary("beta", 0.9),
        make_summary("gamma", 0.7),
    ]
    ordered = table.tabulate(summaries, columns, print).sorted_by(named(columns, column))
    assert [row["model"].value for row in ordered.rows] == order


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234567, "1,234,567"), (0.123456, "0.1235"), (None, "-"), ("words", "words"), (True, "True")],
)
def test_a_column_without_text_is_written_plainly(value: Any, text: str) -> None:
    column = Column("figure", "figure", lambda summary: value)
    lines = render([make_summary("alpha", 0.5)], [column], "simple").splitlines()
    assert lines[-1].strip() == text


def test_a_figure_that_is_no_number_is_null_in_json() -> None:
    column = Column("figure", "figure", lambda summary: float("nan"))
    assert json.loads(render([make_summary("alpha", 0.5)], [column], "json")) == [{"figure": None}]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.1234, "0.123"), (1.2345, "1.23"), (12.345, "12.3"), (123.45, "123"), (9.996, "10.0")],
)
def test_epoch_times_have_three_digits(columns: list[Column], seconds: float, text: str) -> None:
    record = make_record("alpha")
    timing = record.timing.model_copy(update={"epoch_seconds": seconds})
    summary = model_summary(
        make_variant("alpha"), (record.model_copy(update={"timing": timing}),), 1
    )
    assert render([summary], [named(columns, "epoch_seconds")], "simple").split()[-1] == text


@pytest.mark.parametrize(
    ("image", "said"),
    [(None, "(ffffffff), 100 training"), ((3, 24, 32), "(ffffffff), 3 x 24 x 32, 100 training")],
)
def test_the_caption_has_the_image_size_where_the_records_have_it(
    image: tuple[int, int, int] | None, said: str
) -> None:
    protocol = PROTOCOL.model_copy(
        update={"dataset": PROTOCOL.dataset.model_copy(update={"image": image})}
    )
    assert said in training_text(protocol)
    # A run goes on in the folder in which it began before the records had it.
    assert protocol.hash == PROTOCOL.hash


@pytest.mark.parametrize(
    ("engines", "caption"),
    [
        ([("eager", False)], "bf16."),
        ([("graph", False)], "bf16, engine graph."),
        ([("graph", False), ("eager", False)], "bf16, engine eager and graph."),
        ([("eager", True)], "bf16, engine eager, compiled."),
    ],
)
def test_the_caption_names_the_precision_and_an_engine_that_is_not_plain(
    engines: list[tuple[str, bool]], caption: str
) -> None:
    records = tuple(
        make_record(seed=seed, engine=engine, compiled=compiled)
        for seed, (engine, compiled) in enumerate(engines)
    )
    description = RunDescription(
        config=load_config(find_document("quickstart"), load_catalog()),
        variants=(),
        protocol=PROTOCOL.model_copy(update={"precision": "bf16"}),
        environment={"processor": "P", "threads": 2},
    )
    coverage = Coverage()
    assert [*coverage.noting([model_summary(make_variant("alpha"), records, len(records))])]
    text = write_caption(description, coverage)
    assert text.splitlines()[0].endswith(caption)
