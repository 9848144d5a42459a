"""Whatever is given to whatever option or argument: a line that says what is wrong, or it works.

Options and arguments are found in the commands themselves, so a new one is tried as well.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from benchmark import api, store
from benchmark.catalog import selection
from benchmark.catalog.shelves import load_catalog
from benchmark.cli.main import execute
from benchmark.config.run_config import RunConfig
from benchmark.datasets import cache as image_cache
from benchmark.printable import printable
from benchmark.runner import Outcome
from tests.support.commands import commands
from tests.support.sampling import examples
from tests.support.tiny import write_tiny_run

# Names of files are longer than a file system allows, numbers than Python reads, and so on.
HOSTILE = [
    *("", " ", "-", "--", "--5", "~", "~nobody-here", "~nobody-here/x.py", "folder", "file/x"),
    *("x" * 300, f"{'x' * 300}.py", f"{'x' * 300}.yaml", "x/" * 2500, "loop", "loop/x.py"),
    *("null\0.py", "null\0", "byte\udcff.yaml", "half\ud800", "\x1b[2J", "a\nb", "a\r", "\u202e"),
    *("0", "-1", "1e999", "nan", "9" * 5000, f"-{'9' * 5000}", "1,1", ",", "\u00b2", "\u0663"),
    *("[", "[" * 3000, "[" * 90 + "]" * 90, "{a: b}", "&a b", "*a", "!!int x", "'", "%", "{"),
    *('"\\ud800"', '"\\UFFFFFFFF"', "a: b", "# x", "no:", "no:x", "os", "a..b", ".a", "=", "a=b"),
]
texts = st.sampled_from(HOSTILE) | st.text().filter(lambda text: text[:1] not in "/.")

# What else a command must be given, by the name of the argument.
SOUND = {
    "config": "tiny.yaml",
    "model": "tiny",
    "run": "old",
    "name": "synthetic",
    "kind": "models",
}
# What keeps a command from asking, and from long work.
SMALL = ["--set", "train_images=20", "--set", "test_images=20"]
EXTRA = {"runs clean": ["--yes"], "data prepare": SMALL, "data info": SMALL}


def parameters() -> Iterator[tuple[str, click.Parameter]]:
    """Each parameter that takes a value, by its command; those of every command once."""
    everywhere = set()
    for name, command in commands():
        for parameter in command.params:
            if getattr(parameter, "is_flag", False) or parameter.name in everywhere:
                continue
            if not parameter.expose_value:
                everywhere.add(parameter.name)
            yield name, parameter


def call(name: str, parameter: click.Parameter, value: str) -> list[str]:
    """The arguments of a command that is called rightly but for one value."""
    arguments = ["-p", "tiny.py", *name.split(), *EXTRA.get(name, [])]
    if isinstance(parameter, click.Option):
        arguments += [max(parameter.opts, key=len), value]
    arguments.append("--")
    for other in dict(commands())[name].params:
        if isinstance(other, click.Argument):
            arguments.append(value if other is parameter else SOUND.get(str(other.name), "x"))
    return arguments


def check(arguments: list[str]) -> None:
    """Call the command line: it does its work, or refuses in a line."""
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        code = execute(arguments)
    lines = errors.getvalue().split("\n")[:-1]
    refusals = [line for line in lines if line.startswith("benchmark: error: ")]
    assert (code, len(refusals)) in ((0, 0), (2, 1)), (code, lines)
    # Beside it there is nothing but what is said of plugins.
    assert all(line.startswith("benchmark: ") for line in lines), lines
    assert all(len(line) < 1000 for line in lines), lines
    for text in (output.getvalue(), errors.getvalue()):
        assert printable(text) == text


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny model, and commands that train nothing and remove nothing."""
    write_tiny_run(tmp_path)
    Path("folder").mkdir()
    Path("file").touch()
    Path("loop").symlink_to("loop")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(api, "carry_out", lambda *_: Outcome({}, False))
    monkeypatch.setattr(store, "remove_all", lambda paths: None)


quickly = settings(
    max_examples=examples(12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize(
    ("name", "parameter"),
    [pytest.param(*found, id=f"{found[0]} {found[1].name}") for found in parameters()],
)
@quickly
@given(value=texts)
def test_any_value_of_any_parameter_is_taken_or_refused(
    name: str, parameter: click.Parameter, value: str
) -> None:
    check(call(name, parameter, value))


def settings_that_exist() -> list[tuple[str, ...]]:
    """Every key that ``--set`` reaches, after what must be given before."""
    catalog = load_catalog()
    choices: dict[str, tuple[str, Any]] = {
        "dataset": ("-d", catalog.datasets),
        "recipe": ("-r", catalog.recipes),
        "executor": ("--executor", catalog.executors),
    }
    options = [
        (flag, offer.entry.name, f"--set={section}.{option}")
        for section, (flag, shelf) in choices.items()
        for offer in shelf
        for option in offer.entry.options.model_fields
    ]
    needed = ("--set=dataset.root=folder",)
    return [
        *((f"--set={key}",) for key in RunConfig.model_fields),
        *((*first, *(needed * ("imagefolder" in first)), last) for *first, last in options),
    ]


@settings(quickly, max_examples=examples(60))
@given(chosen=st.sampled_from(settings_that_exist()), value=texts)
def test_any_setting_is_taken_or_refused(chosen: tuple[str, ...], value: str) -> None:
    *before, last = chosen
    check(["run", "tiny.yaml", "-p", "tiny.py", *before, f"{last}={value}"])


@quickly
@given(key=texts, value=texts)
def test_any_key_of_a_setting_is_taken_or_refused(key: str, value: str) -> None:
    check(["run", "tiny.yaml", "-p", "tiny.py", "--set", f"{key}={value}"])


@pytest.mark.parametrize(
    "variable",
    [
        selection.ENVIRONMENT_VARIABLE,
        image_cache.ENVIRONMENT_VARIABLE,
        image_cache.CACHE_VARIABLE,
    ],
)
@quickly
@given(value=texts.filter(lambda text: "\0" not in text and "\ud800" not in text))
def test_any_value_of_a_variable_is_taken_or_refused(variable: str, value: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(variable, value)
        check(["run", "tiny.yaml", "-p", "tiny.py"])
        check(["env"])
