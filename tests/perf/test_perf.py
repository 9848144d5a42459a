"""The benchmark of the benchmark: its arithmetic, its page, and that the bare loop is the same."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark import TrainingPlan
from benchmark.records import EpochRecord
from benchmark.training.data import ResidentImages, epoch_order
from benchmark.training.seeds import INITIAL_WEIGHTS, TRAINING, seed_everything
from benchmark.training.training import Training
from benchmark_plugins.recipes.adam import AdamOptions, configure
from perf import choices, comparisons, page, report
from perf.compare import PART, main
from perf.comparisons import COMPARISONS, CONTENDERS, MODELS, compare
from perf.contenders import bare_loop, framework
from perf.contenders.choices import CHOICES as MADE
from perf.contenders.torch_models import build, count_values
from perf.figures import fit_line, ratio
from perf.interleave import interleave, orders
from perf.page import MarkersError, replace_generated
from perf.processes import Worker, WorkerError
from perf.random_images import draw_images
from perf.turns import Turns
from perf.workload import EPSILON, LEARNING_RATE, Workload
from tests.docs.test_docs import rows, sections
from tests.support.made_training import train_all

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "perf" / "results.json"
CHOICES = ROOT / "perf" / "choices.json"
CPU = torch.device("cpu")
BEGIN, END = (marker.format(PART) for marker in (page.BEGIN, page.END))
PARAMETERS = {"baseline_cnn": 1_172_410, "separable_cnn": 98_887}


# Figures


def test_a_ratio_is_that_of_the_medians_and_its_spread_that_of_the_pairs() -> None:
    found = ratio([3.0, 2.0, 10.0], [1.0, 2.0, 4.0])
    assert (found.median, found.lowest, found.highest) == (1.5, 1.0, 3.0)


@pytest.mark.parametrize("pair", [([], []), ([1.0], [1.0, 2.0])])
def test_repeats_that_belong_to_no_pair_make_no_ratio(pair: tuple[list[float], ...]) -> None:
    with pytest.raises(ValueError, match="make no ratio"):
        ratio(*pair)


def test_a_line_through_points_of_a_line() -> None:
    line = fit_line([5000, 10_000, 50_000], [6.0, 11.0, 51.0])
    assert line.slope == pytest.approx(1e-3)
    assert line.intercept == pytest.approx(1.0)
    assert line.r_squared == pytest.approx(1.0)
    assert line.largest_residual == pytest.approx(0.0, abs=1e-9)


def test_a_line_through_points_beside_it() -> None:
    # By hand: slope 1.5, intercept -1/3; residuals 1/6, -1/3, 1/6 of times with a variance of 14/3.
    line = fit_line([1, 2, 3], [4 / 3, 7 / 3, 13 / 3])
    assert line.slope == pytest.approx(1.5)
    assert line.intercept == pytest.approx(-1 / 3)
    assert line.r_squared == pytest.approx(1 - (1 / 6) / (14 / 3))
    assert line.largest_residual == pytest.approx((1 / 3) / (7 / 3))


def test_one_size_makes_no_line() -> None:
    with pytest.raises(ValueError, match="two different sizes"):
        fit_line([1000, 1000], [1.0, 2.0])


# Interleaving


def test_in_each_repeat_another_comes_first() -> None:
    assert [*orders(["a", "b", "c"], 4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


def test_everyone_trains_a_block_in_each_repeat() -> None:
    asked: list[str] = []

    def block(name: str) -> float:
        asked.append(name)
        return float(len(asked))

    lines: list[str] = []
    blocks = {"a": lambda: block("a"), "b": lambda: block("b")}
    seconds = interleave(blocks, 3, lines.append)
    assert asked == ["a", "b", "b", "a", "a", "b"]
    assert seconds == {"a": [1.0, 4.0, 5.0], "b": [2.0, 3.0, 6.0]}
    assert lines[0] == "repeat 1 of 3: a 1.00 s, b 2.00 s"


# Comparisons


def test_who_is_compared_is_a_contender() -> None:
    for comparison in COMPARISONS:
        assert {comparison.numerator, comparison.denominator} <= {*CONTENDERS}
        assert (ROOT / "perf" / "contenders" / f"{comparison.numerator}.py").is_file()


def test_a_target_is_met_or_missed() -> None:
    seconds = {"framework": [1.03], "bare_loop": [1.0], "usual_way": [2.5], "other": [1.0]}
    overhead, usual = compare("separable_cnn", seconds)
    assert (overhead.target, overhead.met) == ("at most 1.02", False)
    assert (usual.target, usual.met) == ("at least 2", True)
    assert usual.ratio.median == pytest.approx(2.5 / 1.03)
    (without,) = compare("separable_cnn", {"framework": [1.0], "lightning_trainer": [3.0]})
    assert (without.target, without.met) == (None, None)


# The page


def test_what_is_generated_takes_its_place_and_nothing_else_changes() -> None:
    before = f"# Title\n\ntext\n\n{BEGIN}\nold\n{END}\n\nmore *text*\n"
    after = replace_generated(before, PART, "| new |\n")
    assert after == f"# Title\n\ntext\n\n{BEGIN}\n\n| new |\n\n{END}\n\nmore *text*\n"
    assert replace_generated(after, PART, "| new |\n") == after


@pytest.mark.parametrize(
    "text", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}", f"{BEGIN}{END}{END}"]
)
def test_a_page_without_its_markers_is_refused(text: str) -> None:
    with pytest.raises(MarkersError):
        replace_generated(text, PART, "new")


def made_up_results() -> dict[str, Any]:
    seconds = {"framework": [1.0, 1.0, 1.1], "bare_loop": [1.0, 0.99, 1.1], "usual_way": [3.0] * 3}
    trials = [
        {"images": 4992, "epoch_seconds": 5.0, "peak_memory_bytes": 2**30},
        {"images": 49_920, "epoch_seconds": 50.0, "peak_memory_bytes": 2**31},
    ]
    versions = {"benchmark-models": "0.1.0", "torch": "2.14.1"}
    return {
        "measured": "2026-01-02T03:04:05+00:00",
        "environment": {"processor": "Chip", "threads": 2, "versions": versions, "git": None},
        "peers": {"keras": "3.15.1"},
        "batch_size": 128,
        "steps": 10,
        "repeats": 3,
        "precision": "bf16",
        "test_images": 10_000,
        "speed": {"baseline_cnn": {"seconds": seconds}},
        "sizes": {"baseline_cnn": trials},
    }


def test_the_tables_say_what_was_measured() -> None:
    text = report.write_tables(made_up_results())
    assert text.startswith("Measured on 2026-01-02: Chip, 2 threads; ")
    assert "3 repeats of 10 steps. torch 2.14.1, keras 3.15.1." in text
    found = {row[0]: row[1:] for row in rows(text) if row[0] != "`baseline_cnn`"}
    name = "`baseline_cnn`"
    assert found["the framework over a bare loop"] == [
        *(name, "1.000", "1.000 to 1.010", "at most 1.02", "yes")
    ]
    assert found["the usual PyTorch loop over the framework"][1] == "3.00"
    assert found["`usual_way`"] == ["300.0"]
    memory, growth = [row[1:] for row in rows(text) if row[0] == name]
    assert memory == ["49,920", "2,048", "at most 1,536", "no"]
    assert growth == ["5.00", "50.00", "1.0016", "0.000", "1.00000", "0.0"]


def test_fewer_images_are_not_held_to_the_target_for_all() -> None:
    results = made_up_results()
    results["sizes"]["baseline_cnn"].pop()
    memory, growth = [row[1:] for row in rows(report.write_tables(results)) if len(row) > 4][-2:]
    assert memory == ["4,992", "1,024", "-", "-"]
    assert growth == ["5.00", "-", "-", "-", "-"]


def test_a_run_writes_its_results_and_its_page(tmp_path: Path) -> None:
    out, text = tmp_path / "results.json", tmp_path / "page.md"
    text.write_text(f"before\n{BEGIN}{END}\nafter\n")
    arguments = ["--contenders", "--sizes", "--out", str(out), "--page", str(text)]
    assert main(arguments) == 0
    results = json.loads(out.read_text())
    assert results["environment"]["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert text.read_text() == replace_generated(
        text.read_text(), PART, report.write_tables(results)
    )
    assert text.read_text().startswith("before\n")


def test_a_page_without_markers_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page.md").write_text("no markers")
    out = tmp_path / "results.json"
    assert main(["--out", str(out), "--page", str(tmp_path / "page.md")]) == 1
    assert capsys.readouterr().err.startswith("perf: error: the page should have")
    assert not out.exists()


def test_the_performance_page_names_every_contender_and_target() -> None:
    parts = sections(PAGE.read_text(encoding="utf-8"))
    names = [row[0].strip("`") for row in rows(parts["How it is measured"])]
    assert names == [*CONTENDERS]
    stated = {row[0]: row[1] for row in rows(parts["Targets"])}
    for comparison in COMPARISONS:
        for target in comparison.targets.values():
            assert f"{target:g}" in stated[comparison.title], comparison.title
    assert comparisons.MOST_MEMORY_BYTES == 1.5 * 2**30


@pytest.mark.skipif(not RESULTS.exists(), reason="perf/results.json: not measured yet")
def test_the_performance_page_shows_the_results_that_are_kept() -> None:
    text = PAGE.read_text(encoding="utf-8")
    tables = report.write_tables(json.loads(RESULTS.read_text(encoding="utf-8")))
    assert page.replace_generated(text, PART, tables) == text


# The choices


def test_every_choice_of_the_table_can_be_made() -> None:
    assert set(choices.CHOICES) == set(MADE)


def test_the_table_of_choices_has_ratios_to_the_framework() -> None:
    seconds = {"framework": [1.0, 2.0, 1.5], "choices:one_thread": [2.0, 3.0, 3.0]}
    results = {"steps": 10, "repeats": 3, "seconds": {"baseline_cnn": seconds}}
    assert [row[1] for row in rows(choices.write_table(results))] == [
        "150.0 ms a step",
        "2.00 (1.50 to 2.00)",
    ]


@pytest.mark.skipif(not CHOICES.exists(), reason="perf/choices.json: not measured yet")
def test_the_performance_page_shows_the_choices_that_are_kept() -> None:
    text = PAGE.read_text(encoding="utf-8")
    table = choices.write_table(json.loads(CHOICES.read_text(encoding="utf-8")))
    assert page.replace_generated(text, choices.PART, table) == text


# The contenders


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_bare_loops_weights_are_the_frameworks(name: str, precision: str) -> None:
    images = ResidentImages(draw_images(24, 0), CPU)
    theirs = initial_model(name)
    plan = TrainingPlan(
        epochs=2, steps_per_epoch=3, batch_size=8, options=AdamOptions(), num_classes=3
    )
    training = Training(theirs, configure(theirs, plan), images, 8, precision)
    records = trained(training, images)
    mine = initial_model(name)
    optimizer = bare_loop.make_optimizer(mine)
    for epoch, record in enumerate(records, start=1):
        seed_everything(0, TRAINING, epoch)
        order = epoch_order(24, 0, epoch)
        epoch_images = images.pixels[order], images.labels[order]
        losses, hits = bare_loop.train_steps(mine, optimizer, *epoch_images, 8, precision)
        assert record.train_loss == float(losses.double().mean())
        assert record.train_accuracy == int(hits.sum()) / 24
    for key, value in theirs.state_dict().items():
        assert torch.equal(mine.state_dict()[key], value), key


def initial_model(name: str) -> torch.nn.Module:
    seed_everything(0, INITIAL_WEIGHTS)
    return build(name).to(memory_format=torch.channels_last)


def trained(training: Training, images: ResidentImages) -> list[EpochRecord]:
    return [record for record, _ in train_all(training, images, seed=0, epochs=2)]


def test_the_workload_has_the_recipes_constants() -> None:
    model = build("separable_cnn")
    plan = TrainingPlan(
        epochs=1, steps_per_epoch=1, batch_size=1, options=AdamOptions(), num_classes=3
    )
    (recipe,) = configure(model, plan).optimizers
    mine = bare_loop.make_optimizer(model)
    assert (recipe.defaults, type(recipe)) == (mine.defaults, type(mine))
    assert (recipe.defaults["lr"], recipe.defaults["eps"]) == (LEARNING_RATE, EPSILON)


@pytest.mark.parametrize("name", MODELS)
def test_the_models_are_as_large_as_the_document_says(name: str) -> None:
    assert count_values(build(name)) == PARAMETERS[name]


@pytest.mark.parametrize("name", MODELS)
def test_the_models_of_keras_are_as_large(name: str) -> None:
    pytest.importorskip("keras", reason="keras is not installed: it is one of perf's own needs")
    from perf.contenders import keras_tensorflow

    assert keras_tensorflow.build(name).count_params() == PARAMETERS[name]


@pytest.mark.parametrize("contender", [framework, bare_loop])
def test_a_contender_trains_a_block_a_turn(contender: Any) -> None:
    workload = Workload("separable_cnn", batch_size=4, steps=2, blocks=3, precision="fp32")
    facts, *blocks = replies_of(contender, workload, "go\ngo\n")
    assert facts == {"parameters": 98_887, "precision": "fp32"}
    assert len(blocks) == 3
    assert all(0 < block["seconds"] < 60 for block in blocks)


@pytest.mark.parametrize("contender", [framework, bare_loop])
def test_a_contender_ends_when_no_more_is_wanted(contender: Any) -> None:
    workload = Workload("separable_cnn", batch_size=4, steps=1, blocks=9, precision="fp32")
    assert len(replies_of(contender, workload, "")) == 2


def replies_of(contender: Any, workload: Workload, requests: str) -> list[dict[str, Any]]:
    replies = io.StringIO()
    contender.contend(workload, Turns(io.StringIO(requests), replies))
    return [json.loads(line) for line in replies.getvalue().splitlines()]


def test_a_workload_survives_the_way_to_its_worker() -> None:
    workload = Workload("separable_cnn", 128, 20, 6, "bf16", seed=3)
    assert Workload.from_json(workload.to_json()) == workload
    assert workload.images().pixels.shape == (2560, 3, 32, 32)


def test_a_worker_that_fails_is_told_with_what_it_wrote(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+") as log, pytest.raises(WorkerError) as caught:
        Worker("nobody", Workload("separable_cnn", 4, 1, 1, "fp32"), log)
    assert str(caught.value).startswith("nobody ended before its time:\n")
    assert "No module named 'perf.contenders.nobody'" in str(caught.value)


# The environment


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {package.lower().replace("_", "-"): version for package, version in pairs}


def test_the_peers_are_pinned_beside_the_projects_constraints() -> None:
    peers = pins("perf/requirements.txt")
    assert {"keras", "lightning", "tensorflow-cpu"} <= peers.keys()
    assert not peers.keys() & pins("constraints.txt").keys()


def test_make_perf_installs_the_peers_once_and_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Makefile", "setup.cfg", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "perf").mkdir()
    shutil.copy(ROOT / "perf" / "requirements.txt", tmp_path / "perf")
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\n"
        'case "$1 $2" in\n'
        '  "-m venv") mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; exit;;\n'
        "  -c*) echo new; exit;;\n"
        "esac\n"
        'echo "$*" >> calls\n'
    )
    python.chmod(0o755)
    monkeypatch.setenv("PYTHON", str(python))
    for variable in ("MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL"):
        monkeypatch.delenv(variable, raising=False)
    for _ in range(2):
        subprocess.run(["make", "perf"], cwd=tmp_path, check=True, capture_output=True)
    install, *runs = (tmp_path / "calls").read_text().splitlines()
    assert install.endswith("-c constraints.txt -r perf/requirements.txt --editable .")
    assert runs == ["-m perf.compare", "-m perf.choices", "-m perf.neighbours"] * 2
    assert not (tmp_path / ".venv").exists()
