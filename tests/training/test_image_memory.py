"""Images that are too large: refused by a device, and left in their file by a CPU."""

from __future__ import annotations

import json
import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from hypothesis import given, strategies as st

from benchmark import Images
from benchmark.runner import runner
from benchmark.training import image_memory
from benchmark.training.data import PixelsInPlace, ResidentImages, chosen, subset
from tests.conftest import CommandLine, only_error
from tests.support.tiny import write_tiny_run

CPU = torch.device("cpu")
MIB = 2**20


def leave_all_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_memory, "HOST_SHARE", 0)


def drawn(count: int, channels: int = 3, height: int = 4, width: int = 5) -> Images:
    generator = numpy.random.default_rng(count)
    pixels = generator.integers(0, 256, (count, channels, height, width), numpy.uint8)
    return Images(pixels, generator.integers(0, 3, count))


def mapped(folder: Path, images: Images) -> Images:
    numpy.save(folder / "pixels.npy", images.pixels)
    return Images(numpy.load(folder / "pixels.npy", mmap_mode="c"), images.labels)


# A CPU.


def figures(benchmark: CommandLine, *arguments: str) -> list[Any]:
    command = write_tiny_run(Path())
    result = benchmark(*command, "--fresh", "-m", "tiny", *arguments)
    assert result.code == 0, result.err
    records = [json.loads(file.read_text()) for file in sorted(Path("runs").rglob("trial.json"))]
    measured = {"train_seconds", "evaluation_seconds", "timed"}
    return [
        (
            record["correct"],
            [{k: v for k, v in epoch.items() if k not in measured} for epoch in record["epochs"]],
        )
        for record in records
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--set", "train_images=33", "--set", "test_images=17"),
        ("--set", "train_images=33", "--set", "validation=0.3"),
        ("-r", "sgd_onecycle", "--set", "recipe.cutout=3", "--set", "train_images=40"),
    ],
    ids=["all", "subset", "held out", "augmented"],
)
def test_images_in_a_mapped_file_train_with_the_same_figures(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    expected = figures(benchmark, *arguments)
    leave_all_in_place(monkeypatch)
    used: list[Any] = []

    def noted(pixels: Any) -> PixelsInPlace:
        used.append(pixels)
        return PixelsInPlace(pixels)

    monkeypatch.setattr("benchmark.training.data.PixelsInPlace", noted)
    assert figures(benchmark, *arguments) == expected
    assert used


@given(st.data())
def test_pixels_in_place_are_those_of_a_copy(data: st.DataObject) -> None:
    images = drawn(data.draw(st.integers(1, 40)), channels=data.draw(st.sampled_from([1, 3])))
    rows = numpy.array(data.draw(st.lists(st.integers(0, len(images.labels) - 1), min_size=1)))
    size = data.draw(st.integers(1, len(rows)))
    resident = ResidentImages(subset(chosen(images, rows), size), CPU)
    with pytest.MonkeyPatch.context() as patch:
        leave_all_in_place(patch)
        in_place = ResidentImages(subset(chosen(images, rows), size), CPU)
    assert isinstance(in_place.pixels, PixelsInPlace)
    assert in_place.pixels.shape == resident.pixels.shape
    assert in_place.pixels.device == resident.pixels.device
    assert torch.equal(in_place.labels, resident.labels)
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, size)] * 2)))
    assert torch.equal(in_place.pixels[start:stop], resident.pixels[start:stop])
    indices = torch.tensor(data.draw(st.lists(st.integers(0, size - 1), min_size=1)))
    taken = (images.pixels.index_select(0, indices) for images in (in_place, resident))
    assert torch.equal(*taken)


def test_a_mapped_file_is_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = mapped(tmp_path, drawn(64, height=128, width=128))
    leave_all_in_place(monkeypatch)
    tracemalloc.start()
    try:
        resident = ResidentImages(subset(images, 60), CPU)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(resident) == 60
    assert most_bytes < 2**17 < images.pixels.nbytes
    whole = ResidentImages(images, CPU).pixels[0:1]
    assert whole.data_ptr() == images.pixels.ctypes.data


def test_small_images_are_copied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = mapped(tmp_path, drawn(50))
    # In parts of three images, the last of which is not full.
    monkeypatch.setattr("benchmark.training.data.CHUNK_BYTES", 3 * 60)
    resident = ResidentImages(images, CPU)
    assert resident.pixels.is_contiguous()
    numpy.testing.assert_array_equal(resident.pixels, images.pixels.transpose(0, 2, 3, 1))


@pytest.mark.parametrize(("limit", "expected"), [("1048576\n", MIB), ("max\n", None), (None, None)])
def test_a_container_may_have_less_memory_than_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str | None, expected: int | None
) -> None:
    file = tmp_path / "memory.max"
    if limit is not None:
        file.write_text(limit)
    monkeypatch.setattr(image_memory, "_CONTAINER_LIMIT", file)
    monkeypatch.setattr(image_memory, "memory_bytes", lambda: 2 * MIB)
    assert image_memory.host_memory_bytes() == (expected or 2 * MIB)


# A device with memory of its own.

# 64 training and 20 test images of 3 x 64 x 64.
LARGE = ("--set", "dataset.size=64", "-m", "tiny", "--seeds", "1")


def test_what_no_device_has_room_for_is_refused_with_a_remedy_that_works(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_memory, "device_memory_bytes", lambda device: 0.6 * MIB)
    command = (*write_tiny_run(Path()), *LARGE)
    line = only_error(benchmark(*command))
    assert line == (
        "benchmark: error: data set 'synthetic': its images take 1008 KiB, and cpu has 614 KiB of "
        "memory; train on fewer with --set train_images=18, make them smaller, or use --device cpu"
    )
    assert not Path("runs").exists()
    remedy = re.findall(r"(--set) (train_images=\d+)", line)
    assert benchmark(*command, *remedy[0]).code == 0
    assert benchmark(*command[:-6], "--set", "dataset.size=32", *LARGE[2:]).code == 0


def test_on_another_machine_it_costs_the_row(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_memory, "device_memory_bytes", lambda device: 0.2 * MIB)
    # As of a cluster, of whose devices the command knows nothing.
    monkeypatch.setattr(runner, "require_room", lambda dataset, device: None)
    result = benchmark(*write_tiny_run(Path()), *LARGE)
    assert result.code == 1
    (record,) = Path("runs").rglob("trial.json")
    reason = json.loads(record.read_text())["reason"]
    assert "its images take 1008 KiB, and cpu has 205 KiB of memory; make them smaller" in reason
