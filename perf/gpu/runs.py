"""Whole trainings as a user has them: by the command line, in a folder of runs."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from typing import Any

from benchmark.records import TrialRecord
from perf.gpu.awkward_models import PLUGIN as MODELS_PLUGIN
from perf.gpu.options import Options
from perf.random_images import NAME, PLUGIN as IMAGES_PLUGIN

RECORDS = "records.tar"
# Of a run's files those that say what came of it; weights and predictions stay.
CARRIED_HOME = ("run.json", "trial.json", "history.jsonl", "log.txt")


class RunError(Exception):
    """A command that did not do what it should; the text says what it did."""


class Run:
    """A config and the folder in which its one run lies."""

    def __init__(self, options: Options, name: str, **config: Any) -> None:
        self.name = name
        self._data_directory = str(options.work / "data")
        self.out = options.work / "runs" / name
        self.out.mkdir(parents=True, exist_ok=True)
        file = self.out / "config.yaml"
        given = {
            "dataset": _noise(options),
            "device": options.device_name,
            "batch_size": options.batch_size,
            "epochs": options.epochs,
            **config,
        }
        self._dataset = given["dataset"]
        # JSON is YAML, too.
        file.write_text(json.dumps(given), encoding="utf-8")
        self.command = [sys.executable, "-m", "benchmark", "run", str(file)]
        self.command += ["-p", IMAGES_PLUGIN, "-p", MODELS_PLUGIN]
        self.command += ["--out", str(self.out), "--data-dir", self._data_directory]
        self._packed = options.out / RECORDS

    def prepare(self) -> None:
        """Have the data set fetched and cached, so that the command need not do it."""
        settings = {**self._dataset}
        command = [sys.executable, "-m", "benchmark", "data", "prepare", settings.pop("name")]
        command += ["-p", IMAGES_PLUGIN, "--data-dir", self._data_directory]
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        _carry_out(command)

    def finish(self) -> float:
        """Have the command carried out; returns its seconds, and raises RunError if it failed."""
        start = time.perf_counter()
        try:
            _carry_out(self.command)
        finally:
            seconds = time.perf_counter() - start
            self.pack()
        return seconds

    def kill_after_a_checkpoint(self) -> float:
        """Start the command and kill it once there is a checkpoint; returns its seconds."""
        start = time.perf_counter()
        with subprocess.Popen(self.command, stdout=subprocess.DEVNULL) as process:
            while not any(self.out.rglob("checkpoint.pt")):
                if process.poll() is not None:
                    raise RunError("it ended before there was a checkpoint")
                time.sleep(0.01)
            process.kill()
        return time.perf_counter() - start

    def records(self) -> list[TrialRecord]:
        """The records of its trials."""
        files = sorted(self.out.rglob("trial.json"))
        return [TrialRecord.model_validate_json(file.read_bytes()) for file in files]

    def pack(self) -> None:
        """Add its records to the one archive of all runs."""
        with tarfile.open(self._packed, "a") as packed:
            for file in sorted(self.out.rglob("*")):
                if file.name in CARRIED_HOME:
                    packed.add(file, f"{self.name}/{file.relative_to(self.out).as_posix()}")


def completed(records: Sequence[TrialRecord], count: int) -> Sequence[TrialRecord]:
    """The records, if they are ``count`` completed ones; raises RunError if not."""
    states = [record.status for record in records]
    if states != ["completed"] * count:
        raise RunError(f"of {count} trials the records say: {', '.join(states) or 'nothing'}")
    return records


def _carry_out(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.stdout, done.stderr, sep="\n", flush=True)
    if done.returncode:
        raise RunError(f"exit code {done.returncode}: {_last_line(done.stderr)}")


def _noise(options: Options) -> dict[str, Any]:
    return {"name": NAME, "train_images": options.count, "test_images": options.count // 5}


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else "it said nothing"
