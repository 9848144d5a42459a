"""Small image files in folders, and what the data set ``imagefolder`` makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
from PIL import Image

from benchmark.catalog.shelves import load_catalog
from benchmark.datasets.loading import Dataset, load_dataset
from benchmark.protocol import Selection
from tests.conftest import CommandLine, Result

SIDE = 16

Pixels = numpy.ndarray[Any, Any]


def noise(seed: int, side: int = SIDE) -> Pixels:
    """Colours without meaning, uint8 of side x side x 3."""
    return numpy.random.default_rng(seed).integers(0, 256, (side, side, 3), numpy.uint8)


def save(path: Path, pixels: Pixels, **options: Any) -> None:
    """Write a file in the format that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def load(root: Path, data_directory: Path, **options: Any) -> Dataset:
    """Load what is below ``root``."""
    selection = Selection(name="imagefolder", options={"root": str(root), **options})
    return load_dataset(selection, load_catalog().datasets, data_directory)


def prepare(benchmark: CommandLine, root: Path, *more: str) -> Result:
    """Prepare it on the command line."""
    return benchmark("data", "prepare", "imagefolder", "--set", f"root={root}", *more)
