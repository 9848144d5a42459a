"""Records, descriptions and checkpoints that make no sense, by every way that a field can.

Each is sealed again, as by somebody who knows how the checksum is made. It costs its own line.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import io
import json
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st

from benchmark.store.directory import RunDirectory
from benchmark.training.checkpoint import NEWEST, PREVIOUS
from benchmark_plugins.trackers.log import TrialLog
from tests.conftest import CommandLine, Result
from tests.support.made_records import IDENTITY, make_record
from tests.support.sampling import examples
from tests.support.tiny import write_tiny_run
from tests.support.trial_files import folder_in

ABSURD: list[Any] = [
    *(math.nan, math.inf, -math.inf, 1e308, -1e308, -1, -0.5, 0, 2, 10**18, 10**300, -(10**300)),
    *(True, None, "", "absurd", "\x1b[2J", "\ud800", "x" * 5_000, [], [[]], {}, {"name": None}),
]

sweep = settings(
    deadline=None,
    max_examples=examples(40),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in plain data."""
    if here:
        yield here
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items if isinstance(value, dict | list) else ():
        if isinstance(item, dict | list):
            yield from places(item, (*here, key))
        else:
            yield (*here, key)


def altered(content: Any, place: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(content)
    owner = functools.reduce(lambda item, key: item[key], place[:-1], changed)
    if value is MISSING:
        del owner[place[-1]]
    else:
        owner[place[-1]] = value
    return changed


MISSING = object()


def sealed(content: dict[str, Any]) -> str:
    """As ``store`` seals, whatever the content is."""
    content = {key: value for key, value in content.items() if key != "checksum"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    checksum = hashlib.sha256(text.encode()).hexdigest()
    return f'{{"checksum":"{checksum}",{text[1:]}\n'


def assert_is_in_words(result: Result) -> None:
    assert result.code in (0, 1, 2), result.err
    assert "Traceback" not in result.err
    for line in result.err.splitlines():
        assert len(line) < 2_000
        assert line.isprintable(), line


# Records and descriptions, through the commands that read them.


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a run of two models and two seeds was carried out."""
    return tmp_path_factory.mktemp("soundness") / "trained"


@pytest.fixture
def arguments(benchmark: CommandLine, tmp_path: Path, trained: Path) -> list[str]:
    """Those of the run that is in the present folder, complete."""
    arguments = [*write_tiny_run(tmp_path), "--format", "json"]
    if trained.exists():
        shutil.copytree(trained, "runs")
    else:
        assert benchmark(*arguments).code == 0
        shutil.copytree("runs", trained)
    return arguments


def only_run() -> Path:
    (folder,) = Path("runs").iterdir()
    return folder


def rows(result: Result) -> dict[str, Any]:
    return {row["model"]: row for row in json.loads(result.out)}


def record_file() -> Path:
    return folder_in(only_run(), "tiny") / "trial.json"


@sweep
@given(st.data())
def test_a_record_that_makes_no_sense_costs_its_own_line(
    benchmark: CommandLine, arguments: list[str], data: st.DataObject
) -> None:
    file = record_file()
    before = file.read_bytes()
    content = json.loads(before)
    place = data.draw(st.sampled_from(sorted(places(content), key=str)))
    value = data.draw(st.sampled_from([*ABSURD, MISSING]))
    try:
        file.write_text(sealed(altered(content, place, value)))
        sound = rows(benchmark("table", str(only_run()), "--format", "json", "-p", "tiny.py"))
        shown = benchmark("table", str(only_run()))
        assert_is_in_words(shown)
        assert shown.code == 0
        # The other model's row, and the other seed.
        assert sound["twin"]["seeds"] == [0, 1]
        assert [seeds for row in sound.values() for seeds in row["seeds"]].count(1) == 2
        is_refused = f"{file} is left out: " in shown.err
        complete = [row for row in sound.values() if row["seeds"] == [0, 1]]
        assert is_refused or complete
        for row in sound.values():
            assert row["test_accuracy"] is None or 0 <= row["test_accuracy"] <= 1
        listed = benchmark("runs")
        assert_is_in_words(listed)
        count, planned = re.search(r"(\d+) of (\d+)", listed.out).groups()  # type: ignore[union-attr]
        assert int(count) <= int(planned)
    finally:
        file.write_bytes(before)


@sweep
@given(st.data())
def test_a_description_that_makes_no_sense_costs_the_caption(
    benchmark: CommandLine, arguments: list[str], data: st.DataObject
) -> None:
    file = only_run() / "run.json"
    before = file.read_bytes()
    content = json.loads(before)
    place = data.draw(st.sampled_from(sorted(places(content), key=str)))
    value = data.draw(st.sampled_from([*ABSURD, MISSING]))
    try:
        file.write_text(sealed(altered(content, place, value)))
        for result in (benchmark("table", str(only_run())), benchmark("runs")):
            assert_is_in_words(result)
            assert result.code == 0
        assert only_run().name in result.out
        if f"{file} is left out" in benchmark("table", str(only_run())).err:
            found = rows(benchmark("table", str(only_run()), "--format", "json"))
            assert [row["seeds"] for row in found.values()] == [[0, 1], [0, 1]]
            assert "unreadable" in result.out
    finally:
        file.write_bytes(before)


@settings(sweep, max_examples=examples(6))
@given(st.data())
def test_what_makes_no_sense_is_trained_again(
    benchmark: CommandLine, arguments: list[str], trained: Path, data: st.DataObject
) -> None:
    shutil.rmtree("runs")
    shutil.copytree(trained, "runs")
    files = [record_file(), only_run() / "run.json"]
    for file in files:
        content = json.loads(file.read_bytes())
        place = data.draw(st.sampled_from(sorted(places(content), key=str)))
        value = data.draw(st.sampled_from([*ABSURD, MISSING]))
        file.write_text(sealed(altered(content, place, value)))
    result = benchmark(*arguments)
    assert_is_in_words(result)
    # A device of another kind is refused, as if the run had been carried out on it.
    assert result.code == 0 or "has results of" in result.err
    if result.code == 0:
        assert [row["seeds"] for row in rows(result).values()] == [[0, 1], [0, 1]]
    else:
        assert benchmark(*arguments, "--fresh").code == 0


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"epochs": []}, "it completed without an epoch"),
        ({"correct": None}, "it completed, but has no correct"),
        ({"correct": "AAAAAA=="}, "correct has 32 bits for 20 test images"),
        ({"correct": "?"}, "correct is not base64"),
        ({"correct": "////"}, "the last epoch's test_accuracy is not the share of correct images"),
        ({"macs": -1}, "macs is -1"),
        ({"macs": 10**300}, "macs is out of range"),
        ({"seed": -1}, None),
        ({"peak_memory_bytes": -5}, "peak_memory_bytes is -5"),
        ({"device": "cuda:" + "1" * 4_000}, "device is 'cuda:111"),
        ({"dataset.image": [3, 0, 8]}, "dataset.image is 0"),
        ({"dataset.class_counts": [10, 10]}, "dataset.class_counts has 2 classes of 10"),
        (
            {"dataset.class_counts": [2] * 9 + [3]},
            "dataset.class_counts is not of all 20 test images",
        ),
        (
            {"recipe": {"name": "adam", "options": {"rate": math.nan}, "identity": IDENTITY}},
            "recipe.rate is nan",
        ),
        ({"options": {"width": [1, math.nan]}}, "options.width.1 is nan"),
        ({"entry": "no name/"}, "a model cannot have the name 'no name/'"),
        (
            {"params": {"total": 1, "trainable": 2, "buffers": 0}},
            "params has more trainable values, or values in buffers, than in all",
        ),
        ({"environment": {"load": [0.5, 10**300]}}, "environment.load.1 is out of range"),
        ({"environment": {"load": math.nan}}, "environment.load is nan"),
        ({"batch_size": 8}, "protocol does not match its settings and its number of epochs (2)"),
    ],
)
def test_what_is_wrong_with_a_record_is_said(
    benchmark: CommandLine, arguments: list[str], change: dict[str, Any], fault: str | None
) -> None:
    content = json.loads(record_file().read_bytes())
    for place, value in change.items():
        content = altered(content, tuple(place.split(".")), value)
    record_file().write_text(sealed(content))
    shown = benchmark("table", str(only_run()))
    (line,) = shown.err.splitlines()
    assert line.startswith(f"benchmark: {record_file()} is left out: ")
    if fault is not None:
        assert re.search(rf"it makes no sense: .*{re.escape(fault)}", line)


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("test_accuracy", 7.5, "epochs.1.test_accuracy is 7.5, not between 0 and 1"),
        ("number", 1, "epochs.1.number is 1, not 2"),
        ("train_seconds", -3.0, "epochs.1.train_seconds is -3"),
    ],
)
def test_what_is_wrong_with_an_epoch_is_said(
    benchmark: CommandLine, arguments: list[str], field: str, value: Any, fault: str
) -> None:
    content = json.loads(record_file().read_bytes())
    record_file().write_text(sealed(altered(content, ("epochs", 1, field), value)))
    assert f"is left out: it makes no sense: {fault}" in benchmark("table", str(only_run())).err


def test_a_record_that_lacks_epochs_did_not_complete(
    benchmark: CommandLine, arguments: list[str]
) -> None:
    content = json.loads(record_file().read_bytes())
    record_file().write_text(sealed({**content, "epochs": content["epochs"][:1]}))
    assert (
        "protocol does not match its settings and its number of epochs (1)"
        in benchmark(*arguments).err
    )


@pytest.mark.parametrize(
    "text", ['{"macs": NaN}', '{"macs": -Infinity}', '{"macs": 1e999}', '{"macs": 1%s}']
)
def test_a_number_that_is_none_is_said(
    benchmark: CommandLine, arguments: list[str], text: str
) -> None:
    for file in (record_file(), only_run() / "run.json"):
        file.write_text(text.replace("%s", "0" * 5_000))
    shown = benchmark("table", str(only_run()))
    assert_is_in_words(shown)
    assert shown.err.count("is left out: it makes no sense: it has ") == 2
    assert benchmark("runs").out.count("unreadable") == 1
    assert benchmark(*arguments).code == 0


def test_without_a_description_a_strange_record_does_not_hide_the_others(
    benchmark: CommandLine, arguments: list[str]
) -> None:
    (only_run() / "run.json").write_text("{")
    # The first that is found, and of another protocol.
    RunDirectory(only_run()).write_record(make_record("aaa", 0))
    shown = benchmark("table", str(only_run()), "--format", "json")
    assert list(rows(shown)) == ["tiny", "twin"]
    file = f"aaa/{IDENTITY}/seed-0/trial.json"
    assert f"{file} is left out: it was made under another protocol" in shown.err


def test_runs_never_counts_more_trials_than_there_are(
    benchmark: CommandLine, arguments: list[str]
) -> None:
    file = only_run() / "run.json"
    content = json.loads(file.read_bytes())
    file.write_text(sealed({**content, "variants": [{**content["variants"][0], "seeds": [0]}]}))
    assert "4 of 4" in benchmark("runs").out


def test_a_description_that_has_a_trial_twice_is_named(
    benchmark: CommandLine, arguments: list[str]
) -> None:
    file = only_run() / "run.json"
    content = json.loads(file.read_bytes())
    variants = [*content["variants"], content["variants"][0]]
    file.write_text(sealed({**content, "variants": variants}))
    assert "it makes no sense: variants has one twice" in benchmark("table", str(only_run())).err


# Checkpoints, through a run that goes on.


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("soundness") / "stopped"


@pytest.fixture
def unfinished(benchmark: CommandLine, tmp_path: Path, stopped: Path) -> list[str]:
    """The arguments of a run of one trial that was stopped after its second epoch of four."""
    arguments = [
        *write_tiny_run(tmp_path),
        *("-m", "tiny", "--seeds", "1", "--epochs", "4", "-r", "sgd_onecycle", "--format", "json"),
        *("--set", "checkpoint_every=1"),
    ]
    if stopped.exists():
        shutil.copytree(stopped, "runs")
        return arguments

    def interrupt(log: TrialLog, epoch: Any) -> None:
        if epoch.number == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrialLog, "on_epoch_end", interrupt)
        assert benchmark(*arguments).code == 130
    shutil.copytree("runs", stopped)
    return arguments


def trial() -> Path:
    return folder_in(only_run(), "tiny")


def read_checkpoint(file: Path) -> tuple[bytes, Any]:
    _, head, payload = file.read_bytes().split(b"\n", 2)
    return head, torch.load(io.BytesIO(payload), weights_only=True)


def write_checkpoint(file: Path, head: bytes, content: Any) -> None:
    payload = io.BytesIO()
    torch.save(content, payload)
    write_payload(file, head, payload.getvalue())


def write_payload(file: Path, head: bytes, payload: bytes) -> None:
    rest = head + b"\n" + payload
    file.write_bytes(hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest)


SENSELESS: list[Any] = [
    *(math.nan, math.inf, -1, -0.5, 10**9, 10**300, None, "absurd", [], {}, True, MISSING),
    *(torch.zeros(3, 5), torch.zeros(0), torch.tensor([True]), torch.zeros((), dtype=torch.int8)),
]


@settings(sweep, max_examples=examples(12))
@given(st.data())
def test_a_checkpoint_that_makes_no_sense_leaves_the_one_before(
    benchmark: CommandLine, unfinished: list[str], stopped: Path, data: st.DataObject
) -> None:
    shutil.rmtree("runs")
    shutil.copytree(stopped, "runs")
    head, content = read_checkpoint(trial() / NEWEST)
    place = data.draw(st.sampled_from(sorted(places(content), key=str)))
    value = data.draw(st.sampled_from(SENSELESS))
    write_checkpoint(trial() / NEWEST, head, altered(content, place, value))
    result = benchmark(*unfinished)
    assert_is_in_words(result)
    record = json.loads((trial() / "trial.json").read_bytes())
    if "param_groups" in place and record["status"] == "diverged":
        # A weight decay of a thousand millions is a number like any other.
        return
    assert (result.code, record["status"]) == (0, "completed"), record["reason"]
    assert [epoch["number"] for epoch in record["epochs"]] == [1, 2, 3, 4]
    is_named = f"benchmark: tiny, seed 0: {NEWEST} is left out: it " in result.err
    went_on_from = 1 if is_named else 2
    assert f"goes on after epoch {went_on_from} of 4" in result.err
    if (value is MISSING and len(place) == 1) or place[-1] in ("steps_taken", "correct", "number"):
        assert is_named


@pytest.mark.parametrize(
    "head",
    [
        *(b"", b"[]", b"{}", b"\xff", b"[" * 9_000, b'{"conditions": NaN}'),
        *(b'{"conditions": 5}', b'{"conditions": {"seed": 0}}'),
        b'{"conditions": {"seed": "another"}}',
    ],
)
def test_a_checkpoint_whose_head_makes_no_sense_leaves_the_one_before(
    benchmark: CommandLine, unfinished: list[str], head: bytes
) -> None:
    _, content = read_checkpoint(trial() / NEWEST)
    write_checkpoint(trial() / NEWEST, head, content)
    result = benchmark(*unfinished)
    assert result.code == 0
    assert f"benchmark: tiny, seed 0: {NEWEST} is left out: it " in result.err
    assert "goes on after epoch 1 of 4" in result.err


@pytest.mark.parametrize("payload", [b"", b"no archive", b"PK\x03\x04", b"\x80\x02}q\x00."])
def test_a_checkpoint_that_pytorch_cannot_read_leaves_the_one_before(
    benchmark: CommandLine, unfinished: list[str], payload: bytes
) -> None:
    head, _ = read_checkpoint(trial() / NEWEST)
    write_payload(trial() / NEWEST, head, payload)
    result = benchmark(*unfinished)
    assert result.code == 0
    assert f"benchmark: tiny, seed 0: {NEWEST} is left out: it " in result.err
    assert "goes on after epoch 1 of 4" in result.err


def test_a_training_whose_checkpoints_make_no_sense_starts_over_as_if_there_were_none(
    benchmark: CommandLine, unfinished: list[str]
) -> None:
    undisturbed = benchmark(*unfinished, "--out", "other")
    for name in (NEWEST, PREVIOUS):
        head, content = read_checkpoint(trial() / name)
        # Found only when the weights are back in their place.
        state = content["training"]["optimizers"][0]["state"]
        state[0]["momentum_buffer"] = torch.zeros(3)
        write_checkpoint(trial() / name, head, content)
    result = benchmark(*unfinished)
    assert result.code == 0
    for name in (NEWEST, PREVIOUS):
        assert f"{name} is left out: it makes no sense: the optimiser's momentum_b" in result.err
    assert "goes on after" not in result.err
    figures = ("test_accuracy", "seeds")
    assert [rows(result)["tiny"][name] for name in figures] == [
        rows(undisturbed)["tiny"][name] for name in figures
    ]
