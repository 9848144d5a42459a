"""Models whose code is edited: what was trained before is neither averaged nor taken for done."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmark.analysis.summary import summarize
from benchmark.catalog.plugin import source_digest
from benchmark.catalog.shelves import load_catalog
from benchmark.records import ModelRecord, Origin, ParameterCount, TrialRecord
from benchmark_plugins.trackers.log import TrialLog
from tests.conftest import CommandLine, Result
from tests.support.made_records import failed_record, make_record
from tests.support.tiny import write_tiny_run
from tests.support.trial_files import trial_folder, trial_record

# A wider network in place of one dense layer.
WIDER = (
    "nn.Linear(channels * height * width, num_classes))",
    "nn.Linear(channels * height * width, 7), nn.Linear(7, num_classes))",
)
SMALL, LARGE = 1930, 1431

RECIPE = """
from torch import optim
from torch.nn import functional
from benchmark import Optimization, RecipeEntry, hookimpl

def configure(model, plan):
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    return Optimization(optimizer, [1.0] * plan.total_steps, functional.cross_entropy)

@hookimpl
def benchmark_recipes():
    yield RecipeEntry("mine", configure)
"""


@pytest.fixture
def tiny(tmp_path: Path) -> list[str]:
    """The arguments of a run of the model ``tiny`` alone, with one seed."""
    return [*write_tiny_run(tmp_path), "-m", "tiny", "--format", "json"]


def edit(file: str, before: str, after: str) -> None:
    text = Path(file).read_text()
    assert before in text
    Path(file).write_text(text.replace(before, after))
    load_catalog.cache_clear()


def edit_comment() -> None:
    edit("tiny.py", "def build", "# edited\n\ndef build")


def rows(result: Result) -> list[tuple[Any, ...]]:
    found = json.loads(result.out)
    return [(row["model"], row["params"], row["seeds"], row["status"]) for row in found]


def table(benchmark: CommandLine, written: str = "json") -> Result:
    (run,) = Path("runs").iterdir()
    return benchmark("table", str(run), "-p", "tiny.py", "--format", written)


def line(result: Result, part: str) -> str:
    (found,) = [line for line in result.err.splitlines() if part in line]
    return found


def test_what_other_code_trained_is_trained_again(benchmark: CommandLine, tiny: list[str]) -> None:
    assert rows(benchmark(*tiny, "--seeds", "1")) == [("tiny", SMALL, [0], "completed")]
    edit("tiny.py", *WIDER)
    result = benchmark(*tiny, "--seeds", "2")
    assert (result.code, rows(result)) == (0, [("tiny", LARGE, [0, 1], "completed")])
    assert re.fullmatch(
        r"benchmark: tiny, seed 0: trained by different code \(source \w{8}, now \w{8}\), so "
        r"trained again; each old record is kept until its new trial ends \(to keep it for good, "
        r"give another --out\)",
        line(result, "different code ("),
    )
    assert (
        "benchmark: 0 of 2 trials completed earlier, 2 to train "
        "(1 trained before by different code); --fresh trains all again"
    ) in result.err
    again = benchmark(*tiny, "--seeds", "2")
    assert "2 of 2 trials completed earlier, 0 to train" in again.err
    assert again.out == result.out


def test_another_out_keeps_what_other_code_trained(benchmark: CommandLine, tiny: list[str]) -> None:
    benchmark(*tiny, "--seeds", "1")
    before = trial_folder("tiny").joinpath("trial.json").read_bytes()
    edit_comment()
    assert "different code" not in benchmark(*tiny, "--seeds", "1", "--out", "other").err
    assert trial_folder("tiny").joinpath("trial.json").read_bytes() == before


def test_code_that_is_put_back_is_taken_for_done(benchmark: CommandLine, tiny: list[str]) -> None:
    benchmark(*tiny, "--seeds", "1")
    edit_comment()
    edit("tiny.py", "# edited\n\n", "")
    assert "1 of 1 trials completed earlier, 0 to train" in benchmark(*tiny, "--seeds", "1").err


def test_a_failure_of_other_code_is_no_result(benchmark: CommandLine, tiny: list[str]) -> None:
    edit("tiny.py", "    channels, height", "    raise ValueError('no')\n    channels, height")
    assert benchmark(*tiny, "--seeds", "1").code == 1
    edit("tiny.py", "    raise ValueError('no')\n", "")
    assert rows(benchmark(*tiny, "--seeds", "1")) == [("tiny", SMALL, [0], "completed")]


def test_what_another_version_of_a_recipe_trained_is_trained_again(
    benchmark: CommandLine, tiny: list[str]
) -> None:
    Path("mine.py").write_text(RECIPE)
    arguments = [*tiny, "-p", "mine.py", "-r", "mine"]
    benchmark(*arguments, "--seeds", "1")
    edit("mine.py", "lr=0.1", "lr=0.01")
    result = benchmark(*arguments, "--seeds", "2")
    assert "tiny, seed 0: trained by different code (recipe's source " in result.err
    rates = [trial_record("tiny", seed)["epochs"][0]["learning_rate"] for seed in (0, 1)]
    assert rates == [0.01, 0.01]


def test_a_training_that_is_interrupted_leaves_the_record_that_it_would_replace(
    benchmark: CommandLine, tiny: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark(*tiny, "--seeds", "2")
    edit("tiny.py", *WIDER)

    def interrupt(log: TrialLog, epoch: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrialLog, "on_epoch_end", interrupt)
        assert benchmark(*tiny, "--seeds", "2").code == 130
    assert [row[1:] for row in rows(table(benchmark))] == [(SMALL, [0, 1], "completed")]
    result = benchmark(*tiny, "--seeds", "2")
    assert "2 to train (1 from a checkpoint, 2 trained before by different code)" in result.err
    assert rows(result) == [("tiny", LARGE, [0, 1], "completed")]


def test_records_of_other_code_have_a_row_of_their_own(
    benchmark: CommandLine, tiny: list[str]
) -> None:
    benchmark(*tiny, "--seeds", "2")
    edit("tiny.py", *WIDER)
    benchmark(*tiny, "--seeds", "1,2,3")
    result = table(benchmark)
    first, second = (row[0] for row in rows(result))
    assert rows(result) == [
        (first, SMALL, [0], "unfinished"),
        (second, LARGE, [1, 2, 3], "unfinished"),
    ]
    assert re.fullmatch(
        rf"benchmark: the records of tiny come from 2 versions of its code, shown in separate "
        rf"rows: "
        rf"{first} \(1,930 parameters, 1,920 MACs, source \w{{8}}; seed 0\), "
        rf"{second} \(1,431 parameters, 1,414 MACs, source \w{{8}}; seeds 1, 2, 3\); "
        r"'benchmark run' trains the outdated ones again",
        result.err.strip(),
    )
    shown = table(benchmark, "simple").out
    assert re.search(rf"^{first} +1,930 .* 1/4 ok$", shown, re.M)
    assert re.search(rf"^{second} +1,431 .* 3/4 ok$", shown, re.M)


def test_a_run_is_not_complete_whose_rows_are_of_different_code(
    benchmark: CommandLine, tiny: list[str]
) -> None:
    benchmark(*tiny, "--seeds", "2")
    edit_comment()
    benchmark(*tiny, "--seeds", "1,2,3")
    assert re.search(r"unfinished +3 of 4", benchmark("runs").out)


# What a model imports from elsewhere is not in its source.


@pytest.fixture
def dependent(tiny: list[str]) -> list[str]:
    """A model that has a bias if there is a file, which is no part of its plugin."""
    edit(
        "tiny.py",
        "nn.Linear(channels * height * width, num_classes))",
        "nn.Linear(channels * height * width, num_classes, bias=Path('bias').exists()))",
    )
    edit("tiny.py", "from torch", "from pathlib import Path\nfrom torch")
    Path("bias").touch()
    return tiny


def test_a_network_that_turns_out_to_be_another_is_not_averaged(
    benchmark: CommandLine, dependent: list[str]
) -> None:
    benchmark(*dependent, "--seeds", "1")
    Path("bias").unlink()
    result = benchmark(*dependent, "--seeds", "2")
    assert result.code == 1
    assert [row[1:3] for row in rows(result)] == [(1930, [0]), (1920, [1])]
    assert (
        "benchmark: tiny, seed 1: not the network that its earlier seeds have trained (parameters "
        "1,930, now 1,920; trainable parameters 1,930, now 1,920), so its code has changed; the "
        "same command trains all again"
    ) in result.err.splitlines()
    assert "1 of 2 trials are not finished yet: the same command goes on" in result.err
    again = benchmark(*dependent, "--seeds", "2")
    assert "tiny, seeds 0, 1: trained by different code (parameters " in again.err
    assert (again.code, rows(again)) == (0, [("tiny", 1920, [0, 1], "completed")])


# The records alone.


def of(source: str | None, version: str = "1.0") -> ModelRecord:
    return ModelRecord(
        name="alpha", plugin="alpha", distribution="sample", version=version, source=source
    )


def grouped(*records: TrialRecord) -> list[list[int]]:
    return [[r.seed for r in summary.records] for summary in summarize(records)]


SIZE = ParameterCount(total=5, trainable=5, buffers=0)
OTHER_RECIPE = Origin(plugin="adam", distribution="sample", version="1.0", source="b" * 64)


@pytest.mark.parametrize(
    "change",
    [
        {"model": of("a" * 64)},
        {"model": of(None, version="1.1")},
        {"params": SIZE},
        {"macs": 7},
        {"recipe_origin": OTHER_RECIPE},
    ],
)
def test_records_that_differ_in_their_code_are_not_summed_up(change: dict[str, Any]) -> None:
    records = [make_record(seed=seed) for seed in (0, 2)]
    other = make_record(seed=1).model_copy(update=change)
    assert grouped(*records, other) == [[0, 2], [1]]


def test_a_record_without_a_size_is_with_those_of_its_source() -> None:
    records = [failed_record(seed=0), make_record(seed=1), make_record(seed=2, macs=None)]
    assert grouped(*records) == [[0, 1, 2]]
    other = make_record(seed=3).model_copy(update={"model": of("a" * 64)})
    assert grouped(*records, other) == [[0, 1, 2], [3]]


def test_a_source_is_the_same_wherever_it_lies(tmp_path: Path) -> None:
    import benchmark_plugins.models.separable_cnn as module

    copy = tmp_path / "elsewhere"
    copy.mkdir()
    assert module.__file__ is not None
    for file in Path(module.__file__).parent.glob("*.py"):
        # As a checkout on Windows has them.
        (copy / file.name).write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    before = source_digest(module)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "__file__", str(copy / "separable_cnn.py"))
        assert source_digest(module) == before
        (copy / "baseline_cnn.py").rename(copy / "renamed.py")
        assert source_digest(module) != before
