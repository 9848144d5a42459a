"""The notebook runs from top to bottom, and gives the records that the command line gives."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmark.records import TrialRecord
from tests.support.command_process import run
from tests.support.sampling import is_drawn
from tests.support.trial_files import figures

NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebook.ipynb"
# In a process of its own: what it imports warns of this and that.
EXECUTE = """
import nbformat, nbclient
notebook = nbformat.read("notebook.ipynb", 4)
nbclient.NotebookClient(notebook, timeout=200).execute()
nbformat.write(notebook, "executed.ipynb")
"""
CONFIG = """
dataset: {name: synthetic, train_images: 256, test_images: 64, size: 16}
models: [separable_cnn]
epochs: 2
batch_size: 32
seeds: 2
"""


def cells(notebook: Path) -> list[dict[str, Any]]:
    content: dict[str, Any] = json.loads(notebook.read_text(encoding="utf-8"))
    return [cell for cell in content["cells"] if cell["cell_type"] == "code"]


def records(folder: str) -> dict[tuple[str, str, int], TrialRecord]:
    found = [
        TrialRecord.model_validate_json(file.read_text())
        for file in Path(folder).glob("*/trials/**/trial.json")
    ]
    return {(record.model, record.identity, record.seed): record for record in found}


def test_the_notebook_has_no_outputs() -> None:
    assert [(cell["outputs"], cell["execution_count"]) for cell in cells(NOTEBOOK)] == [
        ([], None)
    ] * len(cells(NOTEBOOK))


@pytest.mark.timeout(600)
@pytest.mark.skipif(not is_drawn("notebook", one_in=4), reason="is not in this commit's sample")
def test_the_notebook_gives_the_records_that_the_command_line_gives() -> None:
    shutil.copy(NOTEBOOK, "notebook.ipynb")
    subprocess.run([sys.executable, "-c", EXECUTE], check=True, capture_output=True)
    outputs = [json.dumps(cell["outputs"]) for cell in cells(Path("executed.ipynb"))]
    assert "separable_cnn seed 0  epoch 1/2" in outputs[0]
    assert "<table>" in outputs[1]
    assert "all models are trained in this process (executor inline), because of Perc" in outputs[3]
    assert "2 of 4 trials completed earlier, 2 to train" in outputs[3]
    assert "nothing tells this model" not in outputs[3]
    assert "there are records of other versions of Perceptron (1)" in outputs[4]
    assert outputs[5].count("<tr><td>Perceptron") == 2
    assert "'completed'" in outputs[7]

    Path("notebook.yaml").write_text(CONFIG)
    assert run("run", "notebook.yaml", "--out", "theirs", "--executor", "inline").returncode == 0
    ours, theirs = records("runs"), records("theirs")
    assert len(theirs) == 2
    assert len(ours) == 2 + 2 * 2
    for key, record in theirs.items():
        assert ours[key].params == record.params
        assert figures(ours[key].model_dump()) == figures(record.model_dump())
