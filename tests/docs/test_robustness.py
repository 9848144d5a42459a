"""The page about robustness: its constants, its configs and its plugin."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest

from benchmark.catalog.shelves import load_catalog
from benchmark.datasets.loading import load_dataset
from benchmark.protocol import Selection
from benchmark_plugins.datasets.corruptions import constants_for
from tests.conftest import CommandLine, only_error
from tests.docs.test_docs import blocks, read, rows, sections

PAGE = "docs/robustness.md"


def test_the_page_has_the_constants_for_every_size() -> None:
    table = rows(sections(read(PAGE))["The corruptions"])
    for column, size in ((2, 32), (3, 64), (4, 65)):
        stated = {
            row[0].strip("`"): tuple(float(number) for number in row[column].split(","))
            for row in table
        }
        assert stated == constants_for(size, size)


@pytest.mark.parametrize("block", blocks(read(PAGE), "yaml"))
def test_each_config_is_sound(benchmark: CommandLine, block: str) -> None:
    text = block if "epochs" in block else f"{block}models: [baseline_cnn]\nepochs: 1\n"
    Path("x.yaml").write_text(text)
    # All that is wrong is what is set last, so that nothing is loaded.
    line = only_error(benchmark("run", "x.yaml", "--jobs", "0"))
    assert line.startswith("benchmark: error: --jobs: ")


def test_the_plugin_wraps_a_data_set() -> None:
    (plugin,) = blocks(read(PAGE), "python")
    Path("overturned.py").write_text(plugin)
    shelf = load_catalog(("overturned.py",)).datasets
    small = {"name": "synthetic", "train_images": 10, "test_images": 10, "size": 8}
    overturned = load_dataset(Selection(name="overturned", options={"of": small}), shelf, Path())
    of = {key: value for key, value in small.items() if key != "name"}
    plain = load_dataset(Selection(name="synthetic", options=of), shelf, Path())
    expected = numpy.flip(plain.splits.test.pixels, axis=2)
    numpy.testing.assert_array_equal(overturned.splits.test.pixels, expected)
    numpy.testing.assert_array_equal(overturned.splits.train.pixels, plain.splits.train.pixels)
