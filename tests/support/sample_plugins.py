"""Plugins of a few lines, for tests of how plugins are found, imported and told apart."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import Result

SOURCE = """
import math
from torch import nn
from benchmark import ModelEntry, hookimpl
{imports}

def build(input_shape, num_classes):
    {at_build}
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), num_classes))

@hookimpl
def benchmark_models():
    yield ModelEntry({name!r}, build, str(({summary})))
"""


def plugin(
    imports: str = "", summary: str = "''", *, name: str = "mine", at_build: str = "pass"
) -> str:
    """A plugin that imports something; the summary of its model, an expression, says what."""
    return SOURCE.format(imports=imports, summary=summary, name=name, at_build=at_build)


def write(files: dict[str, str]) -> None:
    """Write files, and make the folders that they need."""
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)


def summary_of(result: Result, model: str = "mine") -> str:
    """What ``benchmark list`` says of a model."""
    rows = [re.split(r"\s{2,}", line) for line in result.out.splitlines()]
    (summary,) = (row[3] for row in rows if row[1:2] == [model])
    return summary
