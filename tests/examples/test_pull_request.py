"""The workflow for pull requests, step by step as a runner takes them, on tiny models."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Client, Listener
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from tests.support.command_process import run as run_command

EXAMPLE = Path(__file__).parents[2] / "examples" / "pull_request"
MODEL = (EXAMPLE / "model.py").read_text(encoding="utf-8")
CONFIG = yaml.safe_load((EXAMPLE / "model.yaml").read_text(encoding="utf-8"))
TINY = {
    "dataset": {"name": "synthetic", "train_images": 40, "test_images": 100, "size": 8},
    "epochs": 1,
    "batch_size": 20,
    "seeds": 2,
    "executor": "inline",
    "device": "cpu",
    "precision": "fp32",
}
LAYERS = "nn.Flatten(), nn.Linear(math.prod(input_shape), num_classes)"
# What a pull request makes of the model.
HEADS = {
    "the same": MODEL.replace("def build", "# The only change is this comment.\ndef build"),
    "larger": MODEL.replace(
        LAYERS, f"{LAYERS}, nn.Linear(num_classes, 90), nn.Linear(90, num_classes)"
    ),
    "hardly different": MODEL.replace("num_classes)", "num_classes, bias=False)"),
}
PULL_REQUEST = "17"

# Hands its arguments over to the test, which has a process that has imported PyTorch.
CALLER = """
import os, sys
from multiprocessing.connection import Client

with Client(("localhost", int(os.environ["TEST_PORT"]))) as test:
    test.send((sys.argv[1:], os.getcwd()))
    code, out, err = test.recv()
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""
PROGRAMS = {
    "benchmark": f'exec "{sys.executable}" -IS "$(dirname "$0")/caller.py" "$@"',
    "pip": 'echo "$*" > pip.txt',
    "gh": 'echo "$GH_REPO $*" > gh.txt; shift $(($# - 1)); cp "$1" posted.md',
}


@dataclass
class Job:
    """What a runner has: a folder, what steps have written, and what became of the job."""

    folder: Path
    shas: Mapping[str, str]
    environment: Mapping[str, str]
    output: str = ""
    failed: str = ""

    def text(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def take(self, step: Mapping[str, Any]) -> None:
        if "uses" in step:
            self._use(
                step["uses"], {key: self._value(it) for key, it in step.get("with", {}).items()}
            )
            return
        # Whatever a pull request is called, it is no part of a script.
        assert "${{" not in step["run"]
        script = self.folder / "script.sh"
        script.write_text(step["run"])
        done = subprocess.run(
            ["bash", "-e", str(script)],
            cwd=self.folder,
            env={
                **self.environment,
                **{key: self._value(it) for key, it in step.get("env", {}).items()},
            },
            capture_output=True,
            text=True,
        )
        self.output += done.stdout + done.stderr
        if done.returncode and not step.get("continue-on-error"):
            self.failed = f"{step['name']}: {done.returncode}"

    def _use(self, action: str, inputs: Mapping[str, str]) -> None:
        if action.startswith("actions/checkout@"):
            path = self.folder / inputs["path"]
            git(self.folder, "clone", "-q", "repository", str(path))
            git(path, "checkout", "-q", inputs["ref"])
        else:
            assert action.startswith("actions/setup-python@")

    def _value(self, text: str) -> str:
        known = {
            "github.token": "secret",
            "github.repository": "somebody/models",
            "github.event.pull_request.number": PULL_REQUEST,
            "github.event.pull_request.base.sha": self.shas["base"],
            "github.event.pull_request.head.sha": self.shas["head"],
        }
        if "steps.compare.outputs.code" in text:
            (known["steps.compare.outputs.code"],) = re.findall("code=(.*)", self.text("outputs"))
        return re.sub(r"\$\{\{ (\S+) \}\}", lambda found: known[found[1]], text)


def git(folder: Path, *arguments: str) -> str:
    name = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    done = subprocess.run(
        ["git", *name, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def port() -> Iterator[str]:
    """Where the command line is carried out for the steps."""

    def answer() -> None:
        # Closing it ends the waiting.
        with suppress(OSError):
            while True:
                with listener.accept() as step:
                    arguments, folder = step.recv()
                    if arguments is None:
                        return
                    done = run_command(*arguments, folder=Path(folder))
                    step.send((done.returncode, done.stdout, done.stderr))

    with Listener(("localhost", 0)) as listener:
        thread = Thread(target=answer)
        thread.start()
        yield str(listener.address[1])
        with Client(listener.address) as end:
            end.send((None, ""))
        thread.join()


def job(folder: Path, port: str, head: str) -> Job:
    """The job at its start: a repository with two commits, and the programs it calls."""
    repository = folder / "repository"
    repository.mkdir()
    git(repository, "init", "-q")
    shas = {}
    for commit, model in (("base", MODEL), ("head", head)):
        (repository / "model.py").write_text(model)
        (repository / "model.yaml").write_text(yaml.safe_dump({**CONFIG, **TINY}))
        git(repository, "add", ".")
        git(repository, "commit", "-qm", commit)
        shas[commit] = git(repository, "rev-parse", "HEAD")
    programs = folder / "programs"
    programs.mkdir()
    (programs / "caller.py").write_text(CALLER)
    for name, script in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    return Job(
        folder,
        shas,
        {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "TEST_PORT": port,
            "GITHUB_OUTPUT": str(folder / "outputs"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        },
    )


@pytest.mark.parametrize(
    ("head", "failed", "said"),
    [
        ("the same", "", {"holds"}),
        ("larger", "Judge: 1", {"cannot tell", "fails"}),
        ("hardly different", "", {"cannot tell", "holds"}),
    ],
)
def test_a_pull_request_is_compared_and_commented(
    tmp_path: Path, port: str, head: str, failed: str, said: set[str]
) -> None:
    assert HEADS[head] != MODEL
    workflow = yaml.safe_load((EXAMPLE / "benchmark.yml").read_text(encoding="utf-8"))
    runner = job(tmp_path, port, HEADS[head])
    for step in workflow["jobs"]["compare"]["steps"]:
        assert not runner.failed, runner.output
        runner.take(step)
    assert runner.failed == failed, runner.output
    assert ("::warning::" in runner.output) == (head == "hardly different")
    assert runner.text("pip.txt") == "install benchmark-models\n"
    posted = runner.text("posted.md")
    assert runner.text("gh.txt") == (
        f"somebody/models pr comment {PULL_REQUEST} --edit-last --create-if-none "
        "--body-file comment.md\n"
    )
    assert runner.text("summary.md") == posted
    assert "| head:classifier |" in posted
    assert set(re.findall(r"gate '.+' (holds|fails|cannot tell): head:classifier", posted)) == said
