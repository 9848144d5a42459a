"""benchmark.run does what the command line does, for a script and for a notebook."""

from __future__ import annotations

import configparser
import gc
import inspect
import json
import subprocess
import sys
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest

import benchmark
from benchmark import TrialRecord, api
from benchmark.cli.run import command
from benchmark.config.variants import ChosenModel
from benchmark.report.formats import FORMATS
from benchmark.runner import Outcome
from tests.conftest import CommandLine
from tests.support.tiny import CONFIG, PLUGIN, write_tiny_run
from tests.support.trial_files import figures

ROOT = Path(__file__).parents[2]
TINY = {
    "dataset": {"name": "synthetic", "train_images": 64, "test_images": 20, "size": 8},
    "models": ["tiny", "twin"],
    "epochs": 2,
    "batch_size": 16,
    "precision": "fp32",
    "device": "cpu",
}


TWIN = ChosenModel(name="twin", options={}, label="twin")


def keys(records: Iterable[TrialRecord]) -> list[tuple[str, int]]:
    return [(record.model, record.seed) for record in records]


def run_tiny(**changed: Any) -> benchmark.Run:
    Path("tiny.py").write_text(PLUGIN)
    return benchmark.run(TINY, **{"plugins": ["tiny.py"], "name": "tiny", **changed})


# The run that comes back


def test_python_and_the_command_line_give_the_same_run(benchmark: CommandLine) -> None:
    arguments = write_tiny_run(Path())
    result = benchmark(*arguments)
    files = {file: file.read_bytes() for file in Path("runs").rglob("trial.json")}
    run = run_tiny(seeds=2)
    assert f"{run.table()}\n" == result.out
    assert {file: file.read_bytes() for file in Path("runs").rglob("trial.json")} == files
    assert len(files) == len(run.records) == 4
    other = run_tiny(seeds=2, out="others")
    assert other.path.name == run.path.name
    for ours, theirs in zip(run.records, other.records, strict=True):
        assert ours.key == theirs.key
        assert ours.params == theirs.params
        assert figures(json.loads(ours.model_dump_json())) == figures(
            json.loads(theirs.model_dump_json())
        )


def test_the_table_is_what_the_command_line_prints(benchmark: CommandLine) -> None:
    run = run_tiny()
    for layout in FORMATS:
        printed = benchmark(
            *("table", str(run.path), "--format", layout, "--columns", "params,model"),
            *("--sort", "params"),
        )
        assert f"{run.table(layout, ['params', 'model'], 'params')}\n" == printed.out


def test_a_table_has_rows_and_shows_itself() -> None:
    table = run_tiny().table(columns=["model", "params", "test_accuracy"])
    assert len(table) == len(table.rows) == 2
    assert [row["model"] for row in table.rows] == ["tiny", "twin"]
    assert table.rows[0]["params"] == 3 * 8 * 8 * 10 + 10
    assert repr(table) == str(table)
    assert "<table>" in table._repr_html_()


def test_no_control_character_leaves_a_table() -> None:
    table = run_tiny(note="clear\x1b[2J the screen").table()
    assert "clear\\u001b[2J the screen" in str(table)
    assert "\x1b" not in str(table) + table._repr_html_()


NO_TABLES: list[tuple[dict[str, Any], str]] = [
    ({"columns": ["parms"]}, "unknown column 'parms' - did you mean 'params'?"),
    ({"sort": "parms"}, "unknown column 'parms' - did you mean 'params'?"),
    ({"columns": "params"}, "columns: should be a list of names, got 'params'"),
    ({"columns": []}, "columns: should name at least one"),
    ({"columns": ["params", "params"]}, "columns: names 'params' twice"),
    ({"format": "jsn"}, "no such format 'jsn' - did you mean 'json'?"),
]


def test_a_table_that_there_is_not_is_refused() -> None:
    run = run_tiny(models=["tiny"], epochs=1)
    for arguments, message in NO_TABLES:
        with pytest.raises(benchmark.BenchmarkError) as refused:
            run.table(**arguments)
        assert str(refused.value) == message


def test_records_are_a_sequence_that_holds_none_of_them() -> None:
    records = run_tiny(seeds=3, epochs=1).records
    found = keys(records)
    assert found == [(model, seed) for model in ("tiny", "twin") for seed in range(3)]
    assert len(records) == 6
    assert keys([records[0], records[-1]]) == [found[0], found[-1]]
    assert keys(records[1:5:2]) == found[1:5:2]
    assert len(records[::-1]) == 6
    assert keys(records[::-1]) == found[::-1]
    with pytest.raises(IndexError):
        records[6]
    held = [weakref.ref(record) for record in records]
    gc.collect()
    assert [reference() for reference in held[:-1]] == [None] * 5


def test_a_run_has_the_trials_that_it_was_called_for_and_an_opened_one_has_all() -> None:
    run_tiny(seeds=2)
    narrow = run_tiny(models=["twin"], seeds=1)
    assert keys(narrow.records) == [("twin", 0)]
    assert len(narrow.table()) == 1
    whole = benchmark.open_run(narrow.path)
    assert len(whole.records) == 4
    assert len(whole.table()) == 2


def test_a_damaged_record_is_said_and_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    run = run_tiny()
    file = next(run.path.glob("trials/tiny/**/trial.json"))
    file.write_text("{")
    capsys.readouterr()
    opened = benchmark.open_run(run.path)
    assert keys(opened.records[:]) == [("twin", 0)]
    assert f"{file} is left out: " in capsys.readouterr().err


def test_a_record_that_has_gone_since_is_an_error_that_names_it() -> None:
    records = run_tiny().records
    assert len(records) == 2
    (file,) = Path("runs").glob("*/trials/tiny/**/trial.json")
    file.unlink()
    with pytest.raises(benchmark.StoreError, match="the record of tiny, seed 0 is no longer there"):
        records[0]


def test_a_folder_without_a_run_is_refused() -> None:
    with pytest.raises(benchmark.StoreError, match="nowhere: no such folder"):
        benchmark.open_run("nowhere")


# Arguments


def test_every_flag_of_the_command_line_is_a_keyword_or_a_key() -> None:
    keywords = set(inspect.signature(benchmark.run).parameters) - {"config", "config_keys"}
    on_the_page = set()
    for line in (ROOT / "docs" / "python.md").read_text("utf-8").splitlines():
        if line.startswith("| `"):
            keyword, flag = (cell.strip(" `") for cell in line.split("|")[1:3])
            on_the_page.add(keyword)
            assert flag == "-p" or any(flag in option.opts for option in command.params), flag
    assert on_the_page == keywords


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"seeds": numpy.int64(2)}, {"seeds": (0, 1)}),
        ({"seeds": range(1, 3)}, {"seeds": (1, 2)}),
        ({"seeds": (3, 1)}, {"seeds": (3, 1)}),
        ({"seeds": numpy.arange(2)}, {"seeds": (0, 1)}),
        ({"models": ("twin",)}, {"models": (TWIN,)}),
        ({"device": numpy.str_("cpu")}, {"device": "cpu"}),
        ({"note": Path("a/b")}, {"note": "a/b"}),
        ({"compile": numpy.bool_(False)}, {"compile": False}),
    ],
)
def test_what_is_plainly_meant_is_taken(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], meant: dict[str, Any]
) -> None:
    # The config is all that is looked at.
    monkeypatch.setattr(api, "carry_out", lambda *arguments: Outcome({}, False))
    run = run_tiny(**{"models": ["tiny"], "epochs": 1, **given})
    assert run.description is not None
    for key, value in meant.items():
        assert getattr(run.description.config, key) == value


def test_numbers_of_numpy_are_options_too() -> None:
    run = run_tiny(epochs=1, recipe={"name": "adam", "learning_rate": numpy.float64(0.25)})
    assert run.description is not None
    assert run.description.protocol.recipe.options == {"learning_rate": 0.25}


endless: dict[str, Any] = {}
endless["name"] = endless


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epoch": 2}, "epoch: unknown key - did you mean 'epochs'?"),
        ({"epochs": "2"}, "epochs: should be a valid integer, got '2'"),
        ({"epochs": None}, "epochs: should be a valid integer, got None"),
        ({"epochs": True}, "epochs: should be a valid integer, got True"),
        ({"models": {"tiny"}}, "models: should be a list: a set has no order"),
        ({"recipe": {"name": "adam", 3: 4}}, "recipe: a key should be text, got 3"),
        ({"note": open}, "note: should be plain data, got a value of type "),
        ({"note": b"x"}, "note: should be plain data, got a value of type bytes"),
        ({"note": "half \ud800"}, "note: a lone surrogate, which is not a character, in "),
        ({"seeds": 10**400}, "seeds: a number of more than 300 digits"),
        ({"dataset": endless}, "nested too deeply"),
        ({"recipe": {"name": "adam", "learning_rate": float("nan")}}, "recipe.learning_rate: "),
        ({"out": 3}, "out: should be a path, got a value of type int"),
        ({"out": ""}, "out: should be a folder, but is empty"),
        ({"data_dir": b"x"}, "data_dir: should be a path, got a value of type bytes"),
        ({"plugins": "tiny.py"}, "plugins: should be a list of modules' names and of files, got"),
        ({"plugins": [3]}, "plugins: should be modules' names and files, got a value of type int"),
        ({"config": 3}, "config: should be a path, a preset's name or a mapping, got a value of"),
        ({"config": "quikstart"}, "quikstart: no such file and no preset of that name - did you"),
        ({"config": Path("nowhere.yaml")}, "nowhere.yaml: cannot be read: No such file"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_line(given: dict[str, Any], message: str) -> None:
    Path("tiny.py").write_text(PLUGIN)
    with pytest.raises(benchmark.BenchmarkError) as refused:
        benchmark.run(**{"config": TINY, "plugins": ["tiny.py"], **given})
    assert message in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert not Path("runs").exists()


def test_a_keywords_fault_does_not_name_the_configs_file() -> None:
    Path("tiny.yaml").write_text(CONFIG)
    with pytest.raises(benchmark.BenchmarkError) as refused:
        benchmark.run("tiny.yaml", epochs=0)
    faults = str(refused.value).splitlines()
    assert "epochs: should be greater than or equal to 1, got 0" in faults
    assert "tiny.yaml:4:10: models[0]: unknown model 'tiny'" in str(refused.value)


# What goes wrong


def test_a_trial_that_fails_raises_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.py").write_text(
        "from benchmark import ModelEntry, hookimpl\n\n"
        "def build(input_shape, num_classes):\n    raise ValueError('no luck')\n\n"
        "@hookimpl\ndef benchmark_models():\n    yield ModelEntry('broken', build)\n"
    )
    run = run_tiny(models=["broken", "tiny"], plugins=["tiny.py", Path("broken.py")])
    broken, tiny = run.records
    assert (broken.status, tiny.status) == ("failed", "completed")
    assert broken.reason == "build raised ValueError: no luck"
    assert "broken, seed 0: failed: build raised ValueError" in capsys.readouterr().err


INTERRUPTED = """
from collections.abc import Iterable
from pathlib import Path

def interrupted(input_shape, num_classes):
    if Path("interrupt").exists():
        raise KeyboardInterrupt
    return build(input_shape, num_classes)

@hookimpl
def benchmark_models():
    yield ModelEntry("first", build)
    yield ModelEntry("last", interrupted)
"""


def test_an_interruption_is_raised_and_finished_trials_are_kept(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("last.py").write_text(PLUGIN.partition("@hookimpl")[0] + INTERRUPTED)
    Path("interrupt").touch()
    choice = {"models": ["first", "last"], "plugins": ["last.py"]}
    with pytest.raises(KeyboardInterrupt):
        run_tiny(**choice)
    assert "1 of 2 trials are not finished yet" in capsys.readouterr().err
    Path("interrupt").unlink()
    run = run_tiny(**choice)
    assert [record.status for record in run.records] == ["completed", "completed"]
    assert "1 of 2 trials completed earlier, 1 to train" in capsys.readouterr().err


# Frames


def test_a_frame_has_a_row_for_each_epoch_of_each_trial() -> None:
    run = run_tiny(seeds=2)
    frame = run.to_pandas()
    assert len(frame) == 2 * 2 * 2
    assert frame.groupby(["model", "seed", "epoch"]).size().eq(1).all()
    last = frame[(frame.model == "twin") & (frame.seed == 1)].iloc[-1]
    record = next(record for record in run.records if keys([record]) == [("twin", 1)])
    assert last["epoch"] == 2
    assert last["test_accuracy"] == record.test_accuracy
    assert last["params"] == 1930
    assert frame["timed"].dtype == bool
    assert isinstance(frame, pandas.DataFrame)


def test_a_frame_has_the_options_of_a_grid() -> None:
    grid = [{"name": "separable_cnn", "each": {"width": [0.25, 0.5]}}, "tiny"]
    frame = run_tiny(models=grid, epochs=1).to_pandas()
    assert [*frame["option.width"].fillna(0)] == [0.25, 0.5, 0]
    assert [*frame["entry"]] == ["separable_cnn", "separable_cnn", "tiny"]
    assert frame["identity"].nunique() == 3


def test_without_pandas_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_tiny(models=["tiny"], epochs=1)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(benchmark.BenchmarkError) as refused:
        run.to_pandas()
    assert "pip install 'benchmark-models[pandas]'" in str(refused.value)
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    assert settings["metadata"]["name"] == "benchmark-models"
    assert "pandas>=" in settings["options.extras_require"]["pandas"]


# Scripts

SCRIPT = f"""
import asyncio, benchmark
print("begun")

async def main():
    config = {TINY!r} | {{"models": ["tiny"], "epochs": 1}}
    for _ in range(2):
        run = benchmark.run(config, plugins=["tiny.py"], executor="local")
    print(*(record.status for record in run.records))

asyncio.run(main())
"""


def test_a_script_needs_no_guard_and_may_have_an_event_loop(tmp_path: Path) -> None:
    Path("tiny.py").write_text(PLUGIN)
    Path("script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], capture_output=True, text=True, timeout=200, check=False
    )
    assert (done.returncode, done.stdout) == (0, "begun\ncompleted\n"), done.stderr
    assert "tiny seed 0  epoch 1/1" in done.stderr
    assert done.stderr.count("records are in runs/run-") == 2
