"""The page about comparisons: each command that it shows prints what it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from benchmark.report.comparison_columns import ACCURACY, FOR_PROGRAMS
from tests.conftest import CommandLine

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
SHOWN = re.findall(
    r"```console\n\$ benchmark ([^\n]+)\n```\n\n```text\n(.*?)```\n", PAGE, re.DOTALL
)


def keys(section: str) -> list[str]:
    """The first column of the table in a section of the page."""
    (text,) = re.findall(rf"^## {section}$(.*?)(?:^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return [key.strip("`") for key in re.findall(r"^\| ([^|]+?) \|", text, re.MULTILINE)][1:]


def test_there_are_commands() -> None:
    assert len(SHOWN) == PAGE.count("```console") == 3


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_a_command_prints_what_is_shown(benchmark: CommandLine, command: str, output: str) -> None:
    arguments = [
        str(ROOT / word) if word.startswith("docs/") else word for word in shlex.split(command)
    ]
    result = benchmark(*arguments)
    assert (result.code, result.err) == (0, "")
    assert result.out == output


def test_the_page_has_every_key_and_no_other() -> None:
    assert keys("For programs") == [column.name for column in FOR_PROGRAMS]


def test_the_page_has_every_column_of_the_table_of_accuracies() -> None:
    headers = [column.header.replace("\n", " ") for column in ACCURACY]
    assert keys("Accuracy") == headers[1:]
