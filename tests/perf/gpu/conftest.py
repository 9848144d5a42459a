"""What several of the measurements' tests are given."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy
import pytest
from PIL import Image

from perf.gpu.options import Options


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of 128 training and 8 test images in two classes."""
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


@pytest.fixture
def options(tmp_path: Path) -> Options:
    """Two steps an epoch, of eight images."""
    return Options(
        out=tmp_path,
        work=tmp_path,
        device_name="cpu",
        images=None,
        count=19,
        batch_size=8,
        batch_sizes=(16,),
        repeats=2,
        epochs=1,
        seeds=1,
    )
