"""Models that are classes and functions of the process that trains them."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import benchmark

CONFIG = {
    "dataset": {"name": "synthetic", "train_images": 64, "test_images": 20, "size": 8},
    "epochs": 1,
    "batch_size": 16,
    "precision": "fp32",
    "device": "cpu",
}
NOTEBOOK = """
import threading
from torch import nn

WIDTH = 4
LOCK = threading.Lock()

def dense(inputs, outputs):
    return nn.Linear(inputs, outputs)

class Net(nn.Sequential):
    def __init__(self, shape, classes, width=None):
        size = shape[0] * shape[1] * shape[2]
        width = width or WIDTH
        super().__init__(nn.Flatten(), dense(size, width), nn.ReLU(), dense(width, classes))

def build(shape, classes):
    return Net(shape, classes)

def locked(shape, classes):
    with LOCK:
        return Net(shape, classes)
"""
numbers = itertools.count()


def notebook(text: str = NOTEBOOK) -> ModuleType:
    """What a notebook's cells define, each time from a file of its own."""
    file = Path(f"cells_{next(numbers)}.py").absolute()
    file.write_text(text)
    spec = importlib.util.spec_from_file_location("cells", file)
    assert spec is not None
    assert spec.loader is not None
    sys.modules["cells"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(models: Any, **changed: Any) -> benchmark.Run:
    return benchmark.run(CONFIG, models=models, **changed)


def test_classes_and_functions_are_trained_beside_plugins_models(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cells = notebook()
    models = {
        "mine": cells.build,
        "wide": functools.partial(cells.Net, width=8),
        "half": {"name": "separable_cnn", "width": 0.5},
    }
    found = run(models, seeds=2)
    assert [variant.model for variant in found.variants] == ["mine", "wide", "half"]
    assert {record.status for record in found.records} == {"completed"}
    assert [row["params"] for row in found.table().rows][:2] == [822, 1634]
    assert "executor inline), because of mine, wide" in capsys.readouterr().err
    named = run([cells.Net, cells.build, "separable_cnn"])
    assert [variant.model for variant in named.variants] == ["Net", "build", "separable_cnn"]
    as_mapping = benchmark.run({**CONFIG, "models": [cells.Net]})
    assert as_mapping.variants[0].identity == named.variants[0].identity


def test_a_cell_that_was_edited_is_trained_and_one_that_was_not_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = run({"mine": notebook().build})
    capsys.readouterr()
    run({"mine": notebook(NOTEBOOK.replace("WIDTH = 4", "WIDTH = 4  # Narrow.")).build})
    assert "1 of 1 trials completed earlier, 0 to train" in capsys.readouterr().err
    edited = run({"mine": notebook(NOTEBOOK.replace("WIDTH = 4", "WIDTH = 5")).build})
    assert "there are records of other versions of mine (1)" in capsys.readouterr().err
    assert edited.path == first.path
    assert edited.table().rows[0]["params"] == 1025
    again = run({"mine": notebook().build})
    assert "1 of 1 trials completed earlier, 0 to train" in capsys.readouterr().err
    assert str(again.table()) == str(first.table())
    assert len(again.table(versions=True)) == 2


def test_what_cannot_be_told_from_its_next_version_is_trained_each_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cells = notebook()
    identities = {run([cells.locked]).variants[0].identity for _ in range(2)}
    assert len(identities) == 2
    said = capsys.readouterr().err
    assert said.count("benchmark: locked: LOCK is a lock; so nothing tells this model from") == 2
    assert said.count("locked seed 0  epoch 1/1") == 2


def test_a_class_whose_module_was_edited_since_its_import_is_not_trained() -> None:
    cells = notebook()
    assert cells.__file__
    Path(cells.__file__).write_text(NOTEBOOK.replace("nn.ReLU()", "nn.GELU()"))
    with pytest.raises(benchmark.BenchmarkError) as refused:
        run([cells.Net])
    assert str(refused.value) == (
        "Net: the source of Net.__init__ has changed since it was imported; "
        "restart Python, or import it anew (importlib.reload)"
    )
    assert cells.__spec__
    assert cells.__spec__.loader
    cells.__spec__.loader.exec_module(cells)
    assert run([cells.Net]).records[0].status == "completed"


def test_a_class_gives_the_figures_that_its_plugin_gives() -> None:
    text = NOTEBOOK + "from benchmark import ModelEntry, hookimpl\n\n@hookimpl\n"
    text += "def benchmark_models():\n    yield ModelEntry('mine', build)\n"
    Path("mine.py").write_text(text)
    (theirs,) = run(["mine"], plugins=["mine.py"], out="theirs").records
    (ours,) = run({"mine": notebook().build}).records
    assert ours.epochs[0].train_loss == theirs.epochs[0].train_loss
    assert ours.correct == theirs.correct


class Unnamed:
    def __call__(self, shape: Any, classes: Any) -> None:
        """Build nothing."""


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (lambda cells: [cells.Net((3, 8, 8), 10)], "models: an instance of Net; give the class"),
        (lambda cells: [lambda shape, n: cells.Net(shape, n)], "models: '<lambda>' cannot be a"),
        (lambda cells: [functools.partial(cells.Net)], "models: '' cannot be a label; give one"),
        (lambda cells: [Unnamed()], "models: '' cannot be a label; give one: models={'LABEL': "),
        (lambda cells: {"a b": cells.Net}, "models: 'a b' cannot be a label; give one"),
        (lambda cells: {3: cells.Net}, "models: 3 cannot be a label; give one"),
        (lambda cells: {"adam": cells.Net, "Adam": cells.build}, "differ in case only"),
        (lambda cells: [cells.Net, notebook().Net], "models: two have the label 'Net'; give other"),
        (lambda cells: {"separable_cnn": cells.Net}, "a plugin has a model 'separable_cnn', too"),
        (lambda cells: {"mine": 3}, "models: 'mine' should be a class, a function, a name or a"),
        (lambda cells: [], "models: should name at least one"),
        (lambda cells: {}, "models: should name at least one"),
    ],
)
def test_what_is_no_model_is_refused_in_a_line(choose: Any, message: str) -> None:
    with pytest.raises(benchmark.BenchmarkError) as refused:
        run(choose(notebook()))
    assert message in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert not Path("runs").exists()


def test_another_executor_is_refused_because_it_has_not_the_class() -> None:
    with pytest.raises(benchmark.BenchmarkError) as refused:
        run([notebook().Net], executor={"name": "local", "jobs": 2})
    assert str(refused.value) == (
        "executor: should be 'inline', or left out: Net can be trained in this process alone"
    )
