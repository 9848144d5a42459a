"""Images that a data set itself holds out, and what it notes of how it was read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy
import pytest

from benchmark.catalog.shelves import load_catalog
from benchmark.datasets.images import fingerprint
from benchmark.datasets.loading import Dataset, load_dataset
from benchmark.entries import Images, ImageSplits
from benchmark.protocol import Selection
from tests.conftest import CommandLine
from tests.support.tiny import write_tiny_run

PLUGIN = """
import numpy
from benchmark import DatasetEntry, Images, ImageSplits, hookimpl

def images(counts, seed):
    labels = numpy.repeat(numpy.arange(2), counts)
    pixels = numpy.random.default_rng(seed).integers(0, 256, (len(labels), 3, 8, 8), numpy.uint8)
    return Images(pixels, labels)

def load(data_directory, options):
    return ImageSplits(
        images([20, 12], 0), images([5, 3], 1), ("cat", "dog"), images([4, 2], 2),
        notes=("2 files were left aside", "val/ was taken for validation\\nas said"),
    )

@hookimpl
def benchmark_datasets():
    yield DatasetEntry("pets", load, identify=lambda data_directory, options: "as ever")
"""
NOTES = ("2 files were left aside", "val/ was taken for validation\nas said")
SAID = [
    "benchmark: pets: 2 files were left aside",
    r"benchmark: pets: val/ was taken for validation\nas said",
]


@pytest.fixture(autouse=True)
def _plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHMARK_DATA_DIR", str(tmp_path / "data"))
    Path("pets.py").write_text(PLUGIN)


def _load() -> Dataset:
    catalog = load_catalog(("pets.py",))
    return load_dataset(Selection(name="pets"), catalog.datasets, Path("data").absolute())


def test_the_cache_keeps_both() -> None:
    first, second = _load(), _load()
    assert first.fingerprint == second.fingerprint == fingerprint(second.splits)
    assert second.cache is not None
    assert {"validation_pixels.npy", "validation_labels.npy"} <= {
        file.name for file in second.cache.iterdir()
    }
    for dataset in (first, second):
        assert dataset.splits.notes == NOTES
        assert dataset.splits.validation is not None
        assert isinstance(dataset.splits.validation.pixels, numpy.memmap)
        assert dataset.splits.validation.labels.tolist() == [0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("name", ["validation_pixels.npy", "validation_labels.npy"])
def test_a_cache_that_has_lost_held_out_images_is_built_anew(name: str) -> None:
    cache = _load().cache
    assert cache is not None
    (cache / name).unlink()
    validation = _load().splits.validation
    assert validation is not None
    assert len(validation.labels) == 6
    assert (cache / name).exists()


def test_a_cache_with_an_altered_note_is_built_anew() -> None:
    cache = _load().cache
    assert cache is not None
    info = cache / "info.json"
    info.write_text(info.read_text().replace("2 files", "3 files"))
    assert _load().splits.notes == NOTES


def test_held_out_images_count_in_the_fingerprint_and_notes_do_not() -> None:
    with_both = _load().splits
    train, test, classes = with_both.train, with_both.test, with_both.classes
    without = ImageSplits(train, test, classes)
    assert fingerprint(ImageSplits(train, test, classes, notes=NOTES)) == fingerprint(without)
    assert fingerprint(with_both) != fingerprint(without)
    other = Images(test.pixels[:6], test.labels[:6])
    assert fingerprint(ImageSplits(train, test, classes, other)) != fingerprint(with_both)


def test_the_fingerprint_of_what_holds_nothing_out_is_that_of_published_runs() -> None:
    images = Images(numpy.arange(24, dtype=numpy.uint8).reshape(2, 3, 2, 2), numpy.arange(2))
    written = b"(2, 3, 2, 2)" + bytes(range(24)) + b"\0" * 8 + b"\1" + b"\0" * 7
    expected = hashlib.sha256(b"cat\0dog" + 2 * written).hexdigest()
    assert fingerprint(ImageSplits(images, images, ("cat", "dog"))) == expected


def test_info_has_a_column_and_the_notes(benchmark: CommandLine) -> None:
    result = benchmark("-p", "pets.py", "data", "info", "pets")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert "validation images: 6" in lines
    assert "note: 2 files were left aside" in lines
    assert r"note: val/ was taken for validation\nas said" in lines
    assert [line.split() for line in (lines[-4], *lines[-2:])] == [
        ["class", "training", "validation", "test"],
        ["cat", "20", "4", "5"],
        ["dog", "12", "2", "3"],
    ]


def test_info_says_what_always_naming_the_largest_class_scores(benchmark: CommandLine) -> None:
    out = benchmark("-p", "pets.py", "data", "info", "pets").out
    assert "always naming cat: 62.50 % of the test images right" in out.splitlines()
    even = benchmark("data", "info", "synthetic", "--set", "train_images=10", "--set", "size=8")
    assert (even.code, "always naming" in even.out) == (0, False)


def test_prepare_says_the_notes_each_time(benchmark: CommandLine) -> None:
    for _ in range(2):
        result = benchmark("-p", "pets.py", "data", "prepare", "pets")
        assert (result.code, result.err.splitlines()) == (0, SAID)


def test_a_run_says_the_notes_once_and_trains(benchmark: CommandLine) -> None:
    command = write_tiny_run(Path())
    result = benchmark(*command, "-p", "pets.py", "-d", "pets")
    assert result.code == 0, result.err
    assert [line for line in result.err.splitlines() if "pets: " in line] == SAID
