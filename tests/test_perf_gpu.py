"""The GPU's measurements, as far as a CPU goes: eager steps, the figures, a training end to end."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image
from torch import nn

from perf.gpu import compare_engines, engine_table, main, peak_share, relative_distance

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of 128 training and 8 test images in two classes: one batch of the preset's."""
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


def test_both_engines_see_the_same_seed_and_on_a_cpu_are_the_same() -> None:
    row = compare_engines("separable_cnn", batch_size=8, count=19, repeats=2, device=CPU)
    assert (row["images"], row["captured"], row["peak_share"]) == (16, False, None)
    assert len(row["seconds"]) == len(row["eager_seconds"]) == 2
    assert row["difference"] == row["control"] == 0
    # 5.01 million multiply-accumulates, six operations each, 16 images an epoch.
    epoch_operations = row["flops"] * float(numpy.median(row["seconds"]))
    assert epoch_operations == pytest.approx(6 * 5.01e6 * 16, rel=0.01)


def test_the_table_has_medians_and_the_spread_of_the_pairs_ratios() -> None:
    row = {
        "model": "baseline_cnn",
        "batch_size": 128,
        "captured": True,
        "eager_seconds": [0.8, 1.0, 0.9],
        "seconds": [0.2, 0.2, 0.1],
        "peak_share": 0.25,
        "difference": 1.2e-3,
        "control": 1.1e-3,
    }
    last = engine_table([row]).splitlines()[-1]
    assert last == (
        "| `baseline_cnn` | 128 | 0.9000 | 0.2000 | 4.50 (4.00 to 9.00) | 25.0% "
        "| 1.2e-03 (1.1e-03) |"
    )


def test_the_distance_of_two_models() -> None:
    left, right = nn.Linear(3, 1, bias=False), nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        left.weight.copy_(torch.tensor([[3.0, 0.0, 4.0]]))
        right.weight.copy_(torch.tensor([[0.0, 0.0, 4.0]]))
    assert relative_distance(left, right) == pytest.approx(3 / 4)
    assert peak_share(1e12, CPU) is None


def test_the_whole_measurement_runs_on_a_cpu(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(
        [
            *("--device", "cpu", "--count", "16", "--repeats", "1", "--batch-sizes", "8"),
            *("--images", str(archive), "--out", "out", "--epochs", "1", "--seeds", "1"),
        ]
    )
    results = json.loads(Path("out/results.json").read_text())
    assert [row["model"] for row in results["engines"]] == ["baseline_cnn", "separable_cnn"]
    assert Path("out/table.md").read_text() in capsys.readouterr().out
    records = [json.loads(file.read_text()) for file in Path("out/runs").rglob("trial.json")]
    assert [record["status"] for record in records] == ["completed", "completed"]
    assert {record["dataset"]["train_images"] for record in records} == {128}
