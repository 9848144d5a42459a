"""Edit, run again: every figure is of the code that it stands for, and none is lost."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from benchmark.catalog.shelves import load_catalog
from benchmark.records import EpochRecord
from benchmark.specs import TrialKey
from benchmark.store.directory import RunDirectory
from tests.conftest import CommandLine, Result, only_error
from tests.support import sampling

MODEL = """
from torch import nn
from benchmark import ModelEntry, hookimpl

def build(input_shape, num_classes):
    pixels = input_shape[0] * input_shape[1] * input_shape[2]
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, {width}), nn.Linear({width}, num_classes))

@hookimpl
def benchmark_models():
    yield ModelEntry("{name}", build)
"""
RECIPE = """
from torch import optim
from torch.nn import functional
from benchmark import Optimization, RecipeEntry, hookimpl

def configure(model, plan):
    optimizer = optim.SGD(model.parameters(), lr={rate})
    return Optimization(optimizer, [1.0] * plan.total_steps, functional.cross_entropy)

@hookimpl
def benchmark_recipes():
    yield RecipeEntry("slope", configure)
"""
CONFIG = """
name: edited
dataset: {name: synthetic, train_images: 64, test_images: 50, size: 8}
models: [one, two]
recipe: slope
epochs: 2
batch_size: 32
precision: fp32
device: cpu
"""
WIDTHS = (3, 5, 8)
RATES = (0.1, 0.02)
ARGUMENTS = ("run", "edited.yaml", "-p", "one.py", "-p", "two.py", "-p", "slope.py")
COMPARED = ("model", "params", "macs", "test_accuracy", "status", "seeds", "identity")


def write_code(one: int = 0, two: int = 0, slope: int = 0, comment: str = "") -> None:
    """Write the plugins as they are in some state each."""
    Path("edited.yaml").write_text(CONFIG)
    note = f"# {comment}\n" if comment else ""
    for name, state in {"one": one, "two": two}.items():
        Path(f"{name}.py").write_text(note + MODEL.format(name=name, width=WIDTHS[state]))
    Path("slope.py").write_text(note + RECIPE.format(rate=RATES[slope]))
    load_catalog.cache_clear()


def rows(result: Result) -> list[dict[str, Any]]:
    return [{name: row[name] for name in COMPARED} for row in json.loads(result.out)]


def line(result: Result, part: str) -> str:
    (found,) = [line for line in result.err.splitlines() if part in line]
    return found


def records() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path("runs").rglob("trial.json")}


@pytest.fixture
def edited(benchmark: CommandLine) -> CommandLine:
    """A command that trains the model ``one``, with one seed unless more are asked for."""
    write_code()

    def run(*arguments: str) -> Result:
        return benchmark(*ARGUMENTS, "-m", "one", "--seeds", "1", "--format", "json", *arguments)

    return run


def test_edited_code_is_trained_and_its_row_has_its_figures(edited: CommandLine) -> None:
    first = rows(edited())
    write_code(one=1)
    result = edited()
    (row,) = rows(result)
    assert row["params"] != first[0]["params"]
    assert (row["seeds"], row["status"]) == ([0], "completed")
    assert row["identity"] != first[0]["identity"]
    assert "there are records of other versions of one (1)" in result.err


def test_one_more_seed_is_never_averaged_with_another_network(edited: CommandLine) -> None:
    edited("--seeds", "2")
    write_code(one=1)
    (row,) = rows(edited("--seeds", "3"))
    assert row["seeds"] == [0, 1, 2]


def test_no_record_is_lost_and_an_undone_edit_trains_nothing(edited: CommandLine) -> None:
    first = edited("--seeds", "2")
    kept = records()
    write_code(one=1)
    edited("--seeds", "1")
    assert kept.items() <= records().items()
    write_code()
    again = edited("--seeds", "2")
    assert "2 of 2 trials completed earlier, 0 to train" in again.err
    assert again.out == first.out


def test_the_line_about_other_versions_names_a_command_that_shows_them(
    benchmark: CommandLine, edited: CommandLine
) -> None:
    before = rows(edited())
    write_code(one=1)
    result = edited()
    found = re.search(
        r"'benchmark (table \S+ --versions)' shows them", line(result, "other versions")
    )
    assert found is not None
    shown = rows(benchmark(*found[1].split(), "--format", "json"))
    present = rows(result)
    assert [row["model"] for row in shown] == [
        f"one@{row['identity'][:8]}" for row in (*before, *present)
    ]
    assert [row["test_accuracy"] for row in shown] == [
        row["test_accuracy"] for row in (*before, *present)
    ]


def test_a_version_can_be_named_by_the_first_digits_of_its_identity(
    benchmark: CommandLine, edited: CommandLine
) -> None:
    (before,) = rows(edited())
    write_code(one=1)
    (present,) = rows(edited())
    (run,) = Path("runs").iterdir()
    table = ("table", str(run), "--format", "json")
    (shown,) = rows(benchmark(*table, "-m", f"one@{before['identity'][:4]}"))
    assert shown == {**before, "model": f"one@{before['identity'][:8]}"}
    both = rows(benchmark(*table, "-m", "one", "-m", f"one@{before['identity']}"))
    assert [row["params"] for row in both] == [present["params"], before["params"]]
    unknown = only_error(benchmark(*table, "-m", "one@0"))
    assert "0 is no version of it" in unknown or before["identity"].startswith("0")
    assert "did you mean 'one'" in only_error(benchmark(*table, "-m", "onee"))


def test_a_version_that_is_named_twice_is_one_row(
    benchmark: CommandLine, edited: CommandLine
) -> None:
    (present,) = rows(edited())
    (run,) = Path("runs").iterdir()
    named = ("-m", f"one@{present['identity'][:4]}", "-m", "one", "-m", "on*")
    (shown,) = rows(benchmark("table", str(run), *named, "--format", "json"))
    assert shown == {**present, "model": f"one@{present['identity'][:8]}"}


def test_a_run_insists_on_a_version(benchmark: CommandLine, edited: CommandLine) -> None:
    (before,) = rows(edited())
    write_code(one=1)
    wanted = ("-m", f"one@{before['identity'][:6]}")
    refused = benchmark(*ARGUMENTS, *wanted, "--seeds", "1")
    assert refused.code == 2
    assert f"the code of one is {rows(edited())[0]['identity']} now" in refused.err
    write_code()
    assert benchmark(*ARGUMENTS, *wanted, "--seeds", "1").code == 0


def test_a_table_says_that_the_code_has_changed_since(
    benchmark: CommandLine, edited: CommandLine
) -> None:
    (before,) = rows(edited())
    write_code(one=1)
    (run,) = Path("runs").iterdir()
    plugins = ("-p", "one.py")
    result = benchmark("table", str(run), "--format", "json", *plugins)
    assert rows(result) == [before]
    found = re.search(
        r"the code of one has changed since; 'benchmark (run \S+)' trains", result.err
    )
    assert found is not None
    (after,) = rows(benchmark(*found[1].split(), *ARGUMENTS[2:], "--format", "json"))
    assert after["identity"] != before["identity"]
    assert "has changed" not in benchmark("table", str(run), *plugins).err


def test_comments_docstrings_and_layout_train_nothing_again(edited: CommandLine) -> None:
    first = edited()
    for before, after in [
        ("def build", "# A comment.\ndef build"),
        ("num_classes):\n", 'num_classes):\n    """A docstring."""\n'),
        ("nn.Flatten(), ", "nn.Flatten(),\n        "),
    ]:
        text = Path("one.py").read_text()
        assert before in text
        Path("one.py").write_text(text.replace(before, after))
        load_catalog.cache_clear()
        again = edited()
        assert "1 of 1 trials completed earlier, 0 to train" in again.err
        assert again.out == first.out


def test_an_edited_recipe_is_another_run(edited: CommandLine) -> None:
    (before,) = rows(edited())
    (first,) = Path("runs").iterdir()
    write_code(slope=1)
    result = edited()
    (after,) = rows(result)
    assert (
        f"benchmark: the code of recipe slope has changed since {first}, which is kept; "
        "this is another run, in runs/"
    ) in result.err
    assert "the code of recipe" not in edited().err
    assert len([*Path("runs").iterdir()]) == 2
    assert before["identity"] == after["identity"]
    write_code()
    assert "0 to train" in edited().err


def test_an_edited_data_set_is_another_run_with_other_images(
    benchmark: CommandLine, tmp_path: Path
) -> None:
    write_code()
    text = """
import numpy
from benchmark import DatasetEntry, Images, ImageSplits, hookimpl

def load(data_directory, options):
    pixels = numpy.full((40, 3, 8, 8), SHADE, numpy.uint8)
    images = Images(pixels, numpy.arange(40) % 2)
    return ImageSplits(images, images, ("even", "odd"))

@hookimpl
def benchmark_datasets():
    yield DatasetEntry("shades", load, identify=lambda directory, options: "always the same")
"""
    arguments = (*ARGUMENTS, "-p", "shades.py", "-d", "shades", "-m", "one", "--seeds", "1")
    for shade in ("10", "200"):
        Path("shades.py").write_text(text.replace("SHADE", shade))
        load_catalog.cache_clear()
        assert benchmark(*arguments).code == 0
    fingerprints = {json.loads(content)["dataset"]["fingerprint"] for content in records().values()}
    assert len(fingerprints) == len([*Path("runs").iterdir()]) == 2


def test_data_files_and_versions_that_an_author_gives_count(benchmark: CommandLine) -> None:
    write_code()
    Path("taps.txt").write_text("1 2 3")
    text = Path("one.py").read_text()

    def identity(entry: str) -> str:
        Path("one.py").write_text(text.replace('ModelEntry("one", build)', entry))
        load_catalog.cache_clear()
        result = benchmark(*ARGUMENTS, "-m", "one", "--seeds", "1", "--format", "json")
        return str(json.loads(result.out)[0]["identity"])

    with_file = 'ModelEntry("one", build, files=("taps.txt",))'
    before = identity(with_file)
    Path("taps.txt").write_text("1 2 4")
    assert identity(with_file) != before
    by_hand = 'ModelEntry("one", build, version="1")'
    first = identity(by_hand)
    text = text.replace("nn.Flatten()", "nn.Flatten(), nn.Identity()")
    assert identity(by_hand) == first
    assert identity('ModelEntry("one", build, version="2")') != first


def test_a_data_file_that_is_missing_is_named(benchmark: CommandLine) -> None:
    write_code()
    text = Path("one.py").read_text()
    Path("one.py").write_text(text.replace("build)", 'build, files=("missing.bin",))'))
    load_catalog.cache_clear()
    error = only_error(benchmark(*ARGUMENTS, "-m", "one"))
    assert "model 'one' of one" in error
    assert "missing.bin cannot be read: No such file or directory" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("version=2", "the version of 'one' should be a text, not 2"),
        ('files="taps.txt"', "the files of 'one' should be a tuple of names"),
    ],
)
def test_an_entry_that_cannot_be_meant_so_costs_its_plugin(
    benchmark: CommandLine, arguments: str, message: str
) -> None:
    write_code()
    text = Path("one.py").read_text()
    Path("one.py").write_text(text.replace("build)", f"build, {arguments})"))
    load_catalog.cache_clear()
    assert message in benchmark("list", "-p", "one.py").err


# What happens to the code and to the run, one thing after another.
STATES = st.tuples(
    st.integers(0, len(WIDTHS) - 1), st.integers(0, len(WIDTHS) - 1), st.integers(0, len(RATES) - 1)
)
MODELS = st.sampled_from([("one",), ("two",), ("one", "two")])
SEEDS = st.sampled_from(["0", "1", "0,1", "1,2"])
STEPS = st.lists(
    st.fixed_dictionaries(
        {
            "code": STATES,
            "comment": st.sampled_from(["", "edited"]),
            "models": MODELS,
            "seeds": SEEDS,
            "killed_in": st.one_of(st.none(), st.integers(1, 5)),
        }
    ),
    min_size=2,
    max_size=6,
)


@dataclass
class World:
    """A folder of runs with a history, and what fresh folders would have shown instead."""

    benchmark: CommandLine
    expected: dict[Any, list[dict[str, Any]]] = field(default_factory=dict)

    def run(self, step: Mapping[str, Any], *arguments: str) -> Result:
        models = [word for model in step["models"] for word in ("-m", model)]
        return self.benchmark(
            *ARGUMENTS, *models, "--set", f"seeds=[{step['seeds']}]", "--format", "json", *arguments
        )

    def fresh(self, step: Mapping[str, Any], number: Iterator[int]) -> list[dict[str, Any]]:
        key = (step["code"], step["models"], step["seeds"])
        if key not in self.expected:
            result = self.run(step, "--out", f"fresh-{next(number)}")
            self.expected[key] = rows(result)
        return self.expected[key]


@contextmanager
def killed(after_epochs: int | None) -> Iterator[None]:
    """End a run after so many epochs of all its trials, as a kill would: without a record."""
    if after_epochs is None:
        yield
        return
    left = after_epochs
    append = RunDirectory.append_epoch

    def append_and_end(self: RunDirectory, key: TrialKey, epoch: EpochRecord) -> None:
        nonlocal left
        append(self, key, epoch)
        left -= 1
        if not left:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunDirectory, "append_epoch", append_and_end)
        yield
    for path, content in records().items():
        if json.loads(content)["status"] == "interrupted":
            path.unlink()


@settings(max_examples=sampling.examples(30), suppress_health_check=[*HealthCheck], deadline=None)
@given(steps=STEPS)
def test_whatever_came_before_a_table_shows_what_a_fresh_directory_would(
    steps: Sequence[Mapping[str, Any]], world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("world")
    numbers = functools.partial(next, iter(range(10_000)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        completed: dict[Path, bytes] = {}
        for step in steps:
            one, two, slope = step["code"]
            write_code(one, two, slope, step["comment"])
            with killed(step["killed_in"]):
                world.run(step)
            # What is cut off here is finished by the same command.
            result = world.run(step)
            assert result.code == 0
            assert rows(result) == world.fresh(step, iter(numbers, None))
            found = records()
            assert completed.items() <= found.items()
            completed = found


@pytest.fixture
def world(benchmark: CommandLine) -> World:
    return World(benchmark)
