"""The GPU's measurements, as far as a CPU goes: all parts."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import pytest
import torch

from perf.gpu.__main__ import main
from perf.gpu.parts import PARTS
from tests.docs.test_docs import sections
from tests.perf.gpu.command import (
    AS_SHORT_AS_CAN_BE,
    ROOT,
    assert_all_was_measured,
    measure,
    rows_in,
)
from tests.support.sampling import is_drawn, is_whole, sampled

LONG = ["tests", "experiments", "command-line", "trainings"]
QUICK = [part for part in PARTS if part not in LONG]
# On such a commit a long part takes the place of a quick one.
IS_LONG_DRAWN = is_drawn("long parts of perf.gpu", one_in=5)
NOT_DRAWN = "is not in this commit's sample"


@pytest.mark.skipif(IS_LONG_DRAWN and not is_whole(), reason=NOT_DRAWN)
@pytest.mark.parametrize("part", sampled("parts of perf.gpu", QUICK, 1))
def test_a_part_runs_on_a_cpu(part: str) -> None:
    done = measure("--parts", part, "--out", "out")
    assert done.returncode == 0, done.stderr
    assert_all_was_measured(Path("out"), {part})
    assert done.stdout == Path("out/table.md").read_text()


@pytest.mark.skipif(not IS_LONG_DRAWN, reason=NOT_DRAWN)
@pytest.mark.parametrize("part", sampled("which long part of perf.gpu", LONG, 1))
def test_a_part_that_takes_long_runs_on_a_cpu(part: str, archive: Path) -> None:
    done = measure("--parts", part, "--images", str(archive), "--out", "out")
    assert done.returncode == 0, done.stdout
    assert_all_was_measured(Path("out"), {part})
    if part == "tests":
        assert {row["what"].partition("[")[0] for row in rows_in(Path("out"))} == names_of_tests()
    if part in ("command-line", "trainings"):
        with tarfile.open("out/records.tar") as packed:
            names = packed.getnames()
        assert sum(name.endswith("/trial.json") for name in names) >= 2
        assert not any(name.endswith((".safetensors", ".npy", ".pt")) for name in names)


def names_of_tests() -> set[str]:
    """The tests that ``perf/cuda`` has."""
    files = (ROOT / "perf" / "cuda").glob("test_*.py")
    return {
        name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)
    }


def test_the_page_has_all_parts_in_their_order() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([\w-]+)` \|", sections(page)["On a GPU"], re.M) == [*PARTS]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", ["cuda", "cuda:1", "tpu"])
def test_a_device_that_is_not_there_is_refused_before_anything_is_measured(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--device", name, "--out", "out"])
    written = capsys.readouterr()
    assert written.out == ""
    (line,) = written.err.splitlines()
    assert line.startswith("perf.gpu: error: ")
    assert name in line
    # The remedy; that it works is what all else here shows.
    assert "cpu" in line
    assert not Path("out").exists()


def test_images_that_do_not_exist_are_refused_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*AS_SHORT_AS_CAN_BE, "--images", "gone.tar.xz", "--out", "out"])
    assert capsys.readouterr().err == "perf.gpu: error: --images: gone.tar.xz does not exist\n"
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--batch-size", "0"), "argument --batch-size: should be 1 or more"),
        (("--repeats", "0"), "argument --repeats: should be 1 or more"),
        (("--seeds", "-1"), "argument --seeds: should be 1 or more"),
        (("--count", "10", "--batch-size", "32"), "--count: 10 images make no batch of 32"),
        (("--budget-seconds", "nan"), "should be a number of seconds above 0"),
        (("--budget-seconds", "-5"), "should be a number of seconds above 0"),
        (("--out", "a file"), "--out: a file: "),
        (("--out", "foreign"), "rows.jsonl is not what an earlier command has left there"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(
    wrong: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a file").touch()
    Path("foreign").mkdir()
    Path("foreign/rows.jsonl").write_text("garbage\n")
    with pytest.raises(SystemExit, match="2"):
        main([*AS_SHORT_AS_CAN_BE, "--out", "out", *wrong])
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert Path("foreign/rows.jsonl").read_text() == "garbage\n"
    assert not Path("out").exists()
