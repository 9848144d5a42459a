"""Runs on a cluster: three nodes of Ray on this machine, with a GPU each that is only pretended."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmark.records import TrialEvent, TrialProgress
from benchmark_plugins.executors.processes.guardian import RUN_DIED
from tests.conftest import CommandLine, only_error
from tests.support import observed
from tests.support.command_process import start
from tests.support.made_records import make_spec
from tests.support.trial_files import figures, trial_folder, trial_record

pytest.importorskip("ray")

EPOCHS = 4
PATIENCE_SECONDS = 240
CONFIG = f"""
name: far
dataset: {{name: synthetic, train_images: 64, test_images: 20, size: 8}}
models: [steady]
epochs: {EPOCHS}
batch_size: 16
precision: fp32
device: cpu
"""
ON_GPUS = ("--set", "executor.num_gpus=1")


class Cluster:
    """The nodes' side: its address, and the process of each node's raylet, the head's first."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = ""
        self.raylets: list[int] = []
        self._listen()

    def tell(self, command: str) -> None:
        """Add a node (``add {}``, with what it has) or kill one (``kill 2``)."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        self._listen()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        state = json.loads(self._process.stdout.readline())
        self.address = state["address"]
        # Of a node that was killed there is none.
        self.raylets = [number or 0 for number in state["raylets"]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes, each with two cores and a GPU, that let in who has their token."""
    log = tmp_path_factory.mktemp("cluster") / "log.txt"
    with pytest.MonkeyPatch.context() as environment, log.open("w") as errors:
        environment.setenv("RAY_AUTH_MODE", "token")
        environment.setenv("RAY_AUTH_TOKEN", "a token of the tests")
        environment.delenv("RAY_ADDRESS", raising=False)
        with subprocess.Popen(
            [sys.executable, "-m", "tests.support.cluster_process"],
            cwd=Path(__file__).parents[3],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process:
            yield Cluster(process)


@dataclass
class Driver:
    """The command line in a process of its own, for a cluster."""

    address: str

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        Path("far.yaml").write_text(CONFIG)
        run = ("run", "far.yaml", "-p", observed.__file__)
        on_cluster = ("--executor", "ray", "--set", f"executor.address={self.address}")
        return start(*run, *on_cluster, *arguments)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        return ended(self.start(*arguments))


def ended(run: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the command's end; returns its exit code and what it wrote."""
    try:
        out, said = run.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        run.kill()
        raise
    return run.returncode, out, said


@pytest.fixture
def driver(cluster: Cluster) -> Driver:
    """The command line, for the three nodes."""
    return Driver(cluster.address)


@pytest.fixture(autouse=True)
def data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of the test's own, where its trials write down what they do."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("BENCHMARK_DATA_DIR", str(folder))
    return folder


def assert_equal_local(benchmark: CommandLine, seeds: int) -> None:
    """Train the same on this machine, with as many threads and without pauses, and compare."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OMP_NUM_THREADS", "1")
        trials = ("-m", "steady", "--seeds", str(seeds), "--executor", "local", "--out", "local")
        assert benchmark("run", "far.yaml", "-p", observed.__file__, *trials).code == 0
    for seed in range(seeds):
        far, here = trial_record("slow", seed), trial_record("steady", seed, "local")
        assert far["status"] == here["status"] == "completed"
        assert figures(far) == figures(here)
        assert far["correct"] == here["correct"]


def most_at_a_time(notes: Sequence[dict[str, Any]]) -> int:
    """How many trials ran at the same time."""
    changes = [(note["time"], {"start": 1, "end": -1}.get(note["event"], 0)) for note in notes]
    at_work = most = 0
    for _, change in sorted(changes):
        at_work += change
        most = max(most, at_work)
    return most


def test_trials_take_no_more_than_there_is_and_have_the_figures_they_have_here(
    cluster: Cluster, driver: Driver, benchmark: CommandLine, data_directory: Path
) -> None:
    trials = 6
    code, out, said = driver.run(*ON_GPUS, "-m", "slow", "--seeds", str(trials))
    assert code == 0, said
    assert re.search(r"^slow .* 6/6 ok$", out, re.M)
    notes = observed.read_notes(data_directory)
    assert Counter(note["event"] for note in notes) == {
        "start": trials,
        "epoch": trials * EPOCHS,
        "end": trials,
    }
    assert {note["threads"] for note in notes} == {1}
    assert 1 < most_at_a_time(notes) <= len(cluster.raylets)
    assert_equal_local(benchmark, trials)
    for seed in range(trials):
        assert sorted(
            str(file.relative_to(trial_folder("slow", seed))) for file in files(seed)
        ) == [
            "history.jsonl",
            "log.txt",
            "mine/note.txt",
            "trial.json",
        ]


def files(seed: int) -> list[Path]:
    return [path for path in trial_folder("slow", seed).rglob("*") if path.is_file()]


def wait_for_epoch(
    run: subprocess.Popen[str], data_directory: Path, raylets: Sequence[int] | None = None
) -> dict[str, Any]:
    """Wait until a trial, on one of these nodes if any are given, has ended its second epoch.

    Returns its note.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        for note in observed.read_notes(data_directory):
            is_there = raylets is None or parent_of(note["parent"]) in raylets
            if note.get("epoch") == 2 and is_there:
                return note
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)
    run.kill()
    raise AssertionError(run.communicate())


def parent_of(process: int) -> int | None:
    """The number of a process's parent, None if it has ended."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


@pytest.mark.parametrize("victim", ["node", "task"])
def test_what_is_killed_is_submitted_again_and_costs_an_epoch_at_most(
    cluster: Cluster,
    driver: Driver,
    benchmark: CommandLine,
    data_directory: Path,
    victim: str,
) -> None:
    run = driver.start(*ON_GPUS, "-m", "slow", "--seeds", "3")
    # Not on the head: without it there is no cluster.
    killed = wait_for_epoch(run, data_directory, cluster.raylets[1:])
    if victim == "node":
        raylet = parent_of(killed["parent"])
        assert raylet is not None
        cluster.tell(f"kill {cluster.raylets.index(raylet)}")
        cluster.tell("add {}")
    else:
        os.kill(killed["parent"], signal.SIGKILL)
    assert_is_gone(killed)
    code, out, said = ended(run)
    assert code == 0, said
    assert re.search(r"^slow .* 3/3 ok$", out, re.M)
    for seed in range(3):
        notes = [note for note in observed.read_notes(data_directory) if note["seed"] == seed]
        epochs = [note["epoch"] for note in notes if note["event"] == "epoch"]
        assert len(epochs) - EPOCHS in ({0, 1} if seed == killed["seed"] else {0})
        assert trial_record("slow", seed)["resumed"] == int(seed == killed["seed"])
    *_, warning = trial_record("slow", killed["seed"])["warnings"]
    cause = {"node": "NodeDiedError", "task": "WorkerCrashedError"}[victim]
    assert re.fullmatch(
        rf"its task was lost once: {cause}, in epoch \d of 4; submitted again", warning
    )
    assert f"slow, seed {killed['seed']}: {warning}" in said
    assert_equal_local(benchmark, 3)


def assert_is_gone(note: dict[str, Any]) -> None:
    """A trial's process and its folder on the node go soon; a busy machine may need a while."""
    left = {Path(f"/proc/{note['process']}"), Path(note["directory"])}
    until = time.monotonic() + PATIENCE_SECONDS
    while left and time.monotonic() < until:
        left = {path for path in left if path.exists()}
        time.sleep(0.1)
    assert not left


def test_a_task_that_is_lost_too_often_is_a_failed_row(driver: Driver) -> None:
    lost = ("-m", "kills_its_task", "--set", "executor.max_retries=1")
    code, out, said = driver.run(*lost, "-m", "steady")
    assert code == 1, said
    # What Ray has to say of it is on the other stream.
    assert out.startswith("far: synthetic")
    assert re.search(r"^kills_its_task .* failed$", out, re.M)
    assert re.search(r"^steady .* completed$", out, re.M)
    assert trial_record("kills_its_task")["reason"] == (
        "its task was lost 2 times: WorkerCrashedError, while it was set up; "
        "WorkerCrashedError, while it was set up"
    )


def test_a_driver_that_is_killed_is_started_again_and_resumes(
    cluster: Cluster, driver: Driver, benchmark: CommandLine, data_directory: Path
) -> None:
    run = driver.start(*ON_GPUS, "-m", "slow")
    note = wait_for_epoch(run, data_directory, cluster.raylets)
    run.kill()
    _, _, said = ended(run)
    assert said.splitlines()[-1] == RUN_DIED
    assert_is_gone(note)
    code, _, said = driver.run(*ON_GPUS, "-m", "slow")
    assert code == 0, said
    assert re.search(r"benchmark: slow, seed 0: goes on after epoch [23] of 4", said)
    epochs = [note for note in observed.read_notes(data_directory) if note["event"] == "epoch"]
    assert len(epochs) - EPOCHS in {0, 1}
    assert_equal_local(benchmark, 1)


def test_ctrl_c_ends_a_trial_and_on_another_kind_of_machine_it_restarts(
    cluster: Cluster, driver: Driver, data_directory: Path
) -> None:
    run = driver.start("-m", "slow", "--seeds", "1")
    note = wait_for_epoch(run, data_directory, cluster.raylets)
    run.send_signal(signal.SIGINT)
    code, out, said = ended(run)
    assert code == 130, said
    assert re.search(r"^slow .* interrupted$", out, re.M)
    assert_is_gone(note)
    assert trial_record("slow")["status"] == "interrupted"
    assert re.fullmatch(r"in epoch \d of 4", trial_record("slow")["reason"])
    # The node's, not the driver's.
    assert trial_record("slow")["environment"]["threads"] == 1
    code, _, said = driver.run("-m", "slow", "--set", "executor.num_cpus=2")
    assert code == 0, said
    found = trial_record("slow")
    assert (found["status"], found["resumed"]) == ("completed", 0)
    # All of the node's cores: this time nobody else could be there.
    (warning,) = found["warnings"]
    assert re.fullmatch(
        # Ctrl-C may come where the one is called previous already, and the next is not there yet.
        r"restarted from the beginning on \S+: checkpoint(\.previous)?\.pt: "
        r"the training cannot go on as it began: threads was 1, is 2; put it back as it was, "
        r"or start over with --fresh",
        warning,
    )
    assert {note["threads"] for note in observed.read_notes(data_directory)} == {1, 2}


def test_without_an_address_ray_is_started_for_the_run_and_tells_nobody(
    data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    Path("far.yaml").write_text(CONFIG)
    run = start("run", "far.yaml", "-p", observed.__file__, "--executor", "ray", "-m", "slow")
    note = wait_for_epoch(run, data_directory)
    raylet = parent_of(note["parent"])
    assert raylet is not None
    assert parent_of(raylet) == run.pid
    assert note["usage_statistics"] == "0"
    (dashboard,) = (line for line in commands_of_children(run.pid) if "/dashboard.py" in line)
    assert "--disable-frontend" in dashboard
    code, _, said = ended(run)
    assert code == 0, said
    assert RUN_DIED not in said
    assert trial_record("slow")["status"] == "completed"
    until = time.monotonic() + PATIENCE_SECONDS
    while parent_of(raylet) is not None:
        assert time.monotonic() < until
        time.sleep(0.1)


def commands_of_children(parent: int) -> list[str]:
    """The command lines of the processes that a process has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        if parent_of(int(folder.name)) == parent:
            # One may end meanwhile.
            with suppress(FileNotFoundError, ProcessLookupError):
                found.append((folder / "cmdline").read_text())
    return found


def test_a_model_that_crashes_is_a_row_and_no_lost_task(driver: Driver) -> None:
    code, out, said = driver.run("-m", "crashes", "-v")
    assert code == 1
    assert re.search(r"^crashes .* failed$", out, re.M)
    found = trial_record("crashes")
    assert found["reason"] == "its process was ended by SIGSEGV, while it was set up"
    assert (
        "Fatal Python error: Segmentation fault"
        in (trial_folder("crashes") / "log.txt").read_text()
    )
    assert re.search(r'^      File ".*/observed.py", line \d+ in forward$', said, re.M)


def test_a_node_with_another_version_of_a_plugin_refuses_its_trials(
    cluster: Cluster, driver: Driver, tmp_path: Path
) -> None:
    for version in ("1.2", "1.3"):
        install(tmp_path / version, version)
    # The only node that has room for three.
    here = {"num_cpus": 3, "env_vars": {"PYTHONPATH": str(tmp_path / "1.2")}}
    cluster.tell(f"add {json.dumps(here)}")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(tmp_path / "1.3"))
        code, out, _ = driver.run("--set", "executor.num_cpus=3", "--set", "executor.max_retries=0")
    cluster.tell(f"kill {len(cluster.raylets) - 1}")
    assert code == 1
    assert re.search(r"^steady .* failed$", out, re.M)
    assert re.fullmatch(
        r"\S+ has other plugins than the run began with: theirs \(theirs 1\.2\), source \w+ "
        r"instead of theirs \(theirs 1\.3\), source \w+",
        trial_record("steady")["reason"],
    )


PLUGIN = """
import benchmark

@benchmark.hookimpl
def benchmark_models():
    return []
"""


def install(site: Path, version: str) -> None:
    """Install a distribution with a plugin into a folder."""
    information = site / f"theirs-{version}.dist-info"
    information.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: theirs\nVersion: {version}\n"
    (information / "METADATA").write_text(metadata)
    (information / "entry_points.txt").write_text("[benchmark.plugins]\ntheirs = theirs\n")
    (site / "theirs.py").write_text(f"# {version}\n{PLUGIN}")


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("address=ray://127.0.0.1:10001", "is for Ray's client, which cannot send"),
        ("address=127.0.0.1:1", r"nothing answers at 127.0.0.1:1 \(Connection.*give HOST:PORT"),
        ("address=somewhere:far", r"nothing answers at somewhere:far \(ValueError: .*"),
        ("num_gpus=2", "executor.num_gpus: .* less than or equal to 1, got 2"),
    ],
)
def test_a_wish_that_makes_no_sense_is_one_line(
    benchmark: CommandLine, setting: str, complaint: str
) -> None:
    Path("far.yaml").write_text(CONFIG)
    chosen = ("--executor", "ray", "--set", f"executor.{setting}")
    refused = benchmark("run", "far.yaml", "-p", observed.__file__, *chosen)
    assert re.search(complaint, only_error(refused))
    assert not Path("runs").exists()


def test_a_driver_without_the_token_is_refused(driver: Driver) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_AUTH_TOKEN", "another token")
        code, out, said = driver.run()
    assert (code, out) == (2, "")
    # Before it Ray says, as often as it tries, that it was refused.
    *tries, line = said.splitlines()
    assert all("Authentication token is missing or incorrect" in one for one in tries)
    assert re.match(
        r"benchmark: error: cannot connect to a cluster at \S+: \w+: .* its token$",
        line,
    )
    assert not Path("runs").exists()


def test_without_ray_it_is_told_what_to_install(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    Path("far.yaml").write_text(CONFIG)
    refused = benchmark("run", "far.yaml", "-m", "separable_cnn", "--executor", "ray")
    assert "the executor 'ray' needs Ray: pip install 'ray>=2.60'" in only_error(refused)


def test_a_request_that_no_node_can_meet_is_refused_before_the_first_trial(
    driver: Driver, data_directory: Path
) -> None:
    code, out, said = driver.run("--set", "executor.num_cpus=3")
    assert (code, out) == (2, "")
    assert re.search(
        r"^benchmark: error: no node of the cluster has room for a trial of 3 CPUs, 0 GPUs: they "
        r"have 2 CPUs, 1 GPU, .* GiB; ask for less with executor.num_cpus, .*$",
        said.splitlines()[-1],
    )
    assert not observed.read_notes(data_directory)
    assert not Path("runs").exists()


@pytest.mark.parametrize("variable", ["127.0.0.1:1", "ray://127.0.0.1:10001"])
def test_ray_s_own_variable_is_held_to_the_same(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", variable)
    Path("far.yaml").write_text(CONFIG)
    refused = benchmark("run", "far.yaml", "-p", observed.__file__, "--executor", "ray")
    assert variable in only_error(refused)


@pytest.mark.parametrize(
    ("device", "settings", "complaint"),
    [
        ("cuda:1", (), "--device cuda:1: trials on other machines are for cpu or cuda"),
        ("mps", (), "--device mps: trials on other machines are for cpu or cuda"),
        ("cuda", ("--set", "executor.num_gpus=0"), "trials on cuda need a GPU, or a part of one"),
        ("cuda", (), "no node of the cluster has room for a trial of 3 CPUs, 1 GPU"),
    ],
)
def test_devices_are_those_of_the_cluster(
    driver: Driver, device: str, settings: tuple[str, ...], complaint: str
) -> None:
    """This machine, which has no GPU, is not asked; the last one is refused by its cores."""
    code, out, said = driver.run("--device", device, "--set", "executor.num_cpus=3", *settings)
    assert (code, out) == (2, "")
    assert complaint in said.splitlines()[-1]


def test_a_node_sends_no_more_progress_than_a_driver_can_take() -> None:
    """All of everything else, in its order."""
    from benchmark_plugins.executors.cluster.node import Outbox

    outbox = Outbox()
    key = make_spec().key
    begun, ended = (TrialEvent(trial=key, warnings=(word,)) for word in ("begun", "ended"))
    progress = TrialProgress(part="training", epoch=1, steps=1, seconds=1)
    for event in (begun, *[TrialEvent(trial=key, progress=progress)] * 10, ended):
        outbox.add(event)
    assert [event.warnings for event in outbox.events] == [("begun",), (), ("ended",)]
