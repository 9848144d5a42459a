"""Edit, run again, in one process: what is trained and shown is the code as it is now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import benchmark
from tests.support.tiny import PLUGIN

TINY = {
    "dataset": {"name": "synthetic", "train_images": 64, "test_images": 20, "size": 8},
    "models": ["tiny"],
    "epochs": 1,
    "batch_size": 16,
    "precision": "fp32",
    "device": "cpu",
}


def params(**changed: Any) -> int:
    (record,) = benchmark.run(TINY, **{"plugins": ["tiny.py"], **changed}).records
    assert record.params is not None
    return record.params.total


WITH_A_NEIGHBOUR = PLUGIN.replace("nn.Linear(", "parts.dense(").replace(
    "import nn", "import nn\nimport parts"
)
PART = "from torch import nn\n\ndef dense(*sizes):\n    return nn.Linear(*sizes)\n"


def test_an_edited_file_and_an_edited_neighbour_are_loaded_anew(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("tiny.py").write_text(WITH_A_NEIGHBOUR)
    Path("parts.py").write_text(PART)
    assert params() == 1930
    Path("parts.py").write_text(PART.replace("*sizes)\n", "*sizes, bias=False)\n"))
    assert params() == 1920
    assert "there are records of other versions of tiny (1)" in capsys.readouterr().err
    normalized = WITH_A_NEIGHBOUR.replace("nn.Flatten(),", "nn.Flatten(), nn.BatchNorm1d(192),")
    Path("tiny.py").write_text(normalized)
    assert params() > 1930
    Path("tiny.py").write_text(WITH_A_NEIGHBOUR)
    Path("parts.py").write_text(PART)
    capsys.readouterr()
    assert params() == 1930
    assert "1 of 1 trials completed earlier, 0 to train" in capsys.readouterr().err


def test_a_file_that_was_mended_works(capsys: pytest.CaptureFixture[str]) -> None:
    Path("tiny.py").write_text("1 +")
    with pytest.raises(benchmark.BenchmarkError, match="unknown model 'tiny'"):
        params()
    Path("tiny.py").write_text(PLUGIN)
    assert params() == 1930


SCRIPT = """
import sys
sys.path.insert(0, "installed")
import benchmark
from pathlib import Path

config = {config!r}
plugins = [{plugin!r}]
run = benchmark.run(config, plugins=plugins)
file = Path("installed") / {edited!r}
file.write_text(file.read_text() + "\\n# A comment changes nothing.\\n")
benchmark.run(config, plugins=plugins)
file.write_text(file.read_text().replace("nn.Linear(", "nn.LazyLinear(num_classes) or nn.Linear("))
benchmark.run({{**config, "models": ["separable_cnn"]}}, plugins=plugins)
try:
    benchmark.run(config, plugins=plugins)
except benchmark.BenchmarkError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("plugin", "edited"), [("mine", "mine.py"), ("own/mine.py", "parts.py")], ids=["plugin", "part"]
)
def test_an_installed_module_that_was_edited_needs_a_new_python(plugin: str, edited: str) -> None:
    Path("installed").mkdir()
    Path("own").mkdir()
    Path("installed/mine.py").write_text(PLUGIN)
    # On the path, and without a version that would tell its states apart.
    Path("installed/parts.py").write_text(PART)
    Path("own/mine.py").write_text(WITH_A_NEIGHBOUR)
    config = {**TINY, "executor": "inline"}
    script = SCRIPT.format(config=config, plugin=plugin, edited=edited)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.stdout == (
        "PluginError changed on the disk since this process imported it, or what it imports: "
        "mine (no distribution); restart Python\n"
    ), done.stderr
    assert done.stderr.count("1 of 1 trials completed earlier, 0 to train") == 1
