"""Run directories: what is written can be read, and what is damaged is named and left out."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import numpy
import pytest
from hypothesis import given, settings, strategies as st

from benchmark.catalog.shelves import load_catalog
from benchmark.config.run_config import find_document, load_config
from benchmark.config.variants import ChosenModel
from benchmark.errors import StoreError
from benchmark.files import writing as files
from benchmark.files.writing import write_atomically
from benchmark.plain_data import canonical_json
from benchmark.records import (
    TrialRecord,
    pack_bits,
)
from benchmark.store import directory as store
from benchmark.store.description import RunDescription
from benchmark.store.directory import RunDirectory
from tests.conftest import CommandLine
from tests.support.made_records import (
    IDENTITY,
    PROTOCOL,
    failed_record,
    make_epoch,
    make_key,
    make_planned,
    make_record,
)
from tests.support.sampling import examples

CHOSEN = tuple(ChosenModel(name=name, label=name) for name in ("alpha", "beta"))
# The versions that the run has records of.
VERSIONS = [("alpha", IDENTITY), ("beta", IDENTITY)]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run of three recorded trials of two models."""
    directory = RunDirectory.of(tmp_path / "runs", "sample", PROTOCOL)
    config = load_config(find_document("quickstart"), load_catalog())
    description = RunDescription(
        config=config.model_copy(update={"models": CHOSEN, "seeds": (0, 1)}),
        variants=(make_planned("alpha", 0, 1), make_planned("beta", 0, 1)),
        protocol=PROTOCOL,
        environment={"processor": "a processor", "threads": 2},
    )
    directory.write_description(description)
    for record in (make_record("alpha", 0), make_record("alpha", 1), failed_record("beta", 0)):
        directory.write_record(record)
    return directory


def record_file(run: RunDirectory, model: str = "alpha", seed: int = 0) -> Path:
    return run.trial_directory(make_key(model, seed)) / "trial.json"


def rows(benchmark: CommandLine, run: RunDirectory) -> dict[str, Any]:
    result = benchmark("table", str(run.path), "--format", "json")
    assert result.code == 0
    return {row["model"]: row for row in json.loads(result.out)}


def test_the_layout_is_the_documented_one(run: RunDirectory) -> None:
    assert run.path.name == f"sample-{PROTOCOL.hash[:8]}"
    run.append_epoch(make_key("alpha"), make_epoch(1))
    run.append_epoch(make_key("alpha"), make_epoch(2))
    history = (run.path / f"trials/alpha/{IDENTITY}/seed-0/history.jsonl").read_text().splitlines()
    assert [json.loads(line)["number"] for line in history] == [1, 2]
    record = json.loads((run.path / f"trials/alpha/{IDENTITY}/seed-0/trial.json").read_text())
    assert record["schema"] == 1
    assert set(record) >= {
        *("schema", "status", "reason", "model", "entry", "options", "identity", "origin", "seed"),
        *("core_version", "dataset", "recipe", "recipe_origin", "protocol"),
        *("params", "macs", "epochs", "timing", "peak_memory_bytes", "correct", "environment"),
    }
    assert set(record["origin"]) == {"plugin", "distribution", "version", "source", "libraries"}
    assert set(record["params"]) == {"total", "trainable", "buffers"}
    assert set(record["timing"]) >= {
        *("setup_seconds", "first_epoch_seconds", "epoch_seconds", "total_seconds"),
    }


def test_what_is_written_is_read(run: RunDirectory) -> None:
    complaints: list[str] = []
    records = [*run.read_records(PROTOCOL.hash, complaints.append, VERSIONS)]
    assert records == [make_record("alpha", 0), make_record("alpha", 1), failed_record("beta", 0)]
    assert complaints == []
    assert run.read_description().protocol == PROTOCOL


def cut_short(text: str) -> str:
    return text[: len(text) // 2]


def newer(text: str) -> str:
    return text.replace('"schema":1', '"schema":2')


def better(text: str) -> str:
    return text.replace('"test_accuracy":0.5', '"test_accuracy":0.9')


def of_another_trial(text: str) -> str:
    return json.dumps({**json.loads(text), "seed": 1})


def laid_out_anew(text: str) -> str:
    return json.dumps(json.loads(text), indent=4)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut_short, "it is cut short or damaged: not JSON"),
        (lambda _: "", "it is cut short or damaged: not JSON"),
        (lambda _: "[" * 100_000, "it is cut short or damaged: not JSON"),
        (lambda _: "[]", "it is damaged: not a JSON object"),
        (newer, "it was written by a newer version (schema 2, this one reads up to 1)"),
        (better, "it was altered: its checksum does not match"),
        (of_another_trial, "it was altered: its checksum does not match"),
        (laid_out_anew, "it was altered: its checksum does not match"),
    ],
)
def test_a_damaged_record_is_named_and_the_rest_is_shown(
    benchmark: CommandLine, run: RunDirectory, damage: Any, reason: str
) -> None:
    file = record_file(run)
    file.write_text(damage(file.read_text()))
    result = benchmark("table", str(run.path), "--format", "json")
    assert result.code == 0
    assert f"benchmark: {file} is left out: {reason}" in result.err.splitlines()
    assert [row["seeds"] for row in json.loads(result.out)] == [[1], []]


def test_a_record_that_a_newer_version_wrote_is_named(run: RunDirectory) -> None:
    content = json.loads(record_file(run).read_text())
    del content["checksum"]
    record_file(run).write_bytes(store._sealed(canonical_json({**content, "schema": 2})))
    complaints: list[str] = []
    assert len([*run.read_records(None, complaints.append, VERSIONS)]) == 2
    assert "it was written by a newer version (schema 2, this one reads up to 1)" in complaints[0]


@settings(max_examples=examples(200), deadline=None)
@given(st.data())
def test_no_flipped_byte_of_a_record_goes_unnoticed(data: st.DataObject) -> None:
    record = make_record("alpha", 0)
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder))
        run.write_record(record)
        content = bytearray(record_file(run).read_bytes())
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] ^= data.draw(st.integers(1, 255))
        record_file(run).write_bytes(content)
        complaints: list[str] = []
        found = [*run.read_records(PROTOCOL.hash, complaints.append, VERSIONS)]
        assert (found, len(complaints)) == ([], 1)


def test_bytes_that_are_no_text_are_named(benchmark: CommandLine, run: RunDirectory) -> None:
    record_file(run).write_bytes(b"\xff\xfe\x00")
    assert "not JSON" in benchmark("table", str(run.path)).err


def test_a_record_moved_to_another_trials_place_is_named(run: RunDirectory) -> None:
    record_file(run, "alpha", 1).write_bytes(record_file(run, "alpha", 0).read_bytes())
    complaints: list[str] = []
    assert [*run.read_records(None, complaints.append, VERSIONS)]
    assert len(complaints) == 1
    assert f"it is the record of another trial (alpha, seed 0, version {IDENTITY})" in complaints[0]


def test_a_record_of_another_protocol_is_named(run: RunDirectory) -> None:
    run.write_record(make_record("alpha", 7, protocol="0" * 64))
    complaints: list[str] = []
    records = [*run.read_records(PROTOCOL.hash, complaints.append, VERSIONS)]
    assert len(records) == 3
    assert complaints[0].endswith("it was made under another protocol")


def test_a_renamed_run_can_be_read(benchmark: CommandLine, run: RunDirectory) -> None:
    moved = RunDirectory(run.path.rename(run.path.with_name("kept for the paper")))
    assert set(rows(benchmark, moved)) == {"alpha", "beta"}


def test_a_damaged_description_is_named_and_the_records_are_shown(
    benchmark: CommandLine, run: RunDirectory
) -> None:
    (run.path / "run.json").write_text("{")
    result = benchmark("table", str(run.path))
    assert result.code == 0
    assert "run.json is left out: it is cut short or damaged" in result.err
    assert "alpha" in result.out


def test_keys_that_are_added_later_do_no_harm(run: RunDirectory) -> None:
    write_anew(record_file(run), run, energy_joules=3.5)
    complaints: list[str] = []
    records = [*run.read_records(None, complaints.append, VERSIONS)]
    assert (len(records), complaints) == (3, [])


@pytest.mark.parametrize(
    "change",
    [
        {"status": "splendid"},
        {"seed": -1.5},
        {"params": {"total": "many", "trainable": 1, "buffers": 0}},
        {"epochs": [{"number": 1}]},
        {"dataset": None},
    ],
)
def test_records_are_validated(run: RunDirectory, change: dict[str, Any]) -> None:
    write_anew(record_file(run), run, **change)
    complaints: list[str] = []
    records = [*run.read_records(None, complaints.append, VERSIONS)]
    assert len(records) == 2
    assert next(iter(change)) in complaints[0]


def write_anew(file: Path, run: RunDirectory, **change: Any) -> None:
    """Change a file as somebody would who knows how the checksum is made."""
    content = json.loads(file.read_text())
    del content["checksum"]
    file.write_bytes(store._sealed(json.dumps({**content, **change}).encode()))


@pytest.mark.parametrize(
    ("environment", "device", "caption"),
    [
        ({}, "cpu", "cpu, fp32"),
        ({"processor": "a chip"}, "cpu", "cpu (a chip), fp32"),
        ({"threads": 1}, "cpu", "cpu (1 thread), fp32"),
        ({"gpus": [{"name": "a GPU", "memory": 1}]}, "cuda:0", "cuda:0 (a GPU), fp32"),
        ({"gpus": [{"name": "a GPU"}]}, "cuda:7", "cuda:7, fp32"),
        ({"gpus": []}, "cuda:x", "cuda:x, fp32"),
    ],
)
def test_a_caption_says_what_is_known_of_the_machine(
    benchmark: CommandLine,
    run: RunDirectory,
    environment: dict[str, Any],
    device: str,
    caption: str,
) -> None:
    for file in run.path.rglob("trial.json"):
        write_anew(file, run, device=device, environment=environment)
    result = benchmark("table", str(run.path))
    assert (result.code, result.err) == (0, "")
    assert f"; {caption}." in " ".join(result.out.split())


def test_a_caption_names_every_machine_on_which_a_trial_completed(
    benchmark: CommandLine, run: RunDirectory
) -> None:
    for number, file in enumerate(sorted(run.path.rglob("trial.json"))):
        write_anew(file, run, environment={"processor": f"chip {number}"})
    shown = " ".join(benchmark("table", str(run.path)).out.split())
    # The third did not complete.
    assert "; cpu (chip 0), cpu (chip 1), fp32." in shown


@pytest.mark.parametrize(
    "environment", [None, [], {"gpus": 5}, {"gpus": [{}]}, {"threads": "many"}, {"processor": {}}]
)
def test_an_environment_that_makes_no_sense_is_named(
    benchmark: CommandLine, run: RunDirectory, environment: Any
) -> None:
    write_anew(run.path / "run.json", run, environment=environment)
    result = benchmark("table", str(run.path))
    assert result.code == 0
    assert "run.json is left out: environment" in result.err
    assert "alpha" in result.out


class FullDisk:
    """Stands for os.fsync on a disk without room."""

    def __call__(self, descriptor: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_old_record(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    monkeypatch.setattr(files.os, "fsync", FullDisk())
    with pytest.raises(StoreError, match=r"trial\.json: cannot be written: No space left"):
        run.write_record(make_record("alpha", 0, accuracy=0.9))
    with pytest.raises(StoreError, match="No space left"):
        run.write_record(make_record("gamma", 0))
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_records_have_the_users_permissions(run: RunDirectory) -> None:
    mask = os.umask(0)
    os.umask(mask)
    assert record_file(run).stat().st_mode & 0o777 == 0o666 & ~mask


@given(st.binary(), st.binary())
def test_an_atomic_write_leaves_the_new_content_and_nothing_else(old: bytes, new: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        for content in (old, new):
            write_atomically(file, content)
            assert file.read_bytes() == content
        assert [path.name for path in Path(folder).iterdir()] == ["file"]


@given(st.lists(st.booleans(), min_size=1, max_size=100))
def test_the_bits_of_a_record_are_those_that_were_packed(correct: list[bool]) -> None:
    dataset = make_record().dataset.model_copy(update={"test_images": len(correct)})
    record = make_record(dataset=dataset, correct=pack_bits(correct))
    again = TrialRecord.model_validate_json(record.model_dump_json(by_alias=True))
    unpacked = again.correct_images
    assert unpacked is not None
    assert numpy.array_equal(unpacked, correct)
