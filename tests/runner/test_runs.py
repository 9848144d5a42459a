"""Whole runs, tiny ones: what is printed and kept, gone on with, interrupted and survived."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from benchmark.catalog.shelves import load_catalog
from benchmark.datasets import default_data_directory, load_dataset
from benchmark.errors import StoreError
from benchmark.protocol import Selection
from benchmark.records import TrialRecord
from benchmark.runner import runner
from benchmark.store import directory as store
from benchmark.training import subset
from tests.conftest import CommandLine, Result
from tests.support.command_process import start
from tests.support.tiny import write_tiny_run
from tests.support.trial_files import folder_in

EPOCH_LINE = re.compile(
    r"(?P<model>\w+) seed (?P<seed>\d)  epoch (?P<epoch>\d)/2  \d[\d.]{2,} s \d[\d.]{2,} ms/step  "
    r"loss \d\.\d{4} acc \d\.\d{4}  test loss \d\.\d{4} acc \d\.\d{4}  \d+ s left"
)


@pytest.fixture
def tiny(tmp_path: Path) -> list[str]:
    """The arguments of a run of two models and two seeds."""
    return write_tiny_run(tmp_path)


def only_run() -> Path:
    (folder,) = Path("runs").iterdir()
    return folder


def records(folder: Path | None = None) -> dict[str, Any]:
    folder = folder or only_run()
    return {
        f"{file.parts[-4]}/{file.parts[-2]}": json.loads(file.read_text())
        for file in sorted(folder.glob("trials/*/*/*/trial.json"))
    }


def test_a_run_prints_its_table_and_keeps_its_records(
    benchmark: CommandLine, tiny: list[str]
) -> None:
    result = benchmark(*tiny)
    assert result.code == 0
    assert re.search(r"^tiny +1,930 +0\.00 +\d+\.\d\d (± |\[).* 2/2 ok$", result.out, re.M)
    assert result.out.startswith("tiny: synthetic (")
    caption = " ".join(result.out.split())
    assert "64 training and 20 test images, 10 classes; 2 epochs, batch 16" in caption
    assert "fp32." in caption
    assert "mean of n = 2 seeds" in caption
    assert f"records are in {only_run()}" in result.err
    found = records()
    assert list(found) == ["tiny/seed-0", "tiny/seed-1", "twin/seed-0", "twin/seed-1"]
    for record in found.values():
        assert record["status"] == "completed"
        assert [epoch["number"] for epoch in record["epochs"]] == [1, 2]
        assert record["params"] == {"total": 1930, "trainable": 1930, "buffers": 0}
        assert record["macs"] == 1920
        assert record["peak_memory_bytes"] > 0
        assert record["environment"]["versions"]["torch"]


def test_records_say_what_the_images_are(benchmark: CommandLine, tiny: list[str]) -> None:
    arguments = ["--seeds", "1", "-m", "tiny", "--set", "test_images=13"]
    assert benchmark(*tiny, *arguments).code == 0
    (file,) = Path("runs").rglob("trial.json")
    record = TrialRecord.model_validate_json(file.read_text())
    options = {"train_images": 64, "test_images": 20, "size": 8, "seed": 0}
    dataset = load_dataset(
        Selection(name="synthetic", options=options),
        load_catalog().datasets,
        default_data_directory(),
    )
    assert record.dataset.image == (3, 8, 8)
    chosen = subset(dataset.splits.test, 13).labels.tolist()
    assert record.dataset.class_counts == tuple(chosen.count(label) for label in range(10))


def test_the_caption_says_where_models_have_different_numbers_of_seeds(
    benchmark: CommandLine, tiny: list[str]
) -> None:
    benchmark(*tiny, "--seeds", "1")
    benchmark(*tiny, "--seeds", "3", "-m", "tiny")
    caption = " ".join(benchmark("table", str(only_run())).out.split())
    assert "mean of n = 1 to 3 seeds and 95 % interval over seeds and test images" in caption


def test_the_parts_of_a_records_time_fit_its_whole(benchmark: CommandLine, tiny: list[str]) -> None:
    benchmark(*tiny)
    for record in records().values():
        timing, epochs = record["timing"], record["epochs"]
        assert timing["first_epoch_seconds"] == epochs[0]["train_seconds"]
        assert timing["epoch_seconds"] == epochs[1]["train_seconds"]
        parts = [epoch["train_seconds"] + epoch["evaluation_seconds"] for epoch in epochs]
        assert timing["setup_seconds"] + sum(parts) <= timing["total_seconds"]


def test_every_epoch_has_a_line_with_all_its_figures(
    benchmark: CommandLine, tiny: list[str]
) -> None:
    lines = [EPOCH_LINE.fullmatch(line) for line in benchmark(*tiny).err.splitlines()]
    told = [(m["model"], m["seed"], m["epoch"]) for m in lines if m]
    # Seed by seed, so that a drift of the machine hits all models alike.
    trials = [("tiny", "0"), ("twin", "0"), ("tiny", "1"), ("twin", "1")]
    assert told == [(*trial, epoch) for trial in trials for epoch in "12"]


def test_two_models_alike_get_the_same_figures(benchmark: CommandLine, tiny: list[str]) -> None:
    benchmark(*tiny)
    found = records()
    for seed in (0, 1):
        tiny_record, twin_record = found[f"tiny/seed-{seed}"], found[f"twin/seed-{seed}"]
        assert tiny_record["correct"] == twin_record["correct"]
        losses = [[e["train_loss"] for e in r["epochs"]] for r in (tiny_record, twin_record)]
        assert losses[0] == losses[1]
    assert found["tiny/seed-0"]["epochs"] != found["tiny/seed-1"]["epochs"]


def test_table_prints_the_same_table_again(benchmark: CommandLine, tiny: list[str]) -> None:
    for written in ("simple", "json"):
        first = benchmark(*tiny, "--format", written)
        again = benchmark("table", str(only_run()), "-p", "tiny.py", "--format", written)
        assert again.code == 0
        assert again.out == first.out


def test_the_same_command_again_trains_nothing_twice(
    benchmark: CommandLine, tiny: list[str]
) -> None:
    first = benchmark(*tiny, "--format", "json")
    before = {path: path.stat().st_mtime_ns for path in only_run().rglob("trial.json")}
    again = benchmark(*tiny, "--format", "json")
    assert again.out == first.out
    assert "4 of 4 trials completed earlier, 0 to train" in again.err
    assert not EPOCH_LINE.search(again.err)
    assert {path: path.stat().st_mtime_ns for path in only_run().rglob("trial.json")} == before


def test_more_seeds_train_only_what_is_missing(benchmark: CommandLine, tiny: list[str]) -> None:
    benchmark(*tiny)
    result = benchmark(*tiny, "--seeds", "3")
    assert "4 of 6 trials completed earlier, 2 to train" in result.err
    assert len(EPOCH_LINE.findall(result.err)) == 4
    assert "3/3 ok" in result.out


def test_fresh_trains_everything_again(benchmark: CommandLine, tiny: list[str]) -> None:
    benchmark(*tiny)
    result = benchmark(*tiny, "--fresh")
    assert len(EPOCH_LINE.findall(result.err)) == 8
    history = folder_in(only_run(), "tiny") / "history.jsonl"
    assert len(history.read_text().splitlines()) == 2


def test_a_changed_protocol_is_another_run(benchmark: CommandLine, tiny: list[str]) -> None:
    benchmark(*tiny)
    benchmark(*tiny, "--epochs", "1")
    benchmark(*tiny, "--set", "recipe.learning_rate=0.01")
    assert len(list(Path("runs").iterdir())) == 3


def test_a_damaged_record_is_named_and_trained_again(
    benchmark: CommandLine, tiny: list[str]
) -> None:
    benchmark(*tiny)
    (folder_in(only_run(), "tiny") / "trial.json").write_text("{")
    result = benchmark(*tiny)
    assert "the record of tiny, seed 0 is trained again: it is cut short" in result.err
    assert len(EPOCH_LINE.findall(result.err)) == 2
    assert "2/2 ok" in result.out


def test_columns_and_sort(benchmark: CommandLine, tiny: list[str]) -> None:
    options = ("--columns", "seeds,model", "--sort", "model", "--format", "csv")
    assert benchmark(*tiny, *options).out == "seeds,model\n0 1,tiny\n0 1,twin\n"


def test_a_disk_that_fills_up_keeps_what_was_finished(
    benchmark: CommandLine, tiny: list[str]
) -> None:
    write = store.write_atomically

    def full_for_the_second_model(path: Path, content: bytes) -> None:
        if "twin" in path.parts and path.parts[-2:] == ("seed-0", "trial.json"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "write_atomically", full_for_the_second_model)
        result = benchmark(*tiny)
    assert result.code == 2
    assert re.search(
        r"^benchmark: error: \S+/twin/\w{12}/seed-0/trial.json: cannot be .*No space",
        result.err,
        re.M,
    )
    assert list(records()) == ["tiny/seed-0"]
    assert "1 of 4 trials completed earlier, 3 to train" in go_on(benchmark, tiny).err


def test_a_history_that_cannot_be_written_ends_the_run(
    benchmark: CommandLine, tiny: list[str]
) -> None:
    def full(*arguments: Any) -> NoReturn:
        raise StoreError("history.jsonl: cannot be written: No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.RunDirectory, "append_epoch", full)
        result = benchmark(*tiny)
    assert result.code == 2
    assert result.err.splitlines()[-1] == (
        "benchmark: error: history.jsonl: cannot be written: No space left on device"
    )
    assert records() == {}


def go_on(benchmark: CommandLine, arguments: list[str]) -> Result:
    result = benchmark(*arguments)
    assert result.code == 0
    assert "2/2 ok" in result.out
    return result


def test_an_interruption_keeps_finished_trials_and_prints_their_table(tmp_path: Path) -> None:
    arguments = write_tiny_run(tmp_path)
    process = start(*arguments, "--epochs", "100000", "--set", "name=long")
    wait_for_line(process, r"epoch 2/100000")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    assert process.returncode == 130
    assert re.search(r"^tiny .* interrupted$", out, re.M)
    assert re.search(r"^twin .* unfinished$", out, re.M)
    found = records()
    assert list(found) == ["tiny/seed-0"]
    assert found["tiny/seed-0"]["status"] == "interrupted"
    assert re.fullmatch(r"in epoch \d+ of 100000", found["tiny/seed-0"]["reason"])


def test_after_an_interruption_the_same_command_finishes(
    benchmark: CommandLine, tiny: list[str]
) -> None:
    from benchmark_plugins.trackers.log import TrialLog

    def interrupt(log: TrialLog, epoch: Any) -> None:
        if log.trial and log.trial.model == "twin":
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrialLog, "on_epoch_end", interrupt)
        result = benchmark(*tiny)
    assert result.code == 130
    assert "3 of 4 trials are not finished yet" in result.err
    assert re.search(r"^tiny .* 1/2 ok$", result.out, re.M)
    assert re.search(r"^twin .* interrupted$", result.out, re.M)
    assert "1 of 4 trials completed earlier, 3 to train" in go_on(benchmark, tiny).err


def wait_for_line(process: subprocess.Popen[str], pattern: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if re.search(pattern, line):
            return
    pytest.fail(f"the run ended without a line that matches {pattern!r}")


def test_a_terminal_gets_a_bar_and_the_same_lines(tmp_path: Path) -> None:
    arguments = [*write_tiny_run(tmp_path), "--executor", "inline"]
    screen = run_on_a_terminal(arguments)
    assert "training" in screen
    assert "━" in screen
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen).replace("\r", "")
    assert len(EPOCH_LINE.findall(plain)) == 8


def run_on_a_terminal(arguments: list[str]) -> str:
    import pty

    main, terminal = pty.openpty()
    environment = {"TERM": "xterm", "COLUMNS": "160"}
    process = start(*arguments, stdout=subprocess.DEVNULL, stderr=terminal, environment=environment)
    os.close(terminal)
    screen = b""
    while chunk := read_terminal(main):
        screen += chunk
    os.close(main)
    assert process.wait() == 0
    return screen.decode()


def read_terminal(descriptor: int) -> bytes:
    # Linux reports the other end's closing as an error.
    with contextlib.suppress(OSError):
        return os.read(descriptor, 4096)
    return b""


def test_a_reader_that_leaves_early_is_no_error() -> None:
    with start("list") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_a_narrower_command_forgets_no_trial(benchmark: CommandLine, tiny: list[str]) -> None:
    benchmark(*tiny)
    narrow = benchmark(*tiny, "-m", "twin", "--seeds", "1")
    assert "tiny " not in narrow.out.partition("status")[2]
    (folder_in(only_run(), "tiny", 1) / "trial.json").unlink()
    again = benchmark("table", str(only_run()), "-p", "tiny.py")
    assert re.search(r"^tiny .* 1/2 ok$", again.out, re.M)
    assert re.search(r"^twin .* 2/2 ok$", again.out, re.M)


def test_results_of_another_device_are_not_mixed_in(
    benchmark: CommandLine, tiny: list[str]
) -> None:
    benchmark(*tiny)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "resolve_device", lambda name, remote: torch.device("meta"))
        result = benchmark(*tiny)
        other = benchmark(*tiny, "-m", "twin", "--seeds", "7,8")
        fresh = benchmark(*tiny, "-m", "twin", "--fresh")
    assert result.code == other.code == fresh.code == 2
    for refused in (result, other, fresh):
        assert "has results of cpu, and this run is for meta" in refused.err
    assert len(records()) == 4


FAULTY_COLUMNS = """
from benchmark import Column, hookimpl

def divide(summary):
    return 1 / 0

@hookimpl
def benchmark_columns():
    yield Column("no_value", "no value", divide)
    yield Column("no_text", "no text", lambda summary: 1, text=divide)
    yield Column("no_json", "no json", lambda summary: object())
"""


@pytest.mark.parametrize("written", ["simple", "json", "csv"])
def test_a_column_that_raises_is_named_and_left_out(
    benchmark: CommandLine, tiny: list[str], written: str
) -> None:
    Path("faulty.py").write_text(FAULTY_COLUMNS)
    options = ("-p", "faulty.py", "--sort", "no_value", "--format", written)
    result = benchmark(*tiny, *options)
    assert result.code == 0
    for name in ("no_value", "no_text"):
        assert f"column {name!r} is left out: ZeroDivisionError: division by zero" in result.err
    assert "column 'no_json' is left out: TypeError: " in result.err
    assert result.out == benchmark(*tiny, "--format", written).out


FAULTY_EXECUTOR = """
from benchmark import ExecutorEntry, hookimpl

def create(options):
    raise ConnectionError("no queue here")

@hookimpl
def benchmark_executors():
    yield ExecutorEntry("queue", create, "sends trials to a queue")
"""


def test_an_executor_that_cannot_be_created_is_named(
    benchmark: CommandLine, tiny: list[str]
) -> None:
    Path("queue_plugin.py").write_text(FAULTY_EXECUTOR)
    result = benchmark(*tiny, "-p", "queue_plugin.py", "--set", "executor=queue")
    assert result.code == 2
    assert result.err == (
        "benchmark: error: executor 'queue' of queue_plugin (no distribution) cannot be created: "
        "ConnectionError: no queue here\n"
    )
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("target", "code", "said"),
    [
        (">/dev/full", 2, "standard output cannot be written: No space left on device"),
        (">&-", 2, "standard output cannot be written: it is closed"),
    ],
)
def test_a_table_that_nobody_can_read(
    benchmark: CommandLine, tiny: list[str], target: str, code: int, said: str
) -> None:
    benchmark(*tiny)
    # The interpreter's start is part of it: it has no stream for a descriptor that is closed.
    command = f"{sys.executable} -m benchmark table {only_run()} -p tiny.py {target}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == code
    assert done.stderr == f"benchmark: error: {said}\n"


def test_a_config_may_have_any_files_name(benchmark: CommandLine, tiny: list[str]) -> None:
    config = Path("tiny.yaml").read_text().replace("name: tiny\n", "")
    Path("my phötos.yaml").write_text(config)
    assert benchmark("run", "my phötos.yaml", *tiny[2:]).code == 0
    assert only_run().name.startswith("my-ph-tos-")


def test_a_table_of_faulty_columns_alone_is_empty(benchmark: CommandLine, tiny: list[str]) -> None:
    Path("faulty.py").write_text(FAULTY_COLUMNS)
    result = benchmark(*tiny, "-p", "faulty.py", "--columns", "no_value")
    assert result.code == 0
    assert "column 'no_value' is left out" in result.err
    assert "Traceback" not in result.err
