"""Runs on a cluster: three nodes of Ray on this machine, with a GPU each that is only pretended."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.events import (
    TrialEvent,
    TrialProgress,
)
from benchmark.training.checkpoint import NEWEST
from benchmark_plugins.executors.processes.guardian import RUN_DIED
from benchmark_plugins.executors.processes.openmp import SPIN_COUNT, WAIT_POLICY
from tests.conftest import CommandLine, only_error
from tests.support import observed
from tests.support.command_process import start
from tests.support.made_records import make_spec
from tests.support.sampling import sampled
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
checkpoint_every: 1
"""
ON_GPUS = ("--set", "executor.num_gpus=1")
RAY_SETTINGS = {
    # Workers that Ray starts in advance, for tasks that never come, keep a small machine busy.
    "RAY_enable_worker_prestart": "0",
    "RAY_prestart_worker_first_driver": "0",
    # A node that is killed is missed after a few seconds, not after twenty.
    "RAY_health_check_initial_delay_ms": "500",
    "RAY_health_check_period_ms": "500",
}

# What is lost on a cluster; each takes most of a minute.
LOSSES = ["a worker", "a task again and again", "the driver", "the run"]


def drawn(loss: str) -> pytest.MarkDecorator:
    """Run a test of a loss if that is in the sample."""
    is_left_out = loss not in sampled("losses on a cluster", LOSSES, 1)
    return pytest.mark.skipif(is_left_out, reason="is not in this commit's sample")


class Cluster:
    """The nodes' side: its address, and the process of each node's raylet, the head's first."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = ""
        self.raylets: list[int] = []
        self._listen()

    def change(self, command: str) -> None:
        """Add a node (``add {}``, with what it has) or kill one (``kill 2``)."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        self._listen()

    def node_of(self, process: int) -> int:
        """The number of the node that has started a process of Ray's."""
        raylet = parent_of(process)
        assert raylet is not None
        return self.raylets.index(raylet)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        state = json.loads(self._process.stdout.readline())
        self.address = state["address"]
        # Of a node that was killed there is none.
        self.raylets = [number or 0 for number in state["raylets"]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes, each with two cores and a GPU, that admit those with their token."""
    log = tmp_path_factory.mktemp("cluster") / "log.txt"
    with pytest.MonkeyPatch.context() as environment, log.open("w") as errors:
        environment.setenv("RAY_AUTH_MODE", "token")
        environment.setenv("RAY_AUTH_TOKEN", "a token of the tests")
        environment.delenv("RAY_ADDRESS", raising=False)
        environment.delenv(WAIT_POLICY, raising=False)
        environment.delenv(SPIN_COUNT, raising=False)
        for name, value in RAY_SETTINGS.items():
            environment.setenv(name, value)
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
    """The command line in a process of its own, for a cluster, or for one that it starts."""

    address: str | None
    runs: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        Path("far.yaml").write_text(CONFIG)
        run = ("run", "far.yaml", *observed.CHOSEN)
        address = ("--set", f"executor.address={self.address}") if self.address else ()
        self.runs.append(start(*run, "--executor", "ray", *address, *arguments))
        return self.runs[-1]

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


@contextmanager
def driver_for(address: str | None) -> Iterator[Driver]:
    """The command line; what a failed test has left running is killed."""
    driver = Driver(address)
    try:
        yield driver
    finally:
        for run in driver.runs:
            if run.poll() is None:
                run.kill()
                run.communicate()


@pytest.fixture
def driver(cluster: Cluster) -> Iterator[Driver]:
    """The command line, for the three nodes."""
    with driver_for(cluster.address) as driver:
        yield driver


@pytest.fixture
def lone_driver() -> Iterator[Driver]:
    """The command line, without a cluster."""
    with driver_for(None) as driver:
        yield driver


@pytest.fixture(autouse=True)
def data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own, where its trials write down what they do."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("BENCHMARK_DATA_DIR", str(folder))
    return folder


def assert_equal_here(benchmark: CommandLine, seeds: int) -> None:
    """Train the same in this process, with as many threads and without waiting, and compare."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        trials = ("-m", "steady", "--seeds", str(seeds), "--executor", "inline", "--out", "inline")
        assert benchmark("run", "far.yaml", *observed.CHOSEN, *trials).code == 0
    finally:
        torch.set_num_threads(threads)
    for seed in range(seeds):
        far, here = trial_record("waits", seed), trial_record("steady", seed, "inline")
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
    nodes = len(cluster.raylets)
    trials = nodes + 1
    run = driver.start(*ON_GPUS, "-m", "waits", "--seeds", str(trials))
    wait_for_second_epoch(run, data_directory, nodes)
    let_continue(data_directory)
    code, out, said = ended(run)
    assert code == 0, said
    assert re.search(rf"^waits .* {trials}/{trials} ok$", out, re.M)
    notes = observed.read_notes(data_directory)
    assert Counter(note["event"] for note in notes) == {
        "start": trials,
        "epoch": trials * EPOCHS,
        "end": trials,
    }
    assert {note["threads"] for note in notes} == {1}
    assert {note["spin_count"] for note in notes} == {"10000"}
    assert most_at_a_time(notes) == nodes
    assert_equal_here(benchmark, trials)
    for seed in range(trials):
        assert sorted(
            str(file.relative_to(trial_folder("waits", seed))) for file in files(seed)
        ) == [
            "history.jsonl",
            "log.txt",
            "mine/note.txt",
            "predictions.npy",
            "trial.json",
            "weights.safetensors",
        ]


def files(seed: int) -> list[Path]:
    return [path for path in trial_folder("waits", seed).rglob("*") if path.is_file()]


def wait_for_second_epoch(
    run: subprocess.Popen[str], data_directory: Path, trials: int = 1
) -> list[dict[str, Any]]:
    """Wait until so many trials wait after their second epoch, and the driver has all of it.

    Returns their notes.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        notes = [note for note in observed.read_notes(data_directory) if note.get("epoch") == 2]
        if len(notes) >= trials and all(is_here(note["seed"], epochs=2) for note in notes):
            return notes
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)
    run.kill()
    raise AssertionError(run.communicate())


def is_here(seed: int, epochs: int) -> bool:
    """Whether the driver knows of so many epochs of a trial, and has the checkpoint of the last."""
    folder = trial_folder("waits", seed)
    history, checkpoint = folder / "history.jsonl", folder / NEWEST
    if not (history.exists() and checkpoint.exists()):
        return False
    _, _, payload = checkpoint.read_bytes().split(b"\n", 2)
    content = torch.load(io.BytesIO(payload), weights_only=True)
    return len(history.read_text().splitlines()) == len(content["epochs"]) == epochs


def let_continue(data_directory: Path) -> None:
    (data_directory / observed.CONTINUE).touch()


def parent_of(process: int) -> int | None:
    """The number of a process's parent, None if it has ended."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


@drawn("a worker")
def test_what_is_killed_is_submitted_again_and_costs_an_epoch_at_most(
    cluster: Cluster, driver: Driver, benchmark: CommandLine, data_directory: Path
) -> None:
    """Of three trials one loses its node, another the task that supervises its process."""
    run = driver.start(*ON_GPUS, "-m", "waits", "--seeds", "3")
    notes = wait_for_second_epoch(run, data_directory, 3)
    node_of = {note["seed"]: cluster.node_of(note["parent"]) for note in notes}
    # Not the head: without it there is no cluster.
    on_killed_node, with_killed_task, _ = sorted(notes, key=lambda note: -node_of[note["seed"]])
    cluster.change(f"kill {node_of[on_killed_node['seed']]}")
    cluster.change("add {}")
    os.kill(with_killed_task["parent"], signal.SIGKILL)
    causes = {
        on_killed_node["seed"]: "NodeDiedError",
        with_killed_task["seed"]: "WorkerCrashedError",
    }
    for note in (on_killed_node, with_killed_task):
        assert_is_gone(note)
    let_continue(data_directory)
    code, out, said = ended(run)
    assert code == 0, said
    assert re.search(r"^waits .* 3/3 ok$", out, re.M)
    for seed in range(3):
        notes = [note for note in observed.read_notes(data_directory) if note["seed"] == seed]
        epochs = [note["epoch"] for note in notes if note["event"] == "epoch"]
        assert epochs == [1, 2, 3, 4]
        assert trial_record("waits", seed)["resumed"] == int(seed in causes)
    for seed, cause in causes.items():
        *_, warning = trial_record("waits", seed)["warnings"]
        assert warning == f"its task was lost once: {cause}, in epoch 3 of 4; submitted again"
        assert f"waits, seed {seed}: {warning}" in said
    assert_equal_here(benchmark, 3)


def assert_is_gone(note: dict[str, Any]) -> None:
    """A trial's process and its folder on the node go soon; a busy machine may need a while."""
    left = {Path(f"/proc/{note['process']}"), Path(note["directory"])}
    until = time.monotonic() + PATIENCE_SECONDS
    while left and time.monotonic() < until:
        left = {path for path in left if path.exists()}
        time.sleep(0.1)
    assert not left


@drawn("a task again and again")
def test_a_task_that_is_lost_too_often_is_a_failed_row(driver: Driver) -> None:
    lost = ("-m", "kills_its_task", "--set", "executor.max_retries=1")
    code, out, said = driver.run(*lost, "-m", "steady")
    assert code == 1, said
    # What Ray prints about it is on the other stream.
    assert out.startswith("far: synthetic")
    assert re.search(r"^kills_its_task .* failed$", out, re.M)
    assert re.search(r"^steady .* completed$", out, re.M)
    assert trial_record("kills_its_task")["reason"] == (
        "its task was lost 2 times: WorkerCrashedError, while it was set up; "
        "WorkerCrashedError, while it was set up"
    )


@drawn("the driver")
def test_a_driver_that_is_killed_is_started_again_and_resumes(
    driver: Driver, benchmark: CommandLine, data_directory: Path
) -> None:
    run = driver.start(*ON_GPUS, "-m", "waits")
    (note,) = wait_for_second_epoch(run, data_directory)
    run.kill()
    _, _, said = ended(run)
    assert said.splitlines()[-1] == RUN_DIED
    assert_is_gone(note)
    let_continue(data_directory)
    code, _, said = driver.run(*ON_GPUS, "-m", "waits")
    assert code == 0, said
    assert "benchmark: waits, seed 0: goes on after epoch 2 of 4" in said
    epochs = [note for note in observed.read_notes(data_directory) if note["event"] == "epoch"]
    assert len(epochs) == EPOCHS
    assert_equal_here(benchmark, 1)


@drawn("the run")
def test_ctrl_c_ends_a_trial_and_on_another_kind_of_machine_it_restarts(
    driver: Driver, data_directory: Path
) -> None:
    run = driver.start("-m", "waits", "--seeds", "1")
    (note,) = wait_for_second_epoch(run, data_directory)
    run.send_signal(signal.SIGINT)
    code, out, said = ended(run)
    assert code == 130, said
    assert re.search(r"^waits .* interrupted$", out, re.M)
    assert_is_gone(note)
    assert trial_record("waits")["status"] == "interrupted"
    assert trial_record("waits")["reason"] == "in epoch 3 of 4"
    # The node's, not the driver's.
    assert trial_record("waits")["environment"]["threads"] == 1
    let_continue(data_directory)
    code, _, said = driver.run("-m", "waits", "--set", "executor.num_cpus=2")
    assert code == 0, said
    found = trial_record("waits")
    assert (found["status"], found["resumed"]) == ("completed", 0)
    # All of the node's cores: this time no other trial could be there.
    (warning,) = found["warnings"]
    assert re.fullmatch(
        r"restarted from the beginning on \S+: checkpoint\.pt: "
        r"the training cannot go on as it began: threads was 1, is 2; put it back as it was, "
        r"or start over with --fresh",
        warning,
    )
    assert {note["threads"] for note in observed.read_notes(data_directory)} == {1, 2}


def test_without_an_address_ray_is_started_for_the_run_and_sends_no_statistics(
    lone_driver: Driver, data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for name, value in RAY_SETTINGS.items():
        monkeypatch.setenv(name, value)
    run = lone_driver.start("-m", "waits")
    (note,) = wait_for_second_epoch(run, data_directory)
    raylet = parent_of(note["parent"])
    assert raylet is not None
    assert parent_of(raylet) == run.pid
    assert note["usage_statistics"] == "0"
    (dashboard,) = (line for line in commands_of_children(run.pid) if "/dashboard.py" in line)
    assert "--disable-frontend" in dashboard
    let_continue(data_directory)
    code, _, said = ended(run)
    assert code == 0, said
    assert RUN_DIED not in said
    assert trial_record("waits")["status"] == "completed"
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


def test_a_node_refuses_the_trials_of_which_it_has_other_code_and_those_alone(
    cluster: Cluster, driver: Driver, tmp_path: Path
) -> None:
    for version in ("1.2", "1.3"):
        install(tmp_path / version, version)
    # The only node that has room for three.
    here = {"num_cpus": 3, "env_vars": {"PYTHONPATH": str(tmp_path / "1.2")}}
    cluster.change(f"add {json.dumps(here)}")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(tmp_path / "1.3"))
        settings = ("--set", "executor.num_cpus=3", "--set", "executor.max_retries=0")
        code, out, _ = driver.run("-m", "edited", "-m", "released", *settings)
    cluster.change(f"kill {len(cluster.raylets) - 1}")
    assert code == 1
    assert re.search(r"^edited .* refused$", out, re.M)
    assert re.fullmatch(
        r"\S+ has other code than the run began with "
        r"\(model 'edited' is (\w+), not (?!\1)\w+\); make it the same, or give the command again",
        trial_record("edited")["reason"],
    )
    # A release with the same code is trained, and the record says which one it was.
    trained = trial_record("released")
    assert (trained["status"], trained["origin"]["version"]) == ("completed", "1.2")


PLUGIN = """
from torch import nn
import benchmark

def build(input_shape, num_classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))

@benchmark.hookimpl
def benchmark_models():
    yield benchmark.ModelEntry("{}", build)
"""


def install(site: Path, version: str) -> None:
    """Install a distribution into a folder: with two plugins, one of which has been edited."""
    information = site / f"theirs-{version}.dist-info"
    information.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: theirs\nVersion: {version}\n"
    (information / "METADATA").write_text(metadata)
    points = "[benchmark.plugins]\nedited = edited\nreleased = released\n"
    (information / "entry_points.txt").write_text(points)
    (site / "edited.py").write_text(f"{PLUGIN.format('edited')}\nVERSION = {version}\n")
    (site / "released.py").write_text(PLUGIN.format("released"))


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("address=ray://127.0.0.1:10001", "is for Ray's client, which cannot send"),
        ("address=127.0.0.1:1", r"nothing answers at 127.0.0.1:1 \(Connection.*give HOST:PORT"),
        ("address=somewhere:far", r"nothing answers at somewhere:far \(ValueError: .*"),
        ("num_gpus=2", "executor.num_gpus: .* less than or equal to 1, got 2"),
    ],
)
def test_an_option_that_cannot_be_met_is_one_line(
    benchmark: CommandLine, setting: str, complaint: str
) -> None:
    Path("far.yaml").write_text(CONFIG)
    chosen = ("--executor", "ray", "--set", f"executor.{setting}")
    refused = benchmark("run", "far.yaml", *observed.CHOSEN, *chosen)
    assert re.search(complaint, only_error(refused))
    assert not Path("runs").exists()


def test_a_driver_without_the_token_is_refused(driver: Driver) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_AUTH_TOKEN", "another token")
        # Ray would try for twenty seconds.
        environment.setenv("RAY_NUM_REDIS_GET_RETRIES", "2")
        code, out, said = driver.run()
    assert (code, out) == (2, "")
    # Before it, Ray says at each attempt that it was refused.
    *tries, line = said.splitlines()
    assert all("Authentication token is missing or incorrect" in one for one in tries)
    assert re.match(
        r"benchmark: error: cannot connect to a cluster at \S+: \w+: .* its token$",
        line,
    )
    assert not Path("runs").exists()


def test_without_ray_the_error_says_what_to_install(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    # Only Ray is missing: the sources of plugins are found so, too.
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ray" else find_spec(name)
    )
    Path("far.yaml").write_text(CONFIG)
    refused = benchmark("run", "far.yaml", "-m", "separable_cnn", "--executor", "ray")
    assert "the executor 'ray' needs Ray: pip install 'ray>=2.60'" in only_error(refused)


def test_a_request_that_no_node_can_meet_is_refused_before_the_first_trial(
    driver: Driver, data_directory: Path
) -> None:
    """The GPUs are those of the cluster: this machine has none."""
    code, out, said = driver.run("--device", "cuda", "--set", "executor.num_cpus=3")
    assert (code, out) == (2, "")
    assert re.search(
        r"^benchmark: error: no node of the cluster has room for a trial of 3 CPUs, 1 GPU: they "
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
    refused = benchmark("run", "far.yaml", *observed.CHOSEN, "--executor", "ray")
    assert variable in only_error(refused)


@pytest.mark.parametrize(
    ("device", "gpus", "complaint"),
    [
        ("cuda:1", 1, "--device cuda:1: trials on other machines are for cpu or cuda"),
        ("mps", 0, "--device mps: trials on other machines are for cpu or cuda"),
        ("cuda", 0, "trials on cuda need a GPU, or a part of one"),
    ],
)
def test_a_device_that_no_trial_can_have_is_refused(
    benchmark: CommandLine, device: str, gpus: int, complaint: str
) -> None:
    Path("far.yaml").write_text(CONFIG)
    chosen = ("--executor", "ray", "--device", device, "--set", f"executor.num_gpus={gpus}")
    assert complaint in only_error(benchmark("run", "far.yaml", *observed.CHOSEN, *chosen))


def test_a_plugin_s_file_is_used_where_it_is_or_sent_along(tmp_path: Path) -> None:
    """What is there has its neighbours beside it; what is sent keeps the names of its folders."""
    from benchmark_plugins.executors.cluster.folders import Changes
    from benchmark_plugins.executors.cluster.node import InputFiles, _unpacked

    same, other = tmp_path / "ra" / "model.py", tmp_path / "rb" / "model.py"
    for file in (same, other):
        file.parent.mkdir()
        file.write_bytes(b"here")
    selected = ("no:adam", str(same), str(other), "/of/the/driver/model.py", "installed.module")
    sent = {str(same): b"here", str(other): b"edited", "/of/the/driver/model.py": b"far"}
    folder = tmp_path / "node"
    folder.mkdir()
    spec = make_spec().model_copy(update={"plugins": selected})
    here = _unpacked(spec, InputFiles(Changes({}, {}), sent), folder).plugins
    assert here[:2] == selected[:2]
    assert here[-1] == selected[-1]
    assert [Path(path).read_bytes() for path in here[2:4]] == [b"edited", b"far"]
    for path, there in zip(here[2:4], selected[2:4], strict=True):
        assert path.startswith(str(folder))
        assert path.endswith(there)


def test_a_node_sends_no_more_progress_than_a_driver_can_take() -> None:
    """It sends all other events, in their order."""
    from benchmark_plugins.executors.cluster.node import Outbox

    outbox = Outbox()
    begun, ended = (
        TrialEvent(trial=make_spec().key, warnings=(word,)) for word in ("begun", "ended")
    )
    progress = TrialProgress(part="training", epoch=1, steps=1, seconds=1)
    for event in (begun, *[TrialEvent(trial=make_spec().key, progress=progress)] * 10, ended):
        outbox.add(event)
    assert [event.warnings for event in outbox.events] == [("begun",), (), ("ended",)]
