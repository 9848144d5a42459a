"""What a class or a function of a running Python consists of."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from benchmark.catalog.function_source import ChangedSourceError, UnreadableSourceError
from benchmark.catalog.python_source import python_source

MODEL = """
import dataclasses, enum, functools, math
from collections import OrderedDict, namedtuple
import numpy, torch
from torch import nn
import torch.nn.functional as F
from torch.nn.functional import max_pool2d

WIDTH = 4
SIZES = (1, [2, 3], {"a": 4}, {5})
MEAN = torch.tensor([0.5])
GRID = numpy.arange(3)
ORDERED = OrderedDict(a=1)

class Kind(enum.Enum):
    ONE = 1

@dataclasses.dataclass
class Config:
    depth: int = 2
    names: list = dataclasses.field(default_factory=list)

CONFIG = Config()
Pair = namedtuple("Pair", "left right")
PAIR = Pair(1, 2)

def unused():
    return 1

def inner(value):
    return value + 1

def helper(value):
    return [inner(item) for item in [value]][0]

def scaled(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        return function(*arguments) * 1
    return wrapper

class Base(nn.Module):
    slope = 0.1

    @property
    def depth(self):
        return CONFIG.depth

    @staticmethod
    def twice(value):
        return 2 * value

    @torch.no_grad()
    def look(self):
        return MEAN, GRID, SIZES, Kind.ONE, ORDERED, PAIR

class Net(Base):
    def __init__(self, shape, classes):
        super().__init__()
        self.activation = lambda x: F.leaky_relu(x, self.slope)
        self.dense = nn.Linear(helper(WIDTH), classes)

    @scaled
    def forward(self, x):
        def closed():
            return math.sqrt(2)
        return max_pool2d(self.dense(x), 1) * closed()

def build(shape, classes, *, gain=1.0):
    return Net(shape, classes)
"""

numbers = itertools.count()


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    before = {*sys.modules}
    yield
    for name in {*sys.modules} - before:
        if name.startswith("made_"):
            del sys.modules[name]


def made(text: str, name: str = "made_model") -> ModuleType:
    """A module with that source, from a file of its own."""
    file = Path(f"{name}_{next(numbers)}.py").absolute()
    file.write_text(text)
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def digest(text: str, model: str = "build") -> str | None:
    return python_source(getattr(made(text), model)).digest


def changed(old: str, new: str) -> str:
    assert MODEL.count(old) == 1, old
    return MODEL.replace(old, new)


def test_the_same_code_is_the_same_whenever_it_is_run() -> None:
    assert digest(MODEL) == digest(MODEL)
    assert python_source(made(MODEL).build).libraries == ("torch",)


def test_what_a_notebook_compiles_statement_by_statement_is_the_same_code() -> None:
    file = Path("cell.py").absolute()
    file.write_text(MODEL)
    sys.modules["made_model"] = cell = ModuleType("made_model")
    for statement in ast.parse(MODEL).body:
        unit = ast.Module([statement], [])
        exec(compile(unit, file, "exec", dont_inherit=True), vars(cell))
    assert python_source(cell.build).digest == digest(MODEL)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return 1\n", "return 2\n"),
        ("def inner(value):\n", "def inner(value):\n    # A comment.\n"),
        ("class Base(nn.Module):\n", 'class Base(nn.Module):\n    """A docstring."""\n\n'),
        ("    return value + 1", '    "A docstring."\n    return value  +  1'),
        ("WIDTH = 4", "WIDTH = 2 + 2"),
        ("\n\nclass Net", "\n\nOTHER = object()\n\nclass Net"),
    ],
)
def test_what_changes_nothing_is_the_same_code(old: str, new: str) -> None:
    assert digest(changed(old, new)) == digest(MODEL)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return Net(shape, classes)", "return Net(shape, classes + 0)"),
        ("gain=1.0", "gain=2.0"),
        ("value + 1", "value + 2"),
        ("WIDTH = 4", "WIDTH = 5"),
        ("[2, 3]", "[3, 2]"),
        ('{"a": 4}', '{"a": 5}'),
        ("{5}", "{6}"),
        ("[0.5]", "[0.25]"),
        ("arange(3)", "arange(4)"),
        ("OrderedDict(a=1)", "OrderedDict(a=2)"),
        ("ONE = 1", "ONE = 2"),
        ("depth: int = 2", "depth: int = 3"),
        ("CONFIG = Config()", "CONFIG = Config(depth=4)"),
        ("PAIR = Pair(1, 2)", "PAIR = Pair(1, 3)"),
        ("slope = 0.1", "slope = 0.2"),
        ("return CONFIG.depth", "return CONFIG.depth + 1"),
        ("2 * value", "3 * value"),
        ("return MEAN, GRID", "return GRID, MEAN"),
        ("    @torch.no_grad()\n", ""),
        ("F.leaky_relu(x, self.slope)", "F.relu(x)"),
        ("    @scaled\n", ""),
        ("* 1\n", "* 2\n"),
        ("math.sqrt(2)", "math.sqrt(3)"),
        ("class Net(Base)", "class Net(nn.Module)"),
        ("import max_pool2d", "import avg_pool2d as max_pool2d"),
        ("import torch.nn.functional as F", "import torch as F"),
    ],
)
def test_whatever_the_model_refers_to_counts(old: str, new: str) -> None:
    assert digest(changed(old, new)) != digest(MODEL)


CLOSURES = """
import functools
from torch import nn

def make(width):
    def build(shape, classes):
        return nn.Linear(width, classes)
    return build

three, four = make(3), make(4)
narrow, wide = functools.partial(make, 1), functools.partial(make, width=2)
first, second = lambda s, n: nn.Linear(1, n), lambda s, n: nn.Linear(2, n)

class Maker:
    def __init__(self, width):
        self.width = width

    def __call__(self, shape, classes):
        return nn.Linear(self.width, classes)

    def build(self, shape, classes):
        return self(shape, classes)

one, two = Maker(1), Maker(2)
"""


def test_models_that_differ_in_what_they_hold_differ() -> None:
    module = made(CLOSURES)
    builds = [module.three, module.four, module.narrow, module.wide, module.first, module.second]
    builds += [module.one, module.two, module.one.build, module.two.build]
    digests = [python_source(build).digest for build in builds]
    assert len(set(digests)) == len(digests)
    again = made(CLOSURES)
    assert python_source(again.make(3)).digest == digests[0]
    assert python_source(again.Maker(2)).digest == digests[7]


def test_a_helper_that_is_no_librarys_counts_and_a_librarys_is_named() -> None:
    text = "import made_helper, torchvision\nfrom torchvision import ops\n"
    text += "def build(shape, classes):\n"
    text += "    return made_helper.block(classes), ops.Permute, torchvision.models.resnet18\n"
    digests = []
    for helper in ("return n", "return n + 1", "return n  # A comment."):
        made(f"def block(n):\n    {helper}\n", "made_helper")
        source = python_source(made(text).build)
        assert source.libraries == ("torchvision",)
        digests.append(source.digest)
    assert digests[0] == digests[2] != digests[1]


def test_functions_that_call_each_other_are_no_trouble() -> None:
    text = """
    def build(shape, classes):
        return other(classes)

    def other(n):
        return build((), n - 1) if n else Node

    class Node:
        @classmethod
        def make(cls):
            return cls, Node, other
    """
    text = textwrap.dedent(text)
    assert digest(text) == digest(text)
    assert digest(text) != digest(text.replace("n - 1", "n - 2"))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("THING = open(__file__)", "THING is a TextIOWrapper"),
        ("import threading\nTHING = threading.Lock()", "THING is a lock"),
        ("THING = (item for item in [])", "THING is a generator"),
        ("exec('def THING(): pass')", "the source of THING is not there"),
        ("import made_other as THING", "THING is a module, used as a whole"),
    ],
)
def test_what_cannot_be_reduced_to_plain_data_is_named(body: str, reason: str) -> None:
    made("", "made_other")
    module = made(f"{body}\ndef build(shape, classes):\n    return THING\n")
    with pytest.raises(UnreadableSourceError, match=reason):
        python_source(module.build)
    if hasattr(module.THING, "close"):
        module.THING.close()


def test_a_file_that_was_edited_since_it_was_imported_is_not_believed() -> None:
    module = made(MODEL)
    assert module.__file__
    Path(module.__file__).write_text(changed("value + 1", "value + 2"))
    with pytest.raises(ChangedSourceError, match="the source of inner has changed since"):
        python_source(module.build)


def test_a_file_that_was_read_in_time_may_be_edited_while_its_code_runs() -> None:
    module = made(MODEL)
    before = python_source(module.build)
    assert module.__file__
    Path(module.__file__).write_text(changed("value + 1", "value + 2"))
    assert python_source(module.build) == before
    # As importlib.reload does.
    assert module.__spec__
    assert module.__spec__.loader
    module.__spec__.loader.exec_module(module)
    assert python_source(module.build) != before
