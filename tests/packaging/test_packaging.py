"""What a stranger installs: the wheel, and the two targets of the Makefile."""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("benchmark", "plugins", "configs", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy of the sources."""
    copy = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", "."]
    subprocess.run(command, cwd=copy, check=True, capture_output=True)
    (built,) = (copy / "dist").glob("*.whl")
    return zipfile.ZipFile(built)


def installed_name(path: Path) -> str:
    """Where the wheel should hold a file of the sources."""
    folders = {"plugins": "benchmark_plugins", "configs": "benchmark/presets"}
    first, *rest = path.relative_to(ROOT).parts
    return "/".join([folders.get(first, first), *rest])


def test_the_wheel_holds_every_module_and_preset(wheel: zipfile.ZipFile) -> None:
    sources = [
        file
        for folder in ("benchmark", "plugins", "configs")
        for pattern in ("*.py", "*.yaml", "py.typed")
        for file in (ROOT / folder).rglob(pattern)
    ]
    assert len(sources) > 50
    assert {installed_name(file) for file in sources} <= set(wheel.namelist())


def test_the_wheel_installs_no_other_top_level(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "benchmark",
        "benchmark_plugins",
    }


def test_the_wheels_metadata(wheel: zipfile.ZipFile) -> None:
    (folder,) = {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    metadata = email.message_from_bytes(wheel.read(f"{folder}/METADATA"))
    assert metadata["Name"] == "benchmark-models"
    assert metadata["Requires-Python"] == ">=3.11"
    assert any(line.startswith("torch>=") for line in metadata.get_all("Requires-Dist", []))
    points = ConfigParser(delimiters="=")
    points.read_string(wheel.read(f"{folder}/entry_points.txt").decode())
    assert points["console_scripts"]["benchmark"] == "benchmark.cli.main:main"
    for name, module in points["benchmark.plugins"].items():
        assert f"{module.replace('.', '/')}.py" in wheel.namelist(), name


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the Makefile, and a `python3` that notes what it is asked to do."""
    for name in ("Makefile", "setup.cfg", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    stand_in(tmp_path / "bin" / "python3", "new")
    return tmp_path


def stand_in(path: Path, age: str) -> None:
    """Write a script that stands for Python, and that makes such scripts for `-m venv`."""
    path.write_text(
        f"""#!/bin/sh
case "$1 $2" in
  "-m venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python; cp "$0" .venv/bin/benchmark;;
  -c*) echo {age}; exit;;
esac
echo "$(basename "$0") $*" >> calls
"""
    )
    path.chmod(0o755)


def make(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # What an outer `make PYTHON=... test` hands down is not for this one.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    environment = {**inherited, "PATH": f"{project / 'bin'}:{os.environ['PATH']}"}
    environment.pop("PYTHON", None)
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)


def calls(project: Path) -> list[str]:
    """What Python was asked to do since the last look."""
    log = project / "calls"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


def installs(project: Path) -> int:
    return sum(" pip install " in call for call in calls(project))


def test_make_run_installs_once_and_runs_the_quickstart(project: Path) -> None:
    assert make(project, "run").returncode == 0
    first = calls(project)
    assert first[0].startswith("python3 -m venv")
    assert "-c constraints.txt --editable ." in first[1]
    assert first[2:] == ["benchmark run quickstart"]
    assert make(project, "run").returncode == 0
    assert calls(project) == ["benchmark run quickstart"]


def test_make_test_installs_what_tests_need_once(project: Path) -> None:
    make(project, "test")
    first = calls(project)
    assert any("--editable .[test]" in call for call in first)
    assert first[-1].startswith("python -m pytest ")
    make(project, "test")
    assert calls(project) == [first[-1]]


def test_make_install_installs_at_once_what_all_others_need(project: Path) -> None:
    make(project, "install")
    assert installs(project) == 1
    left = make(project, "--dry-run", "install", "run", "test", "check", "docs").stdout
    assert "pytest" in left
    assert "pip install" not in left


@pytest.mark.parametrize("name", ["setup.cfg", "constraints.txt"])
def test_a_change_of_what_is_needed_installs_again(project: Path, name: str) -> None:
    make(project, "test")
    assert installs(project) == 2
    (project / name).write_text((project / name).read_text() + "\n")
    make(project, "test")
    assert installs(project) == 2


def test_an_old_python_is_refused_in_one_line(project: Path) -> None:
    stand_in(project / "bin" / "python3", "old")
    refused = make(project, "run")
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert "benchmark needs Python 3.11 or newer, which python3 is not" in line
    assert not (project / ".venv").exists()


def test_constraints_pin_every_dependency() -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in pins
        if not line.startswith("#")
    }
    wanted = config["options"]["install_requires"] + "\n".join(
        config["options.extras_require"].values()
    )
    names = {line.partition(">")[0].strip().lower() for line in wanted.splitlines()} - {""}
    assert names <= pinned
