"""The plugins that a config selects, and that a run keeps."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import benchmark as face
from benchmark.store import RunDirectory
from tests.conftest import CommandLine, only_error
from tests.support.sample_plugins import plugin, write
from tests.support.tiny import CONFIG

COLUMN = """
from benchmark import Column, hookimpl

@hookimpl
def benchmark_columns():
    yield Column("answer", "answer", lambda summary: 42, None, lambda summary: "42")
"""
SHORT = CONFIG.replace("epochs: 2", "epochs: 1").replace("seeds: 2", "seeds: 1")
FILES = {
    "configs/mine.yaml": SHORT.replace("[tiny, twin]", "[mine]")
    + "plugins: [../models/mine.py, extra.answers, no:baseline_cnn]\n",
    "models/mine.py": plugin("from parts import NAME", "NAME"),
    "models/parts.py": "NAME = 'mine'",
    "configs/extra/answers.py": COLUMN,
}


@pytest.fixture(autouse=True)
def _files(tmp_path: Path) -> None:
    write(FILES)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Another current folder; returns that of the files."""
    (tmp_path / "elsewhere").mkdir()
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path / "elsewhere")
        yield tmp_path


def only_run() -> Path:
    (run,) = Path("runs").iterdir()
    return run


def test_a_run_has_the_plugins_of_its_config_and_keeps_them(
    benchmark: CommandLine, elsewhere: Path
) -> None:
    """So nothing that is done with its directory needs ``-p``."""
    write({"more.py": plugin(name="more")})
    done = benchmark("run", "../configs/mine.yaml", "-p", "more.py", "-m", "more", "-m", "mine")
    assert done.code == 0, done.err
    run = only_run()
    assert json.loads((run / "run.json").read_text())["config"]["plugins"] == [
        str(elsewhere / "elsewhere" / "more.py"),
        str(elsewhere / "models" / "mine.py"),
        str(elsewhere / "configs" / "extra.answers"),
        "no:baseline_cnn",
    ]
    table = benchmark("table", str(run), "--columns", "model,answer")
    assert (table.code, table.err) == (0, "")
    rows = [line.split() for line in table.out.splitlines()]
    assert [row for row in rows if row[-1:] == ["42"]] == [["more", "42"], ["mine", "42"]]
    again = benchmark("run", str(run))
    assert (again.code, again.out) == (0, done.out)
    assert "epoch 1/1" not in again.err
    assert only_run() == run
    refused = benchmark("run", str(run), "-m", "baseline_cnn")
    assert "unknown model 'baseline_cnn'" in only_error(refused)
    other = benchmark("run", str(run), "-m", "mine", "--epochs", "2", "--out", "other")
    assert (other.code, len([*Path("other").iterdir()])) == (0, 1)


def test_in_python(elsewhere: Path) -> None:
    run = face.run("../configs/mine.yaml")
    assert [record.status for record in run.records] == ["completed"]
    assert "42" in str(face.open_run(run.path).table(columns=["model", "answer"]))
    again = face.run(str(run.path), epochs=1)
    assert again.path.samefile(run.path)
    mapping = {"models": ["mine"], "dataset": "synthetic", "plugins": ["models/mine.py"]}
    with pytest.raises(face.BenchmarkError, match=r"^plugins\[0\]: models/mine.py: no such file$"):
        face.run(mapping)


@pytest.mark.parametrize(
    ("plugins", "faults"),
    [
        ("[missing.py]", ["1:11: plugins[0]: missing.py: no such file"]),
        (
            "mine.py",
            ["1:1: plugins: should be a list of modules, files and no:NAME, got 'mine.py'"],
        ),
        ("[7]", ["1:11: plugins[0]: should be a module, a file or no:NAME, got 7"]),
        (
            "[no:adm, ../models/mine.py, '~who is it/a.py', no:mine, '']",
            [
                "1:38: plugins[2]: ~who is it/a.py: there is no such user",
                "1:66: plugins[4]: '': no module of that name can be imported",
                "1:11: plugins[0]: no:adm: no such plugin - did you mean 'adam'?",
            ],
        ),
        (
            "[../models, extra.mising, ./extra.mising]",
            [
                "1:11: plugins[0]: ../models: a folder; give a module's name, or a file that ",
                "1:22: plugins[1]: extra.mising: no module of that name can be imported; write ",
                "1:36: plugins[2]: ./extra.mising: no such file",
            ],
        ),
    ],
)
def test_every_fault_keeps_its_place(
    benchmark: CommandLine, plugins: str, faults: list[str]
) -> None:
    write({"configs/faulty.yaml": f"plugins: {plugins}\n{SHORT}"})
    refused = benchmark("run", "configs/faulty.yaml")
    assert (refused.code, refused.out) == (2, "")
    lines = refused.err.splitlines()
    assert len(lines) == len(faults)
    for line, fault in zip(lines, faults, strict=True):
        assert line.startswith(f"benchmark: error: configs/faulty.yaml:{fault}")
    assert not Path("runs").exists()


def test_a_file_on_the_command_line_is_looked_for_in_the_current_folder(
    benchmark: CommandLine, elsewhere: Path
) -> None:
    chosen = ["--set", "plugins=[../models/mine.py]", "--set", "plugins=[models/mine.py]"]
    refused = only_error(benchmark("run", "../configs/mine.yaml", *chosen))
    assert refused == "benchmark: error: --set plugins: models/mine.py: no such file"
    assert benchmark("run", "../configs/mine.yaml", *chosen[:2]).code == 0


def test_a_plugin_that_is_gone_costs_the_table_a_line(
    benchmark: CommandLine, elsewhere: Path
) -> None:
    done = benchmark("run", "../configs/mine.yaml")
    run, model = only_run(), elsewhere / "models" / "mine.py"
    shutil.rmtree(model.parent)
    table = benchmark("table", str(run))
    assert (table.code, table.out) == (0, done.out)
    assert table.err == f"benchmark: the run's plugin {model} is left out: no such file\n"
    refused = only_error(benchmark("run", str(run)))
    assert refused == f"benchmark: error: {run}/run.json: plugins[0]: {model}: no such file"


def test_the_table_runs_nothing_that_lies_in_the_run_s_own_directory(
    benchmark: CommandLine, elsewhere: Path
) -> None:
    """As a stranger's may."""
    benchmark("run", "../configs/mine.yaml")
    run = only_run()
    traps = [run.absolute() / "trap.py", run.absolute() / "trials" / "trap.module"]
    write({str(run / "trap.py"): "open('/dev/stdout', 'w').write('caught')"})
    write({str(run / "trials" / "trap" / "module.py"): "import sys; sys.exit('caught')"})
    directory = RunDirectory(run)
    description = directory.read_description()
    config = description.config.model_copy(update={"plugins": tuple(map(str, traps))})
    directory.write_description(description.model_copy(update={"config": config}))
    table = benchmark("table", str(run))
    why = "it lies in the run's own directory; give it with -p if you trust it"
    assert (table.code, table.err.splitlines()) == (
        0,
        [f"benchmark: the run's plugin {trap} is left out: {why}" for trap in traps],
    )
    trusted = benchmark("table", str(run), "-p", str(run / "trials" / "trap.module"))
    assert "plugin trap.module (no distribution) is left out: SystemExit: caught" in trusted.err
