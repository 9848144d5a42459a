"""A fingerprint that a run has verified is not worked out again by its trials."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

from benchmark.catalog import load_catalog
from benchmark.datasets import cache as cache_module
from benchmark.datasets.images import fingerprint
from benchmark.datasets.loading import Dataset, load_dataset
from benchmark.entries import ImageSplits
from benchmark.events import TrialEvent
from benchmark.protocol import Selection
from benchmark.specs import TrialSpec, VerifiedCache
from benchmark_plugins.executors.inline import InlineExecutor
from tests.conftest import CommandLine
from tests.support.tiny import write_tiny_run

SMALL = {"train_images": 64, "test_images": 20, "size": 8}
# A data set that is made of another, and is cached, too.
DARKER = """
from dataclasses import replace
from typing import Any
from benchmark import DatasetEntry, Images, Options, hookimpl

class DarkerOptions(Options):
    of: Any = None

def load(data_directory, options, images):
    return replace(images, test=Images(images.test.pixels // 2, images.test.labels))

@hookimpl
def benchmark_datasets():
    yield DatasetEntry("darker", load, options=DarkerOptions, wraps="of", identify=lambda *_: "")
"""
SELECTION = Selection(name="darker", options={"of": {"name": "synthetic", **SMALL}})


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images were hashed, each time that a cache's were."""
    counts: list[int] = []

    def count(splits: ImageSplits) -> str:
        counts.append(len(splits.train.labels) + len(splits.test.labels))
        return fingerprint(splits)

    monkeypatch.setattr(cache_module, "fingerprint", count)
    return counts


def load(verified: tuple[VerifiedCache, ...] = (), data: str = "data") -> Dataset:
    Path("darker.py").write_text(DARKER)
    shelf = load_catalog(("darker.py",)).datasets
    return load_dataset(SELECTION, shelf, Path(data), verified)


def test_only_what_nobody_has_verified_is_hashed(hashed: list[int]) -> None:
    first = load()
    assert [cache.fingerprint for cache in first.verified][1:] == [first.fingerprint]
    assert len(first.verified) == 2
    hashed.clear()
    assert load().fingerprint == first.fingerprint
    assert hashed == [84, 84]
    sent = tuple(VerifiedCache.model_validate_json(c.model_dump_json()) for c in first.verified)
    hashed.clear()
    again = load(sent)
    assert (again.fingerprint, again.verified, hashed) == (first.fingerprint, first.verified, [])
    assert (again.splits.test.pixels == first.splits.test.pixels).all()


def rewrite(file: Path) -> None:
    """Put a file of the same content in its place, as a copy that keeps times does."""
    shutil.copy2(file, "copy")
    Path("copy").replace(file)


def change_a_pixel(file: Path) -> None:
    pixels = numpy.load(file, mmap_mode="r+")
    pixels.flat[-1] ^= 1
    pixels.flush()


def touch(file: Path) -> None:
    state = file.stat()
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns + 1))


def change_a_pixel_behind_the_clock(file: Path) -> None:
    """The size, the inode and the time of the content stay what they were."""
    state = file.stat()
    change_a_pixel(file)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize(
    "change", [rewrite, change_a_pixel, change_a_pixel_behind_the_clock, touch]
)
@pytest.mark.parametrize("file", ["train_pixels.npy", "test_labels.npy"])
def test_whatever_has_changed_since_is_hashed(
    hashed: list[int], change: Callable[[Path], None], file: str
) -> None:
    first = load()
    assert first.cache is not None
    before = {path.name: path.read_bytes() for path in first.cache.iterdir()}
    change(first.cache / file)
    hashed.clear()
    assert load(first.verified).fingerprint == first.fingerprint
    # What was damaged has been made anew by then.
    assert hashed
    assert {path.name: path.read_bytes() for path in first.cache.iterdir()} == before


def test_the_same_files_elsewhere_are_hashed(hashed: list[int]) -> None:
    first = load()
    shutil.copytree("data", "moved")
    hashed.clear()
    moved = load(first.verified, "moved")
    assert (moved.fingerprint, hashed) == (first.fingerprint, [84, 84])


def test_a_data_set_without_a_cache_has_nothing_verified() -> None:
    Path("plain.py").write_text(
        "import numpy\n"
        "from benchmark import DatasetEntry, Images, ImageSplits, hookimpl\n"
        "half = Images(numpy.zeros((4, 3, 8, 8), numpy.uint8), numpy.arange(4) % 2)\n"
        "@hookimpl\n"
        "def benchmark_datasets():\n"
        "    yield DatasetEntry('plain', lambda *_: ImageSplits(half, half, ('a', 'b')))\n"
    )
    shelf = load_catalog(("plain.py",)).datasets
    assert load_dataset(Selection(name="plain"), shelf, Path("data")).verified == ()


@pytest.mark.parametrize("damaged", [False, True])
def test_a_run_hashes_once_and_its_trials_only_what_was_altered_meanwhile(
    benchmark: CommandLine, hashed: list[int], monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    monkeypatch.setenv("BENCHMARK_DATA_DIR", "data")
    arguments = write_tiny_run(Path())
    benchmark("data", "prepare", "synthetic", *settings())
    run_trials = InlineExecutor.run

    def alter_and_run(
        executor: InlineExecutor, specs: list[TrialSpec], report: Callable[[TrialEvent], None]
    ) -> Any:
        if damaged:
            (cache,) = Path("data/decoded").iterdir()
            change_a_pixel(cache / "train_pixels.npy")
        return run_trials(executor, specs, report)

    monkeypatch.setattr(InlineExecutor, "run", alter_and_run)
    hashed.clear()
    result = benchmark(*arguments)
    assert result.code == 0, result.err
    # Once when the run is prepared; the first trial finds the damage and makes the cache anew.
    assert (len(hashed) > 1) == damaged


def settings() -> list[str]:
    return [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
