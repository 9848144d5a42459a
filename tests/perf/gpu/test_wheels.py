"""The measurements as they are carried out on the GPU's machine: from wheels."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.docs.test_docs import sections
from tests.perf.gpu.command import (
    AS_SHORT_AS_CAN_BE,
    ROOT,
    assert_all_was_measured,
    environment,
)
from tests.support.sampling import is_drawn, sampled


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
