"""``benchmark runs``: what runs there are, and what of them is removed, and what never."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmark.catalog.shelves import load_catalog
from benchmark.cli.runs import age
from benchmark.printable import size_text as size
from benchmark.store.lock import DirectoryLock
from tests.conftest import CommandLine, only_error
from tests.support.tiny import write_tiny_run
from tests.support.trial_files import folder_in


@pytest.fixture(autouse=True)
def _own_data_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is removed here must not be what other tests have cached."""
    monkeypatch.setenv("BENCHMARK_DATA_DIR", "data")


@pytest.fixture
def run(benchmark: CommandLine, tmp_path: Path) -> Path:
    """A complete run of four trials."""
    assert benchmark(*write_tiny_run(tmp_path)).code == 0
    (folder,) = Path("runs").iterdir()
    return folder


def row(benchmark: CommandLine) -> list[str]:
    """The cells of the only run there is."""
    _, _, only = benchmark("runs").out.splitlines()
    return re.split(r"\s{2,}", only)


@contextmanager
def answered(answer: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr("click.termui.visible_prompt_func", lambda prompt="": answer)
        yield


def test_a_run_is_listed_with_its_state_age_and_size(benchmark: CommandLine, run: Path) -> None:
    for file in run.rglob("*"):
        os.utime(file, (0, time.time() - 3 * 86_400 - 60))
    expected = sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
    weights = sum(file.stat().st_size for file in run.rglob("weights.safetensors"))
    assert weights > 0
    assert row(benchmark) == [
        *(run.name, "complete", "4 of 4", "3 d"),
        *(size(weights), size(expected)),
    ]


def test_a_run_without_a_record_is_unfinished(benchmark: CommandLine, run: Path) -> None:
    (folder_in(run, "tiny") / "trial.json").unlink()
    assert row(benchmark)[1:3] == ["unfinished", "3 of 4"]


def test_a_run_with_a_failed_trial_is_failed(benchmark: CommandLine, run: Path) -> None:
    arguments = write_tiny_run(Path())
    plugin = Path("tiny.py")
    text = plugin.read_text().replace('ModelEntry("tiny", build', 'ModelEntry("tiny", broken')
    plugin.write_text(text + "\n\ndef broken(input_shape, num_classes):\n    raise ValueError\n")
    load_catalog.cache_clear()
    benchmark(*arguments, "--fresh")
    assert row(benchmark)[1:3] == ["failed", "2 of 4"]


def test_a_run_that_a_process_is_at_work_on_is_in_use(benchmark: CommandLine, run: Path) -> None:
    with DirectoryLock(run) as lock:
        lock.acquire()
        assert row(benchmark)[1] == "in use"
    assert row(benchmark)[1] == "complete"


def test_a_run_that_cannot_be_read_is_listed(benchmark: CommandLine, run: Path) -> None:
    (run / "run.json").write_text("{")
    assert row(benchmark)[1:3] == ["unreadable", "0 of 0"]


def test_where_there_are_no_runs_that_is_said(benchmark: CommandLine) -> None:
    result = benchmark("runs", "--out", "nowhere")
    assert (result.code, result.out) == (0, "")
    assert result.err == "benchmark: there are no runs in nowhere\n"


LEFT = ("checkpoint.pt", "checkpoint.previous.pt", ".trial.json.x.tmp")


def records() -> set[Path]:
    return {*Path().glob("*/*/run.json"), *Path().glob("*/*/trials/*/*/*/[a-z]*.json*")}


def leave_work_unfinished(run: Path) -> Path:
    folder = folder_in(run, "tiny")
    (folder / "trial.json").unlink()
    for name in LEFT:
        (folder / name).write_bytes(b"x" * 2**20)
    return folder


def test_cleaning_asks_and_keeps_what_was_not_agreed_to(
    benchmark: CommandLine, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = leave_work_unfinished(run)
    with answered("n", monkeypatch):
        result = benchmark("runs", "clean")
    assert result.code == 0
    assert f"3 MiB of unfinished work in {run}: its trials would begin anew." in result.out
    assert re.search(r"KiB of decoded data sets in \S+: they are decoded again", result.out)
    assert all((folder / name).exists() for name in LEFT)
    assert any(Path("data/decoded").iterdir())


def test_cleaning_removes_leftovers_and_no_results(benchmark: CommandLine, run: Path) -> None:
    assert benchmark(*write_tiny_run(Path()), "--out", "other").code == 0
    folder = leave_work_unfinished(run)
    results = records()
    cleaned = benchmark("runs", "clean", "--yes")
    assert (cleaned.code, cleaned.out.count("Removed.\n")) == (0, 2)
    assert not any((folder / name).exists() for name in LEFT)
    assert [*Path("data/decoded").iterdir()] == []
    assert records() == results
    again = benchmark("runs", "clean")
    assert (again.code, again.out) == (0, "")
    assert benchmark(*write_tiny_run(Path())).code == 0


def test_the_folder_may_be_named_before_the_word_clean(benchmark: CommandLine, run: Path) -> None:
    folder = leave_work_unfinished(run)
    assert benchmark("runs", "--out", "elsewhere", "clean", "--yes").code == 0
    assert all((folder / name).exists() for name in LEFT)
    assert benchmark("runs", "--out", "runs", "clean", "--yes").code == 0
    assert not any((folder / name).exists() for name in LEFT)


def test_a_run_that_begins_while_the_question_is_asked_is_left_alone(
    benchmark: CommandLine, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = leave_work_unfinished(run)
    with DirectoryLock(run) as lock:

        def agree(prompt: str = "") -> str:
            lock.acquire()
            return "y"

        monkeypatch.setattr("click.termui.visible_prompt_func", agree)
        refused = benchmark("runs", "clean")
    assert refused.code == 2
    assert f"benchmark: error: {run} is in use by process" in refused.err
    assert all((folder / name).exists() for name in LEFT)


def test_a_data_set_that_is_being_decoded_is_left_alone(benchmark: CommandLine) -> None:
    begun = Path("data/decoded/.photos.tmp")
    begun.mkdir(parents=True)
    assert benchmark("runs", "clean", "--yes").code == 0
    assert begun.is_dir()


def test_an_empty_folder_name_is_refused(benchmark: CommandLine) -> None:
    assert "--out: should be a folder" in only_error(benchmark("runs", "clean", "--out", ""))


def test_a_run_in_use_is_left_alone(benchmark: CommandLine, run: Path) -> None:
    folder = leave_work_unfinished(run)
    with DirectoryLock(run) as lock:
        lock.acquire()
        assert benchmark("runs", "clean", "--yes").code == 0
    assert all((folder / name).exists() for name in LEFT)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "now"), (59, "now"), (60, "1 min"), (3_599, "59 min"), (7_300, "2 h"), (200_000, "2 d")],
)
def test_an_age_is_written_in_its_largest_unit(seconds: int, text: str) -> None:
    assert age(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (5 * 2**19, "2.5 MiB"),
        (1010 * 2**20, "1010 MiB"),
        (2**31, "2 GiB"),
        (2**50, "1024 TiB"),
    ],
)
def test_a_size_is_written_for_people(count: int, text: str) -> None:
    assert size(count) == text
