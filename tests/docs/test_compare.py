"""The pages that compare published runs: each command that they show prints what they show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from benchmark.report.comparison_columns import FOR_PROGRAMS, accuracy_columns
from tests.conftest import CommandLine

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
OTHERS = [
    (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/results/index.md")
]


def shown(page: str) -> list[tuple[str, str]]:
    """The commands about published runs, each with its output."""
    return re.findall(
        r"```console\n\$ benchmark ((?:compare|table) docs/results/[^\n]+)\n```\n\n"
        r"```text\n(.*?)```\n",
        page,
        re.DOTALL,
    )


SHOWN = [found for page in (PAGE, *OTHERS) for found in shown(page)]


def keys(section: str) -> list[str]:
    """The first column of the table in a section of the page."""
    (text,) = re.findall(rf"^## {section}$(.*?)(?:^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return [key.strip("`") for key in re.findall(r"^\| ([^|]+?) \|", text, re.MULTILINE)][1:]


def test_there_are_commands() -> None:
    assert len(shown(PAGE)) == PAGE.count("```console") == 3
    assert all(map(shown, OTHERS))


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
    headers = [column.header.replace("\n", " ") for column in accuracy_columns("test")]
    assert keys("Accuracy") == headers[1:]
