"""What strangers may put in the place of a run's files: named, and in nobody's way."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.files.writing import last_lines, remove
from benchmark.training.checkpoint import NEWEST, PREVIOUS
from tests.conftest import CommandLine, only_error
from tests.support.tiny import write_tiny_run
from tests.support.trial_files import folder_in, read_record

HUGE_BYTES = 2**40


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "something").touch()


def make_link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def make_link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


def make_link_to_a_pipe(path: Path) -> None:
    if not Path("pipe").exists():
        os.mkfifo("pipe")
    path.symlink_to(Path("pipe").absolute())


def make_link_to_a_folder(path: Path) -> None:
    path.symlink_to(Path().absolute())


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made, pytest.MonkeyPatch.context() as patch:
        # A socket's whole path may have some hundred characters.
        patch.chdir(path.parent)
        made.bind(path.name)


def make_huge_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(HUGE_BYTES)


# What is put there, and what is said of it.
STRANGE: dict[Callable[[Path], None], str] = {
    make_pipe: "it is a named pipe, not a file",
    make_device: "it is a device, not a file",
    make_folder: "it is a folder, not a file",
    make_link_to_itself: "it is a symbolic link to itself",
    make_link_to_nothing: "it is a broken symbolic link",
    make_link_to_a_pipe: "it is a named pipe, not a file",
    make_link_to_a_folder: "it is a folder, not a file",
    make_socket: "it is a socket, not a file",
    make_huge_file: "it is too large: 1,099,511,627,776 bytes (at most 67,108,864 are read)",
}

each_kind = pytest.mark.parametrize("make", [*STRANGE], ids=lambda make: make.__name__)


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """Those of a run of two models and one seed, of one epoch."""
    return [*write_tiny_run(tmp_path), "--seeds", "1", "--epochs", "1"]


@pytest.fixture
def run(
    benchmark: CommandLine, arguments: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Its folder, when it is complete; trained for the first test, and copied for the others."""
    trained = tmp_path_factory.getbasetemp() / "trained"
    if not trained.exists():
        assert benchmark(*arguments).code == 0
        shutil.copytree("runs", trained)
    else:
        shutil.copytree(trained, "runs")
    (folder,) = Path("runs").iterdir()
    return folder


def replace(path: Path, make: Callable[[Path], None]) -> None:
    path.unlink()
    make(path)


def models(text: str) -> list[tuple[str, str]]:
    return [(row["model"], row["status"]) for row in json.loads(text)]


@each_kind
def test_a_record_that_is_no_file_costs_its_own_line(
    benchmark: CommandLine, run: Path, arguments: list[str], make: Callable[[Path], None]
) -> None:
    record = folder_in(run, "tiny") / "trial.json"
    replace(record, make)
    shown = benchmark("table", str(run), "--format", "json")
    assert (shown.code, shown.err) == (0, f"benchmark: {record} is left out: {STRANGE[make]}\n")
    assert models(shown.out) == [("tiny", "unfinished"), ("twin", "completed")]
    listed = benchmark("runs")
    assert (listed.code, listed.err) == (0, shown.err)
    assert "unfinished" in listed.out
    assert "1 of 2" in listed.out
    again = benchmark(*arguments, "--format", "json")
    assert f"the record of tiny, seed 0 is trained again: {STRANGE[make]}" in again.err
    assert (again.code, models(again.out)) == (
        0,
        [("tiny", "completed"), ("twin", "completed")],
    )


@each_kind
def test_a_description_that_is_no_file_costs_the_caption(
    benchmark: CommandLine, run: Path, arguments: list[str], make: Callable[[Path], None]
) -> None:
    shutil.copytree(run, run.with_name("other"))
    description = run / "run.json"
    replace(description, make)
    shown = benchmark("table", str(run), "--format", "json")
    assert shown.code == 0
    assert shown.err == f"benchmark: {description} is left out: {STRANGE[make]}\n"
    assert models(shown.out) == [("tiny", "completed"), ("twin", "completed")]
    listed = benchmark("runs")
    assert (listed.code, listed.err) == (
        0,
        f"benchmark: {description} cannot be used: {STRANGE[make]}\n",
    )
    assert "unreadable" in listed.out
    assert "2 of 2" in listed.out
    assert benchmark("runs", "clean", "--yes").code == 0
    again = benchmark(*arguments)
    assert f"{description} is left out: {STRANGE[make]}" in again.err
    if description.is_dir():
        assert again.code == 2
        refusal = f"{description} is a folder, not a file; remove it, or give another --out"
        assert again.err.splitlines()[-1] == f"benchmark: error: {refusal}"
    else:
        assert (again.code, description.is_file()) == (0, True)


def test_a_folder_in_the_descriptions_place_can_be_removed(
    benchmark: CommandLine, run: Path, arguments: list[str]
) -> None:
    replace(run / "run.json", lambda path: path.mkdir())
    assert benchmark(*arguments).code == 2
    (run / "run.json").rmdir()
    assert benchmark(*arguments).code == 0


@each_kind
def test_whatever_lies_in_a_trials_folder_the_trial_is_trained(
    benchmark: CommandLine, run: Path, arguments: list[str], make: Callable[[Path], None]
) -> None:
    folder = folder_in(run, "tiny")
    for name in ("trial.json", "history.jsonl", "log.txt", NEWEST, PREVIOUS):
        (folder / name).unlink(missing_ok=True)
        make(folder / name)
    result = benchmark(*arguments, "--format", "json")
    assert (result.code, models(result.out)) == (
        0,
        [("tiny", "completed"), ("twin", "completed")],
    )
    assert f"seed 0 is trained again: {STRANGE[make]}" in result.err
    for name in (NEWEST, PREVIOUS):
        assert f"benchmark: tiny, seed 0: {name} is left out: it is " in result.err
    if make is not make_huge_file:
        for name in ("history.jsonl", "log.txt"):
            assert f"{folder / name} was removed: it was not an ordinary file" in result.err
    assert {path.name for path in folder.iterdir()} == {
        *("trial.json", "history.jsonl", "log.txt"),
        *("predictions.npy", "weights.safetensors"),
    }


@each_kind
def test_the_end_of_a_log_that_is_no_file_is_what_it_is(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(Path("log.txt"))
    (line, *_) = last_lines(Path("log.txt"), 5)
    assert line == f"log.txt: {STRANGE[make]}" or make is make_huge_file


@pytest.mark.parametrize(
    "make", [kind for kind in STRANGE if kind is not make_huge_file], ids=lambda make: make.__name__
)
def test_a_lock_that_is_no_file_is_refused(
    benchmark: CommandLine, run: Path, arguments: list[str], make: Callable[[Path], None]
) -> None:
    lock = run / "lock"
    make(lock)
    assert "complete" in benchmark("runs").out
    result = benchmark(*arguments)
    assert only_error(result) == (
        f"benchmark: error: {lock} is not an ordinary file, so it cannot be locked; "
        "remove it, or give another --out"
    )
    remove(lock)
    assert benchmark(*arguments).code == 0


def test_a_lock_that_leads_elsewhere_empties_nothing(
    benchmark: CommandLine, run: Path, arguments: list[str]
) -> None:
    Path("precious").write_text("precious")
    (run / "lock").symlink_to(Path("precious").absolute())
    assert benchmark(*arguments).code == 2
    assert Path("precious").read_text() == "precious"


@pytest.mark.parametrize(
    "content",
    [
        "[" * 4_000,
        '{"host": 5, "process": 1, "since": "now"}',
        '{"host": "\\u001b[2J", "process": 1, "since": "now"}',
        '{"host": "elsewhere", "process": {}, "since": "now"}',
        "\0" * 100,
    ],
)
def test_a_lock_that_makes_no_sense_is_taken_over(
    benchmark: CommandLine, run: Path, arguments: list[str], content: str
) -> None:
    (run / "lock").write_text(content)
    assert "complete" in benchmark("runs").out
    assert benchmark(*arguments).code == 0


def test_a_trials_folder_that_leads_elsewhere_empties_nothing(
    benchmark: CommandLine, run: Path, arguments: list[str]
) -> None:
    folder = folder_in(run, "tiny")
    folder.rename("elsewhere")
    Path("elsewhere/precious").touch()
    folder.symlink_to(Path("elsewhere").absolute())
    assert benchmark(*arguments, "--fresh").code == 0
    assert Path("elsewhere/precious").exists()
    assert (folder / "trial.json").is_file()


@each_kind
def test_what_is_no_checkpoint_is_removed_with_a_trials_unfinished_work(
    benchmark: CommandLine, run: Path, make: Callable[[Path], None]
) -> None:
    folder = folder_in(run, "tiny")
    for name in (NEWEST, PREVIOUS):
        make(folder / name)
    assert benchmark("runs", "clean", "--yes").code == 0
    assert not any(os.path.lexists(folder / name) for name in (NEWEST, PREVIOUS))
    assert read_record(folder)["status"] == "completed"


def test_a_folder_of_runs_that_is_none(benchmark: CommandLine) -> None:
    Path("file").touch()
    assert only_error(benchmark("runs", "--out", "file")).endswith(
        "file: cannot be read: Not a directory"
    )
