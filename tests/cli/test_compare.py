"""``benchmark compare``: which rows are compared with which, and what is said of them."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import benchmark as face
from benchmark.analysis.comparison import difference
from benchmark.analysis.intervals import mean_ratio
from benchmark.cli.main import execute
from benchmark.errors import BenchmarkError
from benchmark.records import (
    Machine,
    ParameterCount,
)
from tests.conftest import CommandLine, Result, only_error
from tests.support.made_records import DATASET, PROTOCOL
from tests.support.made_runs import MadeRun
from tests.support.tiny import write_tiny_run

OTHER = "fedcba987654"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one protocol, in which alpha is better than beta, and one of another."""
    folder = tmp_path_factory.mktemp("made")
    MadeRun(folder / "base").row("alpha", 0.8, 0.81, 0.79).row("beta", 0.5, 0.51, 0.49)
    MadeRun(folder / "head").row("alpha", 0.7, 0.71, 0.69).row("gamma", 0.6)
    MadeRun(folder / "longer", batch_size=20).row("alpha", 0.9, 0.91).row("beta", 0.6, 0.61)
    return folder


@pytest.fixture(autouse=True)
def _runs(benchmark: CommandLine, made: Path) -> None:
    shutil.copytree(made, Path(), dirs_exist_ok=True)


def rows(result: Result) -> dict[str, dict[str, Any]]:
    assert result.code == 0, result.err
    return {row["model"]: row for row in json.loads(result.out)}


def references(result: Result) -> dict[str, str | None]:
    return {name: row["reference"] for name, row in rows(result).items()}


# What is compared with what


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("base", {"alpha": "alpha", "beta": "alpha"}),
        ("base --against beta", {"alpha": "beta", "beta": "beta"}),
        ("base:alpha base:beta", {"alpha": "alpha", "beta": "alpha"}),
        ("base base -m alpha -m beta", {"alpha": "alpha", "beta": "alpha"}),
        ("base -m beta --against alpha", {"alpha": "alpha", "beta": "alpha"}),
        ("base:beta head:gamma", {"gamma": "gamma", "beta": "gamma"}),
        (
            "base head -m alpha",
            {"base:alpha": "base:alpha", "head:alpha": "base:alpha"},
        ),
        ("head -m gamma --against base:beta", {"gamma": "beta", "beta": "beta"}),
        (
            "head --against base",
            {"base:alpha": "base:alpha", "head:alpha": "base:alpha", "gamma": None},
        ),
        ("./base/../base:al* base -m beta", {"alpha": "alpha", "beta": "alpha"}),
    ],
)
def test_each_row_has_its_reference(
    benchmark: CommandLine, arguments: str, expected: dict[str, str]
) -> None:
    assert references(benchmark("compare", *arguments.split(), "--format", "json")) == expected


def test_an_earlier_version_is_a_row_of_its_own(benchmark: CommandLine) -> None:
    MadeRun("run").row("alpha", 0.8, 0.81, identity=OTHER).row("alpha", 0.7, 0.71)
    for arguments in (
        ("run:alpha", f"run:alpha@{OTHER[:4]}"),
        ("run", "--against", f"alpha@{OTHER[:4]}"),
        ("run", "-m", "alpha", "-m", f"alpha@{OTHER}", "--against", f"alpha@{OTHER}"),
    ):
        result = benchmark("compare", *arguments, "--format", "json")
        earlier = f"alpha@{OTHER[:8]}"
        assert references(result) == {"alpha": earlier, earlier: earlier}


def test_a_folder_with_a_colon_is_a_folder(benchmark: CommandLine) -> None:
    MadeRun("base:beta").row("delta", 0.7, 0.71).row("beta", 0.5, 0.51)
    assert set(references(benchmark("compare", "base:beta", "--format", "json"))) == {
        "beta",
        "delta",
    }
    result = benchmark("compare", "base:beta:beta", "base:beta:delta", "--format", "json")
    assert references(result) == {"beta": "delta", "delta": "delta"}


def test_runs_of_one_name_are_told_apart_by_where_they_lie(benchmark: CommandLine) -> None:
    for parent in ("main", "branch"):
        MadeRun(Path(parent) / "run").row("alpha", 0.8, 0.81)
    result = benchmark("compare", "main/run", "--against", "branch/run", "--format", "json")
    assert references(result)["main:alpha"] == "branch:alpha"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("bose", "bose: no such folder - did you mean 'base'?"),
        ("nowhere/run", "nowhere/run: no such folder"),
        ("bose:alpha", "bose: no such folder - did you mean 'base'?"),
        ("base:alpa", "base:alpa: base has no such model - did you mean 'alpha'?"),
        ("base -m alpa", "-m alpa: base has no such model - did you mean 'alpha'?"),
        ("base --against alpa", "--against alpa: base has no such model - did you mean 'alpha'?"),
        ("base --against bose:alpha", "bose: no such folder - did you mean 'base'?"),
        ("base --against head:gama", "head:gama: head has no such model - did you mean 'gamma'?"),
        (
            "base --against alpha@12",
            "--against alpha@12: 12 is no version of it (there are: 0123456789ab)",
        ),
        (
            "base --against base",
            "--against base: is the run that is compared; give a label of it, or another run",
        ),
        (
            "head:gamma --against base",
            "--against base: has none of the models gamma (there are: alpha, beta); to compare "
            "with one of another name give RUN:label",
        ),
        (
            "base head --against alpha",
            "--against alpha: stands for 2 rows of one protocol (base:alpha, head:alpha); name "
            "one as RUN:label",
        ),
        ("base:alpha", "nothing to compare: there is one row, alpha; name another run or row"),
        (
            "base:alpha longer:alpha",
            "nothing to compare: the rows have different protocols (batch size 10 and 20); "
            "--allow-mixed shows them side by side",
        ),
        ("base --time-to 70", "compare: --time-to 70: should be a share of the test images, "),
        ("base --time-to 0%", "compare: --time-to 0%: should be a share of the test images, "),
        ("base --methods --format json", "compare: --methods: a paragraph has no format 'json' "),
    ],
)
def test_a_mistake_is_one_line(benchmark: CommandLine, arguments: str, says: str) -> None:
    line = only_error(benchmark("compare", *arguments.split()))
    assert line.startswith(f"benchmark: error: {says}")


def test_a_damaged_description_is_mended_as_the_line_says(benchmark: CommandLine) -> None:
    command = [*write_tiny_run(Path()), "--executor", "inline", "--seeds", "1", "--epochs", "1"]
    assert benchmark(*command).code == 0
    (file,) = Path("runs").glob("*/run.json")
    file.write_text(file.read_text().replace('"epochs"', '"epoch"', 1))
    line = only_error(benchmark("compare", str(file.parent)))
    assert "'benchmark run' with the run's config writes it anew, and trains nothing twice" in line
    assert " epoch " not in benchmark(*command).err
    assert benchmark("compare", str(file.parent)).code == 0


# The figures


def test_the_figures_are_those_of_the_records(benchmark: CommandLine) -> None:
    run = MadeRun("run")
    machine = ParameterCount(total=2_000, trainable=2_000, buffers=0)
    run.row("alpha", 0.8, 0.81, 0.79, seconds=(2.0, 2.2, 2.4))
    run.row("beta", 0.77, 0.75, 0.76, seconds=(1.0, 1.1, None), params=machine, macs=5_000)
    alpha, beta = (
        [run.correct(label, seed, accuracy) for seed, accuracy in enumerate(accuracies)]
        for label, accuracies in (("alpha", (0.8, 0.81, 0.79)), ("beta", (0.77, 0.75, 0.76)))
    )
    row = rows(benchmark("compare", "run", "--format", "json"))["beta"]
    expected = difference(beta, alpha)
    for key, value in {
        "difference": expected.mean,
        "difference_low": expected.low,
        "difference_high": expected.high,
        "p_value": expected.p_value,
        "superiority": expected.superiority,
        "detectable": expected.detectable,
        "params_ratio": 2_000 / 1_172_410,
        "macs_ratio": 5_000 / 55_150_000,
    }.items():
        assert row[key] == pytest.approx(value), key
    ratio = mean_ratio({0: 1.0, 1: 1.1}, {0: 2.0, 1: 2.2, 2: 2.4})
    assert row["epoch_seconds_ratio"] == pytest.approx(ratio.mean)
    assert row["epoch_seconds_ratio_low"] == pytest.approx(ratio.low)
    assert (row["peak_memory_ratio"], row["peak_memory_ratio_low"]) == (1.0, None)
    assert (row["is_reference"], row["on_front"], row["rank"]) == (False, True, [2, 2])


def test_where_seeds_were_added_a_difference_holds_for_all_looks(benchmark: CommandLine) -> None:
    MadeRun("once").row("alpha", 0.8, 0.81, 0.79).row("beta", 0.77, 0.75, 0.76)
    MadeRun("looks", until=10).row("alpha", 0.8, 0.81, 0.79).row("beta", 0.77, 0.75, 0.76)
    once, looks = (
        rows(benchmark("compare", run, "--format", "json"))["beta"] for run in ("once", "looks")
    )
    assert looks["p_value"] == pytest.approx(4 * once["p_value"])
    assert looks["difference_low"] < once["difference_low"]
    assert "look by look" in benchmark("compare", "looks").out
    assert "whichever of them" in " ".join(benchmark("compare", "looks", "--methods").out.split())


def test_the_interval_of_looks_is_called_what_it_is(benchmark: CommandLine) -> None:
    MadeRun("looks", until=10).row("alpha", 0.8, 0.81, 0.79).row("beta", 0.5, 0.51, 0.49)
    text = " ".join(benchmark("compare", "looks").out.split())
    assert "(98.75 % interval -" in text
    assert "with 98.75 % intervals over seeds and test images" in text
    assert "The 98.75 % confidence intervals" in " ".join(
        benchmark("compare", "looks", "--methods").out.split()
    )
    # Both runs could have ended at any of their looks, so 16 statements could be wrong.
    MadeRun("again", until=10).row("alpha", 0.7, 0.71, 0.69)
    result = benchmark("compare", "looks:alpha", "again", "--format", "json")
    assert rows(result)["again:alpha"]["confidence"] == pytest.approx(1 - 0.05 / 16)


def test_a_control_is_no_model_of_its_own(benchmark: CommandLine) -> None:
    MadeRun("plain").row("alpha", 0.8, 0.81, 0.79).row("beta", 0.5, 0.51, 0.49)
    run = MadeRun("control").row("alpha", 0.8, 0.81, 0.79).row("beta", 0.5, 0.51, 0.49)
    run.row("alpha-control", 0.82, 0.83, 0.81, control_of="alpha")
    plain = rows(benchmark("compare", "plain", "--format", "json"))
    found = rows(benchmark("compare", "control", "--format", "json"))
    control = found.pop("alpha-control")
    assert control["difference"] == pytest.approx(0.02)
    assert (control["reference"], control["rank"], control["on_front"]) == ("alpha", None, None)
    for name, row in found.items():
        assert {**row, "run": ""} == {**plain[name], "run": ""}
    text = " ".join(benchmark("compare", "control").out.split())
    assert "control: alpha against itself, with other seeds, differs by -2.00 points (" in text
    assert "(1,000,000 parameters; alpha with other seeds, as a control)" in " ".join(
        benchmark("compare", "control", "--methods").out.split()
    ).replace("1,172,410", "1,000,000")
    # Nor is it judged.
    gate = ("--fail-if", "accuracy drops by 40")
    judged = benchmark("compare", "control", "--against", "beta", *gate)
    assert [line for line in judged.out.splitlines() if "-control" in line and "gate" in line] == []
    alone = benchmark("compare", "control:alpha-control", "--against", "beta", *gate)
    assert "--fail-if: there is no row to judge beside the reference" in only_error(alone)


def test_a_trial_that_is_missing_is_said_to_be(benchmark: CommandLine) -> None:
    run = MadeRun("run").row("alpha", 0.8, 0.81, 0.79).row("beta", 0.5, 0.51, 0.49)
    run.directory.trial_directory(
        next(key for key in run.variants[0].trials if key.seed == 1)
    ).joinpath("trial.json").write_text("{}")
    for options in ((), ("--methods",)):
        text = " ".join(benchmark("compare", "run", *options).out.split())
        said = "Left out, having no sound record of a completed training: 1 of 3 trials of "
        assert f"{said}alpha." in text


def test_a_difference_that_is_sure_for_one_pair_alone_is_not_all_there_is_to_say(
    benchmark: CommandLine,
) -> None:
    run = MadeRun("many").row("best", 0.625, 0.64, 0.655)
    for name in "abcdefgh":
        run.row(name, 0.59, 0.605, 0.62)
    found = rows(benchmark("compare", "many", "--format", "json"))
    sure = [row for row in found.values() if row["difference"] and row["difference_high"] < 0]
    assert sure
    for row in sure:
        assert row["rank"] == [1, 9]
        assert row["sentence"].endswith("; of all pairs at once they cannot be told apart.")


def test_what_only_the_other_run_has_is_named(benchmark: CommandLine) -> None:
    result = benchmark("compare", "head:alpha", "--against", "base")
    assert (result.code, result.err) == (0, "")
    result = benchmark("compare", "head", "--against", "base")
    assert result.code == 0
    assert "--against base: no row is compared with beta" in result.err


def test_trials_are_paired_by_seed_within_one_run_alone(benchmark: CommandLine) -> None:
    seconds = (2.0, 2.1, 2.2, 2.3, 2.4)
    for name in ("one", "two"):
        run = MadeRun(name).row("alpha", *[0.8] * 5, seconds=seconds)
        run.row("beta", *[0.7] * 5, seconds=[1.1 * value for value in seconds])
    within = rows(benchmark("compare", "one", "--format", "json"))["beta"]
    beyond = rows(benchmark("compare", "one:beta", "two:alpha", "--format", "json"))["beta"]
    assert within["epoch_seconds_ratio"] == pytest.approx(beyond["epoch_seconds_ratio"])
    assert within["epoch_seconds_ratio_low"] == pytest.approx(1.1)
    assert beyond["epoch_seconds_ratio_low"] < 1.05


def test_in_markdown_every_line_is_a_paragraph_and_none_a_list(benchmark: CommandLine) -> None:
    result = benchmark("compare", "base", "longer", "--allow-mixed", "--format", "github")
    assert result.code == 0
    lines = result.out.splitlines()
    assert any(line.startswith("\\* base:alpha, base:beta: another protocol") for line in lines)
    prose = [number for number, line in enumerate(lines) if line and not line.startswith("|")]
    assert all(lines[number + 1 : number + 2] in ([], [""]) for number in prose)


def test_the_reference_has_no_difference(benchmark: CommandLine) -> None:
    alpha = rows(benchmark("compare", "base", "--format", "json"))["alpha"]
    assert (alpha["is_reference"], alpha["difference"], alpha["sentence"]) == (True, None, "")
    assert alpha["test_accuracy"] == pytest.approx(0.8, abs=1e-3)


def test_with_one_seed_the_sentence_is_about_these_trainings(benchmark: CommandLine) -> None:
    result = benchmark("compare", "base:alpha", "head:gamma", "--format", "json")
    row = rows(result)["gamma"]
    assert (row["difference_low"], row["p_value"], row["rank"], row["on_front"]) == (None,) * 4
    assert "but gamma has only one seed" in row["sentence"]
    MadeRun("single").row("alpha", 0.8).row("beta", 0.6)
    text = " ".join(benchmark("compare", "single").out.split())
    assert "in about one run of six" in text
    assert "Pareto" not in text


def test_a_model_that_is_surely_dominated_is_off_the_front(benchmark: CommandLine) -> None:
    run = MadeRun("run").row("alpha", 0.8, 0.81, 0.79)
    run.row("beta", 0.5, 0.51, 0.49, seconds=(4.0, 4.1, 4.2))
    result = benchmark("compare", "run", "--format", "json")
    assert [(r["on_front"], r["dominated_by"]) for r in rows(result).values()] == [
        (True, None),
        (False, "alpha"),
    ]
    text = " ".join(benchmark("compare", "run").out.split())
    assert text.endswith("multiply-accumulates is alpha. beta is surely dominated by alpha.")


def test_a_row_without_a_completed_trial_is_there(benchmark: CommandLine) -> None:
    MadeRun("run").row("alpha", 0.8, 0.81).row("beta", 0.7, 0.71).failed("gamma")
    result = benchmark("compare", "run", "--format", "json")
    assert rows(result)["gamma"]["test_accuracy"] is None
    assert rows(result)["gamma"]["sentence"] == "gamma has no trial that completed (failed)."
    methods = " ".join(benchmark("compare", "run", "--methods").out.split())
    assert "No trial of gamma completed." in methods


def test_times_of_different_devices_are_not_compared(benchmark: CommandLine) -> None:
    run = MadeRun("run").row("alpha", 0.8, 0.81)
    gpu = Machine(gpus=[{"name": "H200"}, {"name": "H200"}])
    run.row("beta", 0.7, 0.71, device="cuda:1", environment=gpu)
    row = rows(benchmark("compare", "run", "--format", "json"))["beta"]
    assert (row["epoch_seconds_ratio"], row["peak_memory_ratio"]) == (None, None)
    assert row["params_ratio"] == 1
    text = " ".join(benchmark("compare", "run").out.split())
    assert "time and memory of beta are not compared: cuda (H200) against cpu." in text
    MadeRun("run").row("alpha", 0.8, 0.81, device="cuda:0", environment=gpu)
    assert "not compared" not in benchmark("compare", "run").out


def test_where_there_is_no_timing_no_times_are_compared(benchmark: CommandLine) -> None:
    MadeRun("run").row("alpha", 0.8, 0.81).row("beta", 0.7, 0.71, seconds=(None, None))
    row = rows(benchmark("compare", "run", "--format", "json"))["beta"]
    assert (row["epoch_seconds"], row["epoch_seconds_ratio"]) == (None, None)
    assert "There is no epoch time of beta" in benchmark("compare", "run").out


def test_trainings_are_timed_to_the_accuracy_that_is_asked_for(benchmark: CommandLine) -> None:
    result = rows(benchmark("compare", "base", "--format", "json", "--time-to", "75 %"))
    for name, seconds, reached in (("alpha", 4.0, 3), ("beta", None, 0)):
        row = result[name]
        assert (row["accuracy_to_reach"], row["seconds_to_accuracy"]) == (0.75, seconds)
        assert (row["reached"], row["reached_of"]) == (reached, 3)
    assert "not reached" in benchmark("compare", "base", "--time-to", "75%").out
    lowest = rows(benchmark("compare", "base", "--format", "json"))["alpha"]
    assert lowest["accuracy_to_reach"] == 0.5


# Protocols


def test_rows_are_compared_and_ranked_within_each_protocol(benchmark: CommandLine) -> None:
    result = benchmark("compare", "base", "longer", "--format", "json")
    assert references(result) == {
        f"{run}:{label}": f"{run}:alpha"
        for run in ("base", "longer")
        for label in ("alpha", "beta")
    }
    assert [row["rank"] for row in rows(result).values()] == [[1, 1], [2, 2]] * 2
    text = " ".join(benchmark("compare", "base", "longer").out.split())
    assert text.startswith(
        "The rows come from 2 protocols and are compared only within each: batch size 10 and 20"
    )


def test_rows_of_different_protocols_stand_side_by_side_if_asked(benchmark: CommandLine) -> None:
    arguments = ("compare", "base", "longer", "--allow-mixed", "--against", "base:alpha")
    mixed = rows(benchmark(*arguments, "--format", "json"))
    assert {row["reference"] for row in mixed.values()} == {"base:alpha"}
    assert [name for name, row in mixed.items() if row["is_of_another_protocol"]] == [
        "longer:alpha",
        "longer:beta",
    ]
    assert mixed["longer:alpha"]["image_standard_error"] is not None
    assert "Their protocols differ: batch size 20 and 10." in mixed["longer:beta"]["sentence"]
    assert "\nlonger:alpha *" in benchmark(*arguments).out


def test_without_the_same_test_images_seeds_alone_are_compared(benchmark: CommandLine) -> None:
    dataset = DATASET.model_copy(update={"test_images": 500})
    MadeRun("fewer", dataset=dataset).row("alpha", 0.6, 0.61)
    arguments = ("compare", "base", "fewer", "--allow-mixed", "-m", "alpha")
    row = rows(benchmark(*arguments, "--format", "json"))["fewer:alpha"]
    assert row["image_standard_error"] is None
    assert row["difference_low"] < row["difference"] < row["difference_high"] < 0
    assert "over seeds alone" in benchmark(*arguments).out
    assert "Welch" in benchmark(*arguments, "--methods").out


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"precision": "bf16"}, "precision fp32 and bf16"),
        ({"epochs": 50}, "epochs 2 and 50"),
        (
            {"recipe": PROTOCOL.recipe.model_copy(update={"name": "sgd"})},
            "recipe adam and sgd",
        ),
        (
            {"recipe": PROTOCOL.recipe.model_copy(update={"options": {"learning_rate": 0.1}})},
            "recipe learning_rate 0.001 and 0.1",
        ),
        (
            {"recipe": PROTOCOL.recipe.model_copy(update={"identity": OTHER})},
            "identity of the recipe's code 01234567 and fedcba98",
        ),
        (
            {"dataset": DATASET.model_copy(update={"fingerprint": "e" * 64, "test_images": 1000})},
            "dataset fingerprint ffffffff and eeeeeeee",
        ),
    ],
)
def test_what_differs_between_protocols_is_named(
    benchmark: CommandLine, changes: dict[str, Any], says: str
) -> None:
    run = MadeRun("other", **changes)
    run.directory.write_description(run.row("none").directory.read_description())
    line = only_error(benchmark("compare", "base:alpha", "other:none", "--against", "none"))
    assert f"({says})" in line


# How it is written


def test_it_keeps_to_80_columns(benchmark: CommandLine) -> None:
    long = "a_model_with_a_name_that_is_as_long_as_it_can_be_for_a_folder_of_that_name"
    run = MadeRun("run").row(long, 0.8, 0.4, 0.6).row("b", 0.1, 0.9, 0.3, seconds=(900, 1, 1e5))
    run.row("c", 0.001, 0.002, seconds=(1e-3, 2e-3))
    for arguments in (["run"], ["run", "--against", "c"], ["run", "--methods"]):
        lines = benchmark("compare", *arguments).out.splitlines()
        assert max(map(len, lines)) <= 80, max(lines, key=len)


@pytest.mark.parametrize(
    ("format", "begins"), [("github", "| model"), ("latex", "\\begin"), ("html", "<table>")]
)
def test_formats_for_people_have_the_tables_and_the_sentences(
    benchmark: CommandLine, format: str, begins: str
) -> None:
    out = benchmark("compare", "base", "--format", format).out
    assert sum(line.startswith(begins) for line in out.splitlines()) == 3
    assert "points below alpha" in out


def test_csv_has_the_same_rows_as_json(benchmark: CommandLine) -> None:
    written = benchmark("compare", "base", "--format", "csv").out
    read = list(csv.DictReader(io.StringIO(written)))
    known = json.loads(benchmark("compare", "base", "--format", "json").out)
    assert [list(row) for row in read] == [list(row) for row in known]
    assert float(read[1]["difference"]) == known[1]["difference"]


def test_methods_are_latex_where_that_is_asked_for(benchmark: CommandLine) -> None:
    text = benchmark("compare", "base", "--methods", "--format", "latex").out
    assert "(learning\\_rate 0.001)" in text
    assert "The 95 \\% confidence" in " ".join(text.split())


# From Python


def test_a_run_is_compared_from_python_as_on_the_command_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = face.open_run("head")
    for against, written in (
        (face.open_run("base"), "base"),
        (Path("base"), "base"),
        ("base:beta", "base:beta"),
        ("alpha", "alpha"),
    ):
        comparison = run.compare(against=against, time_to=0.6)
        assert execute(["compare", "head", "--against", written, "--time-to", "60%"]) == 0
        assert capsys.readouterr().out == f"{comparison}\n"
        assert len(comparison) == len(comparison.rows)
        assert all(sentence in comparison._repr_html_() for sentence in comparison.sentences)


@pytest.mark.parametrize(
    "arguments",
    [{"against": "x"}, {"models": "alpha"}, {"models": []}, {"format": "jsn"}, {"time_to": 60}],
)
def test_a_mistake_in_python_is_an_exception(arguments: dict[str, Any]) -> None:
    with pytest.raises(BenchmarkError):
        face.open_run("base").compare(**arguments)
