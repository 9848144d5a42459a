"""The GPU's measurements, as far as a CPU goes: eager steps, the figures, a training end to end."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
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

from perf import gpu
from perf.gpu import compare_engines, engine_table, main, peak_share, relative_distance
from tests.support.sampling import is_drawn

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
AS_SHORT_AS_CAN_BE = (
    *("--device", "cpu", "--count", "16", "--repeats", "1", "--batch-sizes", "8"),
    *("--epochs", "1", "--seeds", "1"),
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of 128 training and 8 test images in two classes: one batch of the preset's."""
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


def test_both_engines_see_the_same_seed_and_on_a_cpu_are_the_same() -> None:
    row = compare_engines("separable_cnn", batch_size=8, count=19, repeats=2, device=CPU)
    assert (row["images"], row["captured"], row["peak_share"]) == (16, False, None)
    assert len(row["seconds"]) == len(row["eager_seconds"]) == 2
    assert row["difference"] == row["control"] == 0
    # 5.01 million multiply-accumulates, six operations each, 16 images an epoch.
    epoch_operations = row["flops"] * float(numpy.median(row["seconds"]))
    assert epoch_operations == pytest.approx(6 * 5.01e6 * 16, rel=0.01)


def test_the_table_has_medians_and_the_spread_of_the_pairs_ratios() -> None:
    row = {
        "model": "baseline_cnn",
        "batch_size": 128,
        "status": "measured",
        "captured": True,
        "reason": None,
        "eager_seconds": [0.8, 1.0, 0.9],
        "seconds": [0.2, 0.2, 0.1],
        "peak_share": 0.25,
        "difference": 1.2e-3,
        "control": 1.1e-3,
    }
    last = engine_table([row]).splitlines()[-1]
    assert last == (
        "| `baseline_cnn` | 128 | 0.9000 | 0.2000 | 4.50 (4.00 to 9.00) | 25.0% "
        "| 1.2e-03 (1.1e-03) | - |"
    )


def test_the_distance_of_two_models() -> None:
    left, right = nn.Linear(3, 1, bias=False), nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        left.weight.copy_(torch.tensor([[3.0, 0.0, 4.0]]))
        right.weight.copy_(torch.tensor([[0.0, 0.0, 4.0]]))
    assert relative_distance(left, right) == pytest.approx(3 / 4)
    assert peak_share(1e12, CPU) is None


def test_the_whole_measurement_runs_on_a_cpu(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([*AS_SHORT_AS_CAN_BE, "--images", str(archive), "--out", "out"])
    assert Path("out/table.md").read_text() in capsys.readouterr().out
    assert_all_was_measured(Path("out"))


def assert_all_was_measured(out: Path) -> None:
    rows = json.loads((out / "results.json").read_text())["engines"]
    assert [row["model"] for row in rows] == ["baseline_cnn", "separable_cnn"]
    assert {(row["status"], row["reason"]) for row in rows} == {("measured", "graphs need CUDA")}
    records = [json.loads(file.read_text()) for file in out.glob("runs/**/trial.json")]
    assert [record["status"] for record in records] == ["completed", "completed"]
    assert {record["dataset"]["train_images"] for record in records} == {128}


def fail_for(monkeypatch: pytest.MonkeyPatch, model: str, error: BaseException) -> None:
    """Have the comparison of that model's engines raise."""

    def compare_or_fail(name: str, *rest: Any) -> dict[str, Any]:
        if name == model:
            raise error
        return compare_engines(name, *rest)

    monkeypatch.setattr(gpu, "compare_engines", compare_or_fail)


def test_a_comparison_that_fails_is_a_row_and_costs_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_for(monkeypatch, "baseline_cnn", RuntimeError("CUDA error: a | b\nand more"))
    with pytest.raises(SystemExit, match="1"):
        main([*AS_SHORT_AS_CAN_BE, "--out", "out"])
    failed, measured = json.loads(Path("out/results.json").read_text())["engines"]
    assert failed == {
        "model": "baseline_cnn",
        "batch_size": 8,
        "status": "failed",
        "reason": "RuntimeError: CUDA error: a | b",
    }
    assert measured["status"] == "measured"
    captured = capsys.readouterr()
    assert Path("out/table.md").read_text() in captured.out
    row = r"| `baseline_cnn` | 8 | - | - | - | - | - | RuntimeError: CUDA error: a \| b |"
    assert row in captured.out.splitlines()
    assert "Traceback" in captured.err


def test_a_run_that_is_cut_off_keeps_what_it_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_for(monkeypatch, "separable_cnn", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        main([*AS_SHORT_AS_CAN_BE, "--out", "out"])
    (measured,) = json.loads(Path("out/results.json").read_text())["engines"]
    assert measured["model"] == "baseline_cnn"
    assert capsys.readouterr().out == Path("out/table.md").read_text()


def test_images_that_do_not_exist_are_refused_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*AS_SHORT_AS_CAN_BE, "--images", "gone.tar.xz", "--out", "out"])
    assert "--images: gone.tar.xz does not exist" in capsys.readouterr().err
    assert not Path("out").exists()


# As it is carried out on the GPU's machine: from wheels.


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which the wheel is built, and whose own packages cannot be imported then."""
    for name in ("Makefile", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("benchmark", "plugins", "configs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "perf").mkdir()
    for file in (ROOT / "perf").glob("*.py"):
        shutil.copy(file, tmp_path / "perf")
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


@pytest.mark.skipif(
    not is_drawn("wheel for a GPU", one_in=3), reason="is not in this commit's sample"
)
def test_make_perf_gpu_needs_nothing_of_the_project_but_its_wheel(
    checkout: Path, other_python: Path, archive: Path
) -> None:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "PYTHON", "BENCHMARK_"))
    }
    absent = subprocess.run([other_python, "-P", "-c", "import benchmark"], capture_output=True)
    assert b"No module named 'benchmark'" in absent.stderr
    options = shlex.join(AS_SHORT_AS_CAN_BE)
    made = subprocess.run(
        ["make", "perf-gpu", f"PYTHON={other_python}", f"IMAGES={archive}", f"OPTIONS={options}"],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    out = checkout / "perf" / "gpu-results"
    assert (out / "table.md").read_text() in made.stdout
    assert_all_was_measured(out)


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
    missing = needed_by("benchmark-models") - of_the_machine | {"typing-extensions"}
    assert set(downloaded.replace("\\\n", " ").split()) == missing - {"benchmark-models"}
