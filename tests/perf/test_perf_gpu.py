"""The GPU's measurements, as far as a CPU goes: all parts, and what becomes of rows that fail."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import venv
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image
from torch import nn

from perf.gpu import cuda_tests, profiling
from perf.gpu.__main__ import main
from perf.gpu.epochs import compare_engines, peak_share, relative_distance
from perf.gpu.jobs import GRAPHS_NEED_CUDA, SkippedError
from perf.gpu.options import Options
from perf.gpu.parts import PARTS
from perf.gpu.rows import TABLE_HEAD, Results, make_row, shown, table_row
from tests.docs.test_docs import sections
from tests.support.sampling import is_drawn, sampled

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
AS_SHORT_AS_CAN_BE = (
    *("--device", "cpu", "--count", "16", "--batch-size", "8", "--batch-sizes", "16"),
    *("--repeats", "1", "--epochs", "1", "--seeds", "1"),
)
# What a CPU cannot measure, and says so.
REASONS = {None, GRAPHS_NEED_CUDA, "needs a CUDA GPU", "needs two CUDA GPUs"}
NO_GPU = "there is no GPU of NVIDIA's, or no nvidia-smi to ask"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of 128 training and 8 test images in two classes."""
    folder = tmp_path_factory.mktemp("archive")
    generator = numpy.random.default_rng(0)
    for split, count in (("train", 64), ("test", 4)):
        for name in ("cat", "dog"):
            target = folder / "tiny" / split / name
            target.mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 256, (32, 32, 3), numpy.uint8)
                Image.fromarray(pixels).save(target / f"{index}.png")
    packed = folder / "tiny.tar.xz"
    with tarfile.open(packed, "w:xz") as content:
        content.add(folder / "tiny", "tiny")
    return packed


def environment(**changes: str) -> dict[str, str]:
    """This process's, with one thread: others are at work beside the tests."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "PYTHON", "BENCHMARK_"))
    }
    return {**own, "OMP_NUM_THREADS": "1", **changes}


def measure(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "perf.gpu", *AS_SHORT_AS_CAN_BE, *arguments],
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
    )


def rows_in(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]


def assert_all_was_measured(out: Path, parts: set[str]) -> None:
    rows = rows_in(out)
    assert {row["part"] for row in rows} == parts
    failed = [row for row in rows if row["status"] == "failed"]
    assert failed == [], (out / "log.txt").read_text()
    assert {row["reason"] for row in rows} <= REASONS | {NO_GPU}
    assert all(row["figures"] for row in rows if row["status"] == "measured")
    files = [*out.iterdir()]
    assert all(file.is_file() for file in files)
    assert len(files) <= 8


LONG = ["tests", "experiments", "command-line", "trainings"]
QUICK = [part for part in PARTS if part not in LONG]


@pytest.mark.parametrize("part", sampled("parts of perf.gpu", QUICK, 1))
def test_a_part_runs_on_a_cpu(part: str) -> None:
    done = measure("--parts", part, "--out", "out")
    assert done.returncode == 0, done.stderr
    assert_all_was_measured(Path("out"), {part})
    assert done.stdout == Path("out/table.md").read_text()


@pytest.mark.skipif(
    not is_drawn("long parts of perf.gpu", one_in=3), reason="is not in this commit's sample"
)
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


def test_images_that_do_not_exist_are_refused_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*AS_SHORT_AS_CAN_BE, "--images", "gone.tar.xz", "--out", "out"])
    assert "--images: gone.tar.xz does not exist" in capsys.readouterr().err
    assert not Path("out").exists()


# What becomes of a measurement that fails, in whatever way, and of those after it.

SCRIPT = r"""
import os, signal, sys, time
from pathlib import Path
from perf.gpu import processes
from perf.gpu.jobs import Job, Measurement, SkippedError
from perf.gpu.processes import Conductor
from perf.gpu.rows import Results


def raises():
    raise RuntimeError("CUDA error: a | b\nand more")


def skips():
    raise SkippedError("not here")


def breaks_in_set_up():
    yield Measurement("before", dict)
    raise LookupError("no such thing")


processes.LEAST_SECONDS = 0.5
ways = {
    "measures": lambda: {"pid": os.getpid(), "reason": "because"},
    "raises": raises,
    "skips": skips,
    "exits": lambda: sys.exit(3),
    "vanishes": lambda: os._exit(3),
    "is killed": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "hangs": lambda: time.sleep(600),
    "starts others": lambda: {"child": os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "600")},
}


def carry_out(budget, *names, seconds=60.0):
    out = Path("out")
    results = Results(out)
    conductor = Conductor(results, out / "log.txt", time.monotonic() + budget)
    job = Job("the job", seconds, lambda: iter([Measurement(n, ways[n]) for n in names]))
    conductor.carry_out("part", job)
    conductor.carry_out("part", Job("the next", 60.0, breaks_in_set_up))
"""


def carry_out(program: str) -> dict[str, dict[str, Any]]:
    """The rows of jobs of one's own, by what they are of."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + program],
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == Path("out/table.md").read_text()
    return {row["what"]: row for row in rows_in(Path("out"))}


def test_a_measurement_that_fails_is_a_row_with_its_reason_and_costs_no_other() -> None:
    names = ("raises", "skips", "exits", "vanishes", "is killed", "measures", "starts others")
    rows = carry_out(f"carry_out(100, *{names})")
    assert {name: (row["status"], row["reason"]) for name, row in rows.items()} == {
        "raises": ("failed", "RuntimeError: CUDA error: a | b"),
        "skips": ("skipped", "not here"),
        "exits": ("failed", "SystemExit: 3"),
        "vanishes": ("failed", "its process ended with exit code 3; see log.txt"),
        "is killed": ("failed", "its process ended by SIGSEGV; see log.txt"),
        "measures": ("measured", "because"),
        "starts others": ("measured", None),
        "before": ("measured", None),
        "the next": ("failed", "LookupError: no such thing"),
    }
    assert ", in raises\n" in Path("out/errors.txt").read_text()
    assert r"RuntimeError: CUDA error: a \| b |" in Path("out/table.md").read_text()
    assert has_ended(rows["starts others"]["figures"]["child"])


def has_ended(process: int) -> bool:
    """Whether a process that is not ours has ended, or soon does."""
    for _ in range(500):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_a_measurement_that_takes_too_long_costs_no_other() -> None:
    rows = carry_out("carry_out(100, 'hangs', 'measures', seconds=2.0)")
    assert (rows["hangs"]["status"], rows["hangs"]["reason"]) == (
        "failed",
        "it took longer than 2 s",
    )
    assert rows["measures"]["status"] == "measured"


def test_no_job_is_begun_when_the_time_is_up_and_each_has_a_row() -> None:
    rows = carry_out("carry_out(2, 'measures', 'hangs', 'skips')")
    assert {name: (row["status"], row["reason"]) for name, row in rows.items()} == {
        "measures": ("measured", "because"),
        "hangs": ("skipped", "cut off: the time is up"),
        "the next": ("skipped", "the time is up"),
    }


@pytest.mark.parametrize("number", sampled("stops", [signal.SIGINT, signal.SIGTERM], 1))
def test_a_command_that_is_stopped_ends_what_it_started_and_keeps_its_rows(number: int) -> None:
    command = [sys.executable, "-m", "perf.gpu", *AS_SHORT_AS_CAN_BE, "--out", "out"]
    with subprocess.Popen(
        [*command, "--parts", "machine", "depthwise"],
        env=environment(PYTHONPATH=str(ROOT)),
        stdout=subprocess.PIPE,
        text=True,
        # As a terminal does, also where the tests' own process ignores an interrupt.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout is not None
        while "versions" not in process.stdout.readline():
            pass
        process.send_signal(number)
        rest = process.stdout.read()
    assert process.returncode == 130
    rows = rows_in(Path("out"))
    assert rows[0]["what"] == "versions"
    assert len(rows) == 1 + len(rest.splitlines())
    # No process of it is left: all have its folder for their log.
    assert not any(is_of(folder, "out") for folder in Path("/proc").glob("[0-9]*"))


def is_of(process: Path, out: str) -> bool:
    try:
        return (
            f"--out\0{out}\0" in (process / "cmdline").read_text()
            and (process / "cwd").resolve() == Path.cwd()
        )
    except OSError:
        return False


def test_rows_are_read_again_but_for_one_that_was_cut_off(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Results(Path("out")).add(make_row("part", "first", "measured", {"seconds": 1.0}))
    with Path("out/rows.jsonl").open("a") as file:
        file.write('{"part": "cut')
    capsys.readouterr()
    Results(Path("out")).add(make_row("part", "second", "measured"))
    assert [row["what"] for row in rows_in(Path("out"))] == ["first", "second"]
    table = Path("out/table.md").read_text().splitlines()
    assert [line.split(" | ")[1] for line in table[2:]] == ["first", "second"]
    assert capsys.readouterr().out.splitlines() == [*TABLE_HEAD.splitlines(), table[-1]]


def test_a_row_has_medians_with_their_spread_and_stays_on_one_line() -> None:
    figures = {"seconds": [0.8, 0.93333, 0.9], "captured": True, "of_peak": None, "images": 50_000}
    row = make_row("part", "what", "measured", figures, "a | b\nc")
    assert table_row(row) == (
        "| part | what | measured | seconds 0.9 (0.8 to 0.9333), captured yes, of_peak -, "
        "images 50000 | a \\| b c |"
    )
    assert shown(["a", "b"]) == "['a', 'b']"


# The figures.


def small_options(tmp_path: Path) -> Options:
    return Options(
        out=tmp_path,
        work=tmp_path,
        device_name="cpu",
        images=None,
        count=19,
        batch_size=8,
        batch_sizes=(16,),
        repeats=2,
        epochs=1,
        seeds=1,
    )


def test_both_engines_see_the_same_seed_and_on_a_cpu_are_the_same(tmp_path: Path) -> None:
    row = compare_engines(small_options(tmp_path), "separable_cnn", "adam", batch_size=8)
    assert (row["images"], row["captured"], row["of_peak"]) == (16, False, None)
    assert len(row["seconds"]) == len(row["eager_seconds"]) == 2
    assert row["difference"] == row["control"] == 0
    # 5.01 million multiply-accumulates, six operations each, 16 images an epoch.
    epoch_operations = row["flops"] * float(numpy.median(row["seconds"]))
    assert epoch_operations == pytest.approx(6 * 5.01e6 * 16, rel=0.01)


def test_the_distance_of_two_models() -> None:
    left, right = nn.Linear(3, 1, bias=False), nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        left.weight.copy_(torch.tensor([[3.0, 0.0, 4.0]]))
        right.weight.copy_(torch.tensor([[0.0, 0.0, 4.0]]))
    assert relative_distance(left, right) == pytest.approx(3 / 4)
    assert peak_share(1e12, CPU) is None


def test_a_trace_is_counted_by_what_ran_on_the_device() -> None:
    events = [
        {"cat": "kernel", "name": "add", "dur": 2.0},
        {"cat": "kernel", "name": "add", "dur": 3.0},
        {"cat": "gpu_memset", "name": "set", "dur": 1.0},
        {"cat": "cpu_op", "name": "aten::add", "dur": 9.0},
        {"cat": "kernel", "name": "without a duration"},
        {"name": "process_name"},
    ]
    trace = {"traceEvents": events}
    assert profiling.read_trace(trace, has_cuda=True) == {"add": (2, 5.0), "set": (1, 1.0)}
    assert profiling.read_trace(trace, has_cuda=False) == {"aten::add": (1, 9.0)}
    with pytest.raises(LookupError, match="the profiler saw none of"):
        profiling.read_trace({"traceEvents": []}, has_cuda=True)


def test_without_pytest_the_tests_are_skipped_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (measurement,) = cuda_tests.measurements(small_options(tmp_path))
    with pytest.raises(SkippedError, match="make perf-gpu-wheels"):
        measurement.measure()


# As it is carried out on the GPU's machine: from wheels.


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which the wheel is built, and whose own packages cannot be imported then."""
    for name in ("Makefile", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("benchmark", "plugins", "configs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    ignored = shutil.ignore_patterns("__pycache__", ".*", "wheels", "*.json")
    shutil.copytree(ROOT / "perf", tmp_path / "perf", ignore=ignored)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    subprocess.run(
        [*build, "-w", "perf/wheels", "."], cwd=tmp_path, check=True, capture_output=True
    )
    for name in ("benchmark", "plugins"):
        (tmp_path / name / "__init__.py").write_text("raise ImportError('the checkout, no wheel')")
    return tmp_path


@pytest.fixture
def other_python(tmp_path: Path) -> Path:
    """A Python that has PyTorch and all else that is installed here, but not the project.

    A folder that is named in a .pth file is one to import from, but its own .pth files, by which
    an editable install is found, are not read.
    """
    folder = tmp_path / "machine"
    venv.create(folder, symlinks=True)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    (site_packages / "torch.pth").write_text(f"{Path(torch.__file__).parents[1]}\n")
    return folder / "bin" / "python"


MAKE = "make perf-gpu IMAGES=cifar10-jpeg.tar.xz"
PLAIN = "perf.gpu --out"


def commands_on_the_page() -> list[str]:
    """The lines that the page has one type on the GPU's machine."""
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    return re.findall(r"^\$ (.*)$", sections(page)["On a GPU"], re.MULTILINE)


@pytest.mark.skipif(
    not is_drawn("wheel for a GPU", one_in=3), reason="is not in this commit's sample"
)
@pytest.mark.parametrize("way", sampled("ways to measure on a GPU", ["make", "plain"], 1))
def test_what_the_page_has_one_type_needs_nothing_of_the_project_but_its_wheel(
    way: str, checkout: Path, other_python: Path, archive: Path
) -> None:
    absent = subprocess.run([other_python, "-P", "-c", "import benchmark"], capture_output=True)
    assert b"No module named 'benchmark'" in absent.stderr
    options = shlex.join((*AS_SHORT_AS_CAN_BE, "--parts", "machine", "set-up"))
    typed = commands_on_the_page()
    if way == "make":
        (command,) = [line for line in typed if line.startswith(MAKE)]
        lines = [f"{command} PYTHON={other_python} OPTIONS={shlex.quote(options)}"]
        out = checkout / "perf" / "gpu-results"
    else:
        (number,) = [index for index, line in enumerate(typed) if PLAIN in line]
        lines = [typed[number - 1], f"{typed[number]} {options}"]
        out = checkout / "results"
    shutil.copy(archive, checkout / "cifar10-jpeg.tar.xz")
    # Where Python is the machine's.
    machine = environment(PATH=f"{other_python.parent}:{os.environ['PATH']}")
    done = subprocess.run(
        ["bash", "-ec", "\n".join(lines)],
        cwd=checkout,
        env=machine,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (out / "table.md").read_text() in done.stdout
    assert_all_was_measured(out, {"machine", "set-up"})
    described = json.loads((out / "environment.json").read_text())
    assert described["benchmark"] != str(checkout / "benchmark")


def needed_by(*names: str) -> set[str]:
    """What packages need at last, themselves among it, whatever of it is installed here."""
    found: set[str] = set()
    waiting = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        try:
            wanted = [Requirement(line) for line in requires(name) or ()]
        except PackageNotFoundError:
            continue
        waiting += [
            canonicalize_name(requirement.name)
            for requirement in wanted
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        ]
    return found


def test_all_that_is_needed_beside_pytorch_is_among_the_wheels() -> None:
    command = ["make", "--dry-run", "perf-gpu-wheels"]
    recipe = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    (downloaded,) = re.findall(r"-c constraints\.txt ((?:\\\n|.)*)", recipe)
    of_the_machine = needed_by("torch", "torchvision", "numpy", "pillow", "scipy")
    # PyTorch needs it as well, but an older one does for it.
    missing = needed_by("benchmark-models", "pytest") - of_the_machine | {"typing-extensions"}
    assert set(downloaded.replace("\\\n", " ").split()) == missing - {"benchmark-models"}
