"""Standard output and standard error that are closed, full or left by their readers, and what
foreign text can do to a terminal.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TextIO

import pytest

from benchmark import run as trained_run
from benchmark.catalog.shelves import load_catalog
from benchmark.config.run_config import find_document, load_config
from benchmark.printable import printable, printable_line
from benchmark.store.description import RunDescription
from benchmark.store.directory import RunDirectory
from tests.conftest import CommandLine
from tests.support.commands import commands
from tests.support.made_records import PROTOCOL, failed_record, make_key, make_planned, make_record
from tests.support.tiny import write_tiny_run

FULL = "benchmark: error: standard output cannot be written: No space left on device"
CLOSED = "benchmark: error: standard output cannot be written: it is closed"

Opened = Callable[[str], TextIO | None]

# Every command, called rightly: what is written to standard output is all that can go wrong.
CALLS = {
    "run": ("run", "tiny.yaml", "-p", "tiny.py", "-m", "tiny", "--seeds", "1"),
    "list": ("list",),
    "plugins": ("plugins",),
    "show": ("show", "tiny", "-p", "tiny.py"),
    "table": ("table", "old"),
    "compare": ("compare", "old", "--against", "base"),
    "evaluate": ("evaluate", "trained"),
    "runs": ("runs", "--out", "."),
    "runs clean": ("runs", "clean", "--out", ".", "--data-dir", ".", "--yes"),
    "data prepare": ("data", "prepare", "synthetic", "--set", "train_images=20"),
    "data info": ("data", "info", "synthetic", "--set", "train_images=20"),
    "env": ("env",),
}


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, trained: Path) -> None:
    """A tiny model and config, an old run and a trained one."""
    write_tiny_run(tmp_path)
    write_run(tmp_path / "old", note="old")
    write_run(tmp_path / "base", note="base")
    shutil.copytree(trained, tmp_path / "trained")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with weights."""
    folder = tmp_path_factory.mktemp("trained")
    write_tiny_run(folder)
    config = str(folder / "tiny.yaml")
    run = trained_run(config, out=folder, plugins=[str(folder / "tiny.py")], executor="inline")
    return run.path


def write_run(folder: Path, note: str) -> None:
    """A run with a record, and what is left of an unfinished trial."""
    document = find_document("quickstart").replaced(("note",), note, "")
    directory = RunDirectory(folder)
    directory.write_description(
        RunDescription(
            config=load_config(document, load_catalog()),
            variants=(make_planned("alpha"),),
            protocol=PROTOCOL,
            environment={"processor": "P", "threads": 2},
        )
    )
    directory.write_record(make_record("alpha"))
    checkpoint = directory.trial_directory(make_key("alpha", 1)) / "checkpoint.pt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Opens a stream of a kind, and closes it in the end, whatever it says then."""
    with ExitStack() as stack:

        def opened_stream(kind: str) -> TextIO | None:
            stream = STREAMS[kind]()
            if stream is not None:
                stack.enter_context(suppress(OSError))
                stack.callback(stream.close)
            return stream

        yield opened_stream


def without_a_reader() -> TextIO:
    read_end, write_end = os.pipe()
    os.close(read_end)
    return os.fdopen(write_end, "w")


def closed() -> TextIO:
    stream = io.StringIO()
    stream.close()
    return stream


STREAMS: dict[str, Callable[[], TextIO | None]] = {
    "full": lambda: os.fdopen(os.open("/dev/full", os.O_WRONLY), "w"),
    "not there": lambda: None,
    "closed": closed,
    "closed in the system": lambda: os.fdopen(os.open(os.devnull, os.O_RDONLY), "w"),
    "left by its reader": without_a_reader,
}


# Standard output


def test_every_command_is_called_here() -> None:
    assert {name for name, _ in commands()} == {*CALLS}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("kind", "complaint"), [("full", FULL), ("not there", CLOSED), ("closed in the system", CLOSED)]
)
def test_output_that_cannot_be_written_is_a_line(
    benchmark: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    opened: Opened,
    kind: str,
    complaint: str,
    call: tuple[str, ...],
) -> None:
    monkeypatch.setattr(sys, "stdout", opened(kind))
    result = benchmark(*call)
    assert result.code == 2
    *progress, last = result.err.splitlines()
    assert last == complaint
    if call[0] == "run":
        assert len([*Path("runs").rglob("trial.json")]) == 1
    else:
        assert not progress


@pytest.mark.parametrize("name", ["", *CALLS])
def test_a_help_page_that_cannot_be_written_is_a_line(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch, opened: Opened, name: str
) -> None:
    monkeypatch.setattr(sys, "stdout", opened("full"))
    result = benchmark(*name.split(), "--help")
    assert (result.code, result.err) == (2, f"{FULL}\n")


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_reader_that_has_enough_is_no_error(
    benchmark: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    opened: Opened,
    call: tuple[str, ...],
) -> None:
    monkeypatch.setattr(sys, "stdout", opened("left by its reader"))
    result = benchmark(*call)
    assert result.code == 0
    assert "error" not in result.err


def test_shells_get_their_completions(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch, opened: Opened
) -> None:
    """They are written as bytes, and end the process themselves."""
    monkeypatch.setenv("COMP_WORDS", "benchmark ru")
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setenv("_BENCHMARK_COMPLETE", "bash_complete")
    result = benchmark()
    assert (result.code, result.out, result.err) == (0, "plain,run\nplain,runs\n", "")
    monkeypatch.setattr(sys, "stdout", opened("full"))
    assert benchmark().code == 2


def test_what_a_plugin_has_not_flushed_is_missed_in_the_end(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch, opened: Opened
) -> None:
    Path("prints.py").write_text(Path("tiny.py").read_text() + "\nprint('x')\n")
    monkeypatch.setattr(sys, "stdout", opened("full"))
    result = benchmark("runs", "--out", "nowhere", "-p", "prints.py")
    assert (result.code, result.err) == (0, "benchmark: there are no runs in nowhere\n")
    result = benchmark("data", "prepare", "nothing", "-p", "prints.py")
    unknown, full = result.err.splitlines()
    assert "unknown data set 'nothing'" in unknown
    assert (result.code, full) == (2, FULL)


INTERRUPTING = """
from benchmark import Tracker, TrackerEntry, hookimpl

class Interrupt(Tracker):
    def on_epoch_end(self, epoch):
        raise KeyboardInterrupt

@hookimpl
def benchmark_trackers():
    yield TrackerEntry("interrupt", lambda options: Interrupt())
"""


def test_an_interrupted_run_is_one_whatever_becomes_of_its_table(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch, opened: Opened
) -> None:
    Path("interrupting.py").write_text(INTERRUPTING)
    monkeypatch.setattr(sys, "stdout", opened("full"))
    result = benchmark(*CALLS["run"], "-p", "interrupting.py", "--tracker", "interrupt")
    assert result.code == 130
    assert result.err.splitlines()[-1] == FULL


# Standard error


@pytest.mark.parametrize("kind", STREAMS)
def test_telling_of_progress_ends_no_run(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch, opened: Opened, kind: str
) -> None:
    loud = Path("tiny.py").read_text().replace("    channels,", "    write('x')\n    channels,")
    Path("loud.py").write_text(f"from sys import stderr\n\ndef write(x): stderr.write(x)\n{loud}")
    monkeypatch.setattr(sys, "stderr", opened(kind))
    result = benchmark("run", "tiny.yaml", "-p", "loud.py", "-m", "tiny")
    assert result.code == 0
    assert result.out.count("2/2 ok") == 1
    assert len([*Path("runs").rglob("trial.json")]) == 2
    assert benchmark("run", "nowhere.yaml").code == 2


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """Run the command line from nothing: the interpreter's start and end are part of it."""
    command = line.replace("benchmark ", f"{sys.executable} -m benchmark ")
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True)


def test_no_file_gets_the_number_of_a_closed_stream(benchmark: CommandLine) -> None:
    """Else what is said would be written into it, and no process of a trial's could start."""
    done = shell(f"benchmark {' '.join(CALLS['run'])} --executor local <&- >&- 2>&-")
    assert done.returncode == 2
    (folder,) = Path("runs").iterdir()
    again = benchmark("table", str(folder), "--format", "json")
    assert again.err == ""
    assert [row["status"] for row in json.loads(again.out)] == ["completed"]


def test_the_interpreter_adds_no_exit_code_of_its_own() -> None:
    """At its end it writes what it could not write before, and fails again."""
    done = shell("benchmark list >/dev/full 2>/dev/full; echo $?; benchmark nothing 2>/dev/full")
    assert (done.stdout, done.stderr, done.returncode) == ("2\n", "", 2)


# Exit codes


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("bug", [ZeroDivisionError("by zero"), SystemExit(1), RecursionError()])
def test_a_bug_is_70_and_a_traceback(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch, name: str, bug: BaseException
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise bug

    monkeypatch.setattr(dict(commands())[name], "callback", fail)
    result = benchmark(*CALLS[name])
    assert result.code == 70
    assert result.err.startswith("Traceback (most recent call last):\n")
    assert "this is a bug" in result.err.splitlines()[-1]


@pytest.mark.parametrize("name", CALLS)
def test_an_interruption_is_130(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def press(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dict(commands())[name], "callback", press)
    result = benchmark(*CALLS[name])
    # Below the line on which a terminal shows ^C.
    assert (result.code, result.err) == (130, "\nbenchmark: interrupted\n")


# Foreign text


# As some do when they are imported.
CHOOSY = """
import sys

sys.stdout.reconfigure(line_buffering=True)
sys.stdout.buffer.write("b\u00fcffer\\n".encode())
assert sys.stdout.writable() and sys.stdout.encoding and sys.stdout.errors
"""


def test_a_plugin_finds_all_that_streams_have(benchmark: CommandLine) -> None:
    Path("choosy.py").write_text(CHOOSY + Path("tiny.py").read_text(), encoding="utf-8")
    result = benchmark("list", "models", "tiny", "-p", "choosy.py")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("b\u00fcffer\nkind")


BIDIRECTIONAL = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_what_a_terminal_acts_upon_is_escaped_and_what_can_be_seen_is_not() -> None:
    for character in map(chr, range(sys.maxunicode + 1)):
        if character.isprintable() or character in "\n\t":
            assert printable(character) == character, hex(ord(character))
        elif (
            unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
            or unicodedata.bidirectional(character) in BIDIRECTIONAL
        ):
            assert printable(character).startswith(("\\u", "\\U")), hex(ord(character))
    assert printable_line("a\nb\x1b") == "a\\nb\\u001b"
    # Persian and many emoji are written with joiners.
    assert printable("\u0645\u06cc\u200c\u062e") == "\u0645\u06cc\u200c\u062e"


HOSTILE = "x\x1b[2J\x1b]0;title\x07\x9b2J\r\u202e\u2066\ny\x7f"

FOREIGN = f"""
import numpy
from torch import nn
from benchmark import DatasetEntry, Images, ImageSplits, ModelEntry, hookimpl

HOSTILE = {HOSTILE!r}

def load(data_directory, options):
    images = Images(numpy.zeros((40, 3, 8, 8), numpy.uint8), numpy.arange(40) % 2)
    return ImageSplits(images, images, (HOSTILE, "b"))

def build(input_shape, num_classes):
    layers = nn.Sequential(nn.Flatten())
    layers.add_module(HOSTILE, nn.Linear(3 * input_shape[1] ** 2, num_classes))
    return layers

def fail(input_shape, num_classes):
    raise ValueError(HOSTILE)

@hookimpl
def benchmark_datasets():
    yield DatasetEntry("foreign", load, HOSTILE)

@hookimpl
def benchmark_models():
    yield ModelEntry("foreign", build, HOSTILE)
    yield ModelEntry("faulty", fail, HOSTILE)
"""


@pytest.mark.parametrize(
    "call",
    [
        ("list",),
        ("show", "foreign"),
        ("show", "faulty", "-v"),
        ("data", "info", "foreign"),
        ("run", "foreign.yaml", "-v"),
        ("run", HOSTILE),
        ("run", "foreign.yaml", "-p", f"{HOSTILE}.py"),
        ("table", "old", "-v"),
        ("table", "old", "--format", "csv"),
        ("table", "old", "--format", "json"),
        ("table", HOSTILE),
        ("runs", "--out", "."),
        ("data", "info", HOSTILE),
    ],
    ids=repr,
)
def test_foreign_text_cannot_act_on_a_terminal(
    benchmark: CommandLine, call: tuple[str, ...]
) -> None:
    Path("foreign.py").write_text(FOREIGN)
    Path("foreign.yaml").write_text(
        "dataset: foreign\nmodels: [foreign, faulty]\nepochs: 1\nbatch_size: 20\n"
        f"device: cpu\nprecision: fp32\nnote: {json.dumps(HOSTILE)}\n"
    )
    write_run(Path(f"runs-{HOSTILE}"), HOSTILE)
    directory = RunDirectory(Path("old"))
    directory.write_record(failed_record(HOSTILE).model_copy(update={"reason": HOSTILE}))
    result = benchmark(*call, "-p", "foreign.py")
    for text in (result.out, result.err):
        assert printable(text) == text
        # Nor does any of it begin a line.
        assert not [line for line in text.splitlines() if line.startswith("y")]
    # Escaped here, or where a message quotes it.
    assert re.search(r"\\(u00|x)1b\[2J", result.out + result.err)


def test_a_name_that_no_entry_can_have_costs_its_own_record(benchmark: CommandLine) -> None:
    RunDirectory(Path("old")).write_record(failed_record(HOSTILE))
    result = benchmark("table", "old", "--format", "json")
    assert [row["model"] for row in json.loads(result.out)] == ["alpha"]
    assert "it makes no sense: a model cannot have the name" in result.err


def test_what_an_encoding_does_not_have_is_escaped(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii"))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), "ascii"))
    RunDirectory(Path("old")).write_record(make_record("alpha", 1, accuracy=0.51))
    assert benchmark("table", "old").code == 0
    assert b"50.50 \\xb1 5.20" in written.getvalue()
    assert benchmark("run", "\u65e5.yaml").code == 2
