"""Seeds that are added look by look, and the control: whole runs, tiny ones."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from benchmark import BenchmarkError, run
from tests.conftest import CommandLine, only_error
from tests.support.command_process import start
from tests.support.sampling import sampled

PLUGIN = """
from pathlib import Path

from torch import nn
from benchmark import ModelEntry, Tracker, TrackerEntry, hookimpl

class Dense(nn.Sequential):
    def __init__(self, input_shape, num_classes):
        channels, height, width = input_shape
        super().__init__(nn.Flatten(), nn.Linear(channels * height * width, num_classes))

class Blind(Dense):
    def forward(self, images):
        return super().forward(0 * images)

class Broken(Dense):
    def forward(self, images):
        # In a training, unlike in the check before it, the images are many.
        if len(images) > 2 and self.training:
            raise RuntimeError("broken")
        return super().forward(images)

class Stopped(Dense):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        if Path("stop").exists() and [*Path().glob("runs/*/trials/stopped/*/seed-3")]:
            raise KeyboardInterrupt

class Counting(Tracker):
    def on_run_start(self, run):
        with open("calls.txt", "a") as calls:
            calls.write(f"start {len(run.variants[0].seeds)}\\n")

    def on_run_end(self, run):
        with open("calls.txt", "a") as calls:
            calls.write(f"end {len(run.variants[0].seeds)}\\n")

@hookimpl
def benchmark_models():
    yield ModelEntry("seeing", Dense, "learns")
    yield ModelEntry("twin", Dense, "learns likewise")
    yield ModelEntry("blind", Blind, "cannot learn")
    yield ModelEntry("broken", Broken, "cannot be trained")
    yield ModelEntry("stopped", Stopped, "is interrupted where a file says so")

@hookimpl
def benchmark_trackers():
    yield TrackerEntry("counting", lambda options: Counting(), "counts calls")
"""

CONFIG = """
name: looks
dataset: {name: synthetic, train_images: 200, test_images: 200, size: 8}
models: [seeing, blind]
recipe: {name: adam, learning_rate: 0.02}
epochs: 1
batch_size: 20
precision: fp32
device: cpu
"""


@pytest.fixture
def looks(tmp_path: Path) -> list[str]:
    """The arguments of a run of two models that differ, without seeds."""
    (tmp_path / "plugin.py").write_text(PLUGIN)
    (tmp_path / "looks.yaml").write_text(CONFIG)
    return ["run", "looks.yaml", "-p", "plugin.py"]


def only_run() -> Path:
    (folder,) = Path("runs").iterdir()
    return folder


def said(text: str) -> list[str]:
    """What was said of the looks."""
    return re.findall(r"^benchmark: (look .*)$", text, re.M)


def trained(text: str) -> list[tuple[str, int]]:
    """The trials of which an epoch was trained."""
    found = re.findall(r"^(\S+) seed (\d+)  epoch 1/1", text, re.M)
    return [(model, int(seed)) for model, seed in found]


def description() -> Any:
    return json.loads((only_run() / "run.json").read_text())


def test_seeds_are_added_until_the_leaders_differ(benchmark: CommandLine, looks: list[str]) -> None:
    result = benchmark(*looks, "--seeds", "until:7", "--tracker", "counting")
    assert result.code == 0
    first, last = said(result.err)
    assert re.fullmatch(
        r"look 1 of 3, 3 seeds each: seeing leads blind by \d+\.\d\d points, undecided; "
        r"2 more seeds each",
        first,
    )
    assert re.fullmatch(
        r"look 2 of 3, 5 seeds each: seeing leads blind by \d+\.\d\d points, they differ; "
        r"no more seeds are needed",
        last,
    )
    assert trained(result.err) == [
        (model, seed) for seed in range(5) for model in ("seeing", "blind")
    ]
    assert "5/5 ok" in result.out
    # As sure as three looks have to be.
    assert re.search(r"^seeing is best: .* \(98\.33 % interval", result.out, re.M)
    assert description()["config"]["seeds"] == {"until": 7, "resolve": None}
    assert {len(variant["seeds"]) for variant in description()["variants"]} == {5}
    # One run for whoever looks on, with all of its seeds at the end.
    assert Path("calls.txt").read_text() == "start 3\nend 5\n"

    # Again, by its config and by its folder: the same decisions, and nothing is trained.
    for arguments in ([*looks, "--seeds", "until:7"], ["run", str(only_run())]):
        again = benchmark(*arguments)
        assert (said(again.err), trained(again.err)) == (said(result.err), [])
        assert again.out == result.out

    # More seeds that another command leaves do not count, and are not shown.
    benchmark(*looks, "--seeds", "7")
    again = benchmark(*looks, "--seeds", "until:7")
    assert (said(again.err), trained(again.err)) == (said(result.err), [])
    assert again.out == result.out
    assert "had looks" not in again.err


def test_what_was_seen_at_looks_is_not_forgotten(benchmark: CommandLine, looks: list[str]) -> None:
    assert "had looks" not in benchmark(*looks, "--seeds", "until:5").err
    assert description()["looks"] == [3, 5]
    # A number is one more look, at which every statement has to be sure.
    result = benchmark(*looks, "--seeds", "2")
    assert (
        "this run had looks after 3, 5 seeds each, and with this command after 2, 3, 5; what was "
        "seen may have led to that, so each now has to be 98.33 % sure"
    ) in result.err
    assert re.search(r"\(98\.33 %\sinterval", result.out)
    table = benchmark("table", str(only_run())).out
    assert re.search(r"\(98\.33 %\sinterval", table)
    # So is another end.
    benchmark(*looks, "--seeds", "until:7")
    assert description()["looks"] == [2, 3, 5, 7]
    assert re.search(r"\(98\.75 %\sinterval", benchmark("table", str(only_run())).out)


def test_seeds_are_added_until_the_leaders_agree(benchmark: CommandLine, looks: list[str]) -> None:
    twins = [*looks, "-m", "seeing", "-m", "twin", "--seeds", "until:5"]
    (line,) = said(benchmark(*twins, "--set", "seeds.resolve=60").err)
    assert line == (
        "look 1 of 2, 3 seeds each: seeing and twin are level, they agree within 60 points; "
        "no more seeds are needed"
    )
    # The run's own margin stays where the command line gives another end.
    (line,) = said(benchmark("run", str(only_run()), "--seeds", "until:7").err)
    assert line.startswith("look 1 of 3, 3 seeds each: seeing and twin are level, they agree with")


def test_an_interrupted_run_makes_the_same_decisions_in_the_end(
    benchmark: CommandLine, looks: list[str]
) -> None:
    arguments = [*looks, "-m", "stopped", "-m", "twin", "--seeds", "until:5"]
    Path("stop").touch()
    result = benchmark(*arguments)
    assert result.code == 130
    first = "look 1 of 2, 3 seeds each: stopped and twin are level, undecided; 2 more seeds each"
    assert said(result.err) == [first]
    assert "4 of 10 trials are not finished yet: the same command continues" in result.err
    Path("stop").unlink()
    again = benchmark(*arguments)
    assert again.code == 0
    last = (
        "look 2 of 2, 5 seeds each: stopped and twin are level, undecided; "
        "stopping at 5 seeds each, as planned"
    )
    assert said(again.err) == [first, last]
    assert {seed for _, seed in trained(again.err)} == {3, 4}
    fresh = benchmark(*arguments, "--fresh")
    assert said(fresh.err) == [first, last]
    # Each once, though there are two looks.
    assert trained(fresh.err) == [
        (model, seed) for seed in range(5) for model in ("stopped", "twin")
    ]


def test_a_model_without_two_completed_seeds_cannot_be_compared(
    benchmark: CommandLine, looks: list[str]
) -> None:
    arguments = [*looks, "-m", "seeing", "-m", "broken", "--seeds", "until:5"]
    result = benchmark(*arguments)
    assert result.code == 1
    refusal = "broken cannot be compared (0 completed, and 2 seeds are needed)"
    assert said(result.err) == [
        f"look 1 of 2, 3 seeds each: {refusal}; 2 more seeds each",
        f"look 2 of 2, 5 seeds each: {refusal}; stopping at 5 seeds each, as planned",
    ]
    # Each is tried once again, and not again at the next look.
    retried = benchmark(*arguments, "--retry-failed")
    assert len(re.findall(r"broken, seed \d: failed", retried.err)) == 5


def test_python_adds_seeds_likewise(looks: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    found = run(looks[1], plugins=["plugin.py"], seeds={"until": 2, "resolve": 0.5}, control=True)
    assert [variant.seeds for variant in found.variants] == [(0, 1), (0, 1), (10_000, 10_001)]
    assert [record.seed for record in found.records] == [0, 1, 0, 1, 10_000, 10_001]
    (line,) = said(capsys.readouterr().err)
    assert line.startswith("look 1 of 1, 2 seeds each: ")
    assert "control" not in line
    with pytest.raises(
        BenchmarkError, match=r"^seeds\.until: compares models, and there is only one"
    ):
        run(looks[1], plugins=["plugin.py"], seeds={"until": 2}, models=["seeing"])


def test_a_control_shares_no_seed_and_no_name_with_anything_in_its_run(
    benchmark: CommandLine, looks: list[str]
) -> None:
    benchmark(*looks, "-m", "blind", "--seeds", "10001,3")
    refused = only_error(benchmark(*looks, "--seeds", "2", "--control"))
    assert refused.endswith(
        "seeing-control is to have seeds that nothing else in the run has, and blind has 10001, "
        "too; give other seeds, or another --out"
    )
    assert benchmark(*looks, "--seeds", "1", "--control", "--out", "elsewhere").code == 0
    # The end of all looks is what counts, before anything is trained.
    assert "blind has 10001" in only_error(benchmark(*looks, "--seeds", "until:9", "--control"))

    result = benchmark(*looks, "--seeds", "2,7", "--control")
    assert result.code == 0
    assert re.search(
        r"^control: seeing against itself, with other seeds, differs by -?\d+\.\d\d points \(",
        result.out,
        re.M,
    )
    names = ("seeing", "blind", "seeing-control")
    assert [model for model, _ in trained(result.err)] == [*names, *names]
    variants = {variant["model"]: variant for variant in description()["variants"]}
    model, control = variants["seeing"], variants["seeing-control"]
    assert (model["control_of"], control["control_of"]) == (None, "seeing")
    assert control["seeds"] == [10_002, 10_007]
    for key in ("entry", "options", "identity", "origin"):
        assert control[key] == model[key]
    assert "6 of 6 trials completed earlier, 0 to train" in benchmark("run", str(only_run())).err

    refused = only_error(benchmark(*looks, "-m", "seeing", "--seeds", "10007,10008"))
    assert "seeing has 10007, too" in refused
    named = "[{name: twin, label: seeing-control}]"
    refused = only_error(benchmark(*looks, "--seeds", "2", "--set", f"models={named}"))
    assert "has a model seeing-control and a control of that name" in refused


# Before a look, at it, and after it.
MOMENTS = [r"seeing seed 2  epoch 1/1", r"look 1 of 2", r"(seeing|twin) seed 3  epoch 1/1"]


@pytest.mark.parametrize("moment", sampled("moments of looks", MOMENTS, 1))
def test_a_run_that_is_killed_makes_the_same_decisions_in_the_end(
    benchmark: CommandLine, looks: list[str], moment: str
) -> None:
    arguments = [*looks, "-m", "seeing", "-m", "twin", "--seeds", "until:5", "--executor", "inline"]
    undisturbed = benchmark(*arguments, "--out", "undisturbed")
    process = start(*arguments)
    assert process.stderr is not None
    assert any(re.search(moment, line) for line in process.stderr)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    after = benchmark(*arguments)
    assert after.code == 0
    assert said(after.err) == said(undisturbed.err)
    assert description()["looks"] == [3, 5]
    shown = [
        json.loads(benchmark("table", str(folder), "--format", "json").out)
        for folder in (only_run(), *Path("undisturbed").iterdir())
    ]
    for row in (row for table in shown for row in table):
        # These two are never the same twice.
        del row["epoch_seconds"], row["peak_memory_bytes"]
    assert shown[0] == shown[1]
