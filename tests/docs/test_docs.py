"""The documentation is true: its signatures, tables, examples and commands are held to the code."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import benchmark as face
from benchmark import api, hookspecs
from benchmark.catalog import selection
from benchmark.catalog.shelves import load_catalog
from benchmark.cli.main import root
from benchmark.cli.session import Session
from benchmark.config.run_config import RunConfig, preset_names
from benchmark.datasets.cache import CACHE_VARIABLE, ENVIRONMENT_VARIABLE
from benchmark.records import (
    EpochRecord,
    Timing,
    TrialRecord,
)
from benchmark.report.run_table import with_metrics
from benchmark.runner import Outcome
from benchmark.specs import TrialSpec
from benchmark.training.image_memory import HOST_SHARE
from benchmark_plugins.datasets.image_files import ENDINGS, FORMAT_NAMES
from benchmark_plugins.datasets.image_fits import FITS
from benchmark_plugins.datasets.image_halves import DEFAULT_TEST_FRACTION
from benchmark_plugins.datasets.imagefolder import LARGEST_SIDE
from tests.conftest import CommandLine
from tests.support.command_process import run
from tests.support.tiny import write_tiny_run

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
HOOKS = {
    name: function
    for name, function in vars(hookspecs).items()
    if name.startswith("benchmark_") and inspect.isfunction(function)
}


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """What stands between the fences of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def included(text: str) -> list[str]:
    """The files that a page of a folder within ``docs/`` shows."""
    files = re.findall(r"^```\{literalinclude\} \.\./\.\./(.+)$", text, re.MULTILINE)
    return [read(file) for file in files]


def sections(text: str) -> dict[str, str]:
    """The text below each heading of the second and third level, up to the next heading."""
    # A "##" at the start of a line of a code block would be taken for a heading: there is none.
    parts = re.split(r"^##+ (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(text: str) -> list[list[str]]:
    """The cells of every row of the text's tables, headers and rulers left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rulers = [index for index, line in enumerate(lines) if set(line) <= set("|-")]
    others = set(rulers) | {index - 1 for index in rulers}
    kept = (line for index, line in enumerate(lines) if index not in others)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in kept]


def keys(text: str) -> list[str]:
    """The first column of the text's tables."""
    return [cells[0].strip("`") for cells in rows(text)]


# The page about plugins, and the page of each hook

ABOUT_PLUGINS = "docs/hooks/index.md"
HOOK_PAGES = [
    page.relative_to(ROOT).as_posix()
    for page in sorted(ROOT.glob("docs/hooks/*.md"))
    if page.name != "index.md"
]


def signature(hook: Callable[..., Any]) -> str:
    written = inspect.signature(hook)
    arguments = [f"{name}: {p.annotation}" for name, p in written.parameters.items()]
    return f"{hook.__name__}({', '.join(arguments)}) -> {written.return_annotation}\n"


def page_of(hook: str) -> str:
    """The page that begins with the hook's signature."""
    first = signature(HOOKS[hook])
    (page,) = (page for page in HOOK_PAGES if blocks(read(page), "python")[0] == first)
    return page


def test_the_page_about_plugins_leads_to_the_page_of_every_hook_and_no_other() -> None:
    table = rows(sections(read(ABOUT_PLUGINS))["The hooks"])
    stated = {hook.strip("`"): f"docs/hooks/{page[3:-1]}" for hook, _, page in table}
    assert stated == {hook: page_of(hook) for hook in HOOKS}
    assert sorted(stated.values()) == HOOK_PAGES


def described(name: str) -> list[str]:
    """The rows of the hooks pages' table with that header."""
    text = "\n".join(read(page) for page in HOOK_PAGES)
    match = re.search(rf"^\| `{name}` \|.*\n\|-.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert match, name
    return re.findall(r"^\| `(\w+)` \|", match[1], re.MULTILINE)


@pytest.mark.parametrize(
    "name",
    [
        "ModelEntry",
        "DatasetEntry",
        "ImageSplits",
        "RecipeEntry",
        "TrainingPlan",
        "Optimization",
        "Augmentation",
        "Transform",
        "Normalization",
        "EpochFigures",
        "MetricEntry",
        "TrackerEntry",
        "Column",
        "ExecutorEntry",
    ],
)
def test_the_hooks_pages_have_each_field_of_an_entry(name: str) -> None:
    fields = [field.name for field in dataclasses.fields(getattr(face, name))]
    assert described(name) == fields


def test_the_hooks_pages_have_what_a_tracker_is_told() -> None:
    assert described("Tracker") == [name for name in vars(face.Tracker) if name.startswith("on_")]
    assert described("TrialSpec") == list(TrialSpec.model_fields)


def examples() -> dict[str, str]:
    """The first plugin, and each hook's: what follows its signature."""
    (first,) = included(read(ABOUT_PLUGINS))
    found = {hook: page_of(hook) for hook in HOOKS}
    signatures = [signature(hook) for hook in HOOKS.values()]
    return {"first": first} | {
        name: block
        for name, page in found.items()
        for block in blocks(read(page), "python")
        if block not in signatures
    }


def test_each_hook_has_an_example() -> None:
    assert set(examples()) == {"first", *HOOKS}


@pytest.mark.parametrize("name", [*examples()])
def test_each_example_is_a_plugin(benchmark: CommandLine, name: str) -> None:
    Path("example.py").write_text(examples()[name])
    result = benchmark("run", "--strict", "-p", "example.py", "--epochs", "0")
    # Loaded without a complaint: the only fault is the one that keeps it from training.
    assert result.err.splitlines() == [
        "benchmark: error: --epochs: should be greater than or equal to 1, got 0"
    ]


def test_the_examples_train_together(benchmark: CommandLine) -> None:
    arguments = ["run", "together.yaml"]
    for name, text in examples().items():
        Path(f"{name}.py").write_text(text)
        arguments += ["-p", f"{name}.py"]
    Path("together.yaml").write_text(
        "dataset: {name: stripes, images: 400}\n"
        "models: [linear, shallow]\n"
        "recipe: {name: sgd, momentum: 0.5}\n"
        "executor: {name: rested, pause_seconds: 0}\n"
        "trackers: [{name: loss_curve, file: curve.csv}]\n"
        "epochs: 2\nbatch_size: 20\nprecision: fp32\ndevice: cpu\n"
    )
    result = benchmark(*arguments, "--format", "json")
    assert result.code == 0, result.err
    linear, shallow = json.loads(result.out)
    assert linear["total_seconds"] > 0
    assert shallow["params"] == 16 * (3 * 16 + 1) + 4 * 16 + 17 * 2
    curves = list(Path("runs").rglob("curve.csv"))
    assert [len(curve.read_text().splitlines()) for curve in curves] == [2, 2]
    assert "(min)" in benchmark(*arguments).out


def test_a_failure_looks_as_the_page_about_plugins_says(benchmark: CommandLine) -> None:
    Path("broken.py").write_text(
        "from benchmark import hookimpl\n\n\n"
        "@hookimpl\ndef benchmark_models():\n    raise ValueError('no luck')\n"
    )
    result = benchmark("list", "models", "-p", "broken.py")
    assert [result.err] == blocks(sections(read(ABOUT_PLUGINS))["When a plugin fails"], "text")


def test_the_package_is_that_of_the_first_example() -> None:
    (text,) = blocks(read(ABOUT_PLUGINS), "toml")
    assert '[project.entry-points."benchmark.plugins"]\nlinear = "benchmark_linear"' in text


# The configuration page


def test_the_configuration_page_has_every_key_and_no_other() -> None:
    assert keys(sections(read("docs/configuration.md"))["Keys"]) == list(RunConfig.model_fields)


def test_the_configuration_page_has_the_defaults() -> None:
    cells = rows(sections(read("docs/configuration.md"))["Keys"])
    stated = {row[0].strip("`"): row[2].strip("`") for row in cells}
    defaults = yaml.safe_load(read("configs/defaults.yaml"))
    assert {key: stated.pop(key) for key in defaults} == {
        key: str(value).lower().replace("'", "") for key, value in defaults.items()
    }
    assert {key for key, default in stated.items() if default == "must be given"} == {
        "dataset",
        "models",
        "epochs",
    }


def test_the_configuration_page_has_every_option_of_the_built_in_entries() -> None:
    part = sections(read("docs/configuration.md"))["Options of the built-in entries"]
    stated: list[tuple[str, str, str]] = []
    for entry, option, _, default, _ in rows(part):
        name = re.sub(r".*`(.+)`", r"\1", entry) or stated[-1][0]
        stated.append((name, option.strip("`"), default.replace(",", "")))
    catalog = load_catalog()
    offers = [*catalog.models, *catalog.datasets, *catalog.recipes, *catalog.executors]
    actual = [
        (offer.entry.name, option, "must be given" if field.is_required() else str(field.default))
        for offer in offers
        for option, field in offer.entry.options.model_fields.items()
    ]
    assert sorted(stated) == sorted((*names, value.lower()) for *names, value in actual)


def test_the_configuration_page_has_every_preset() -> None:
    part = sections(read("docs/configuration.md"))["Presets"]
    included = re.findall(r"\{literalinclude\} \.\./configs/(\w+)\.yaml", part)
    assert sorted(included) == sorted([*preset_names(), "defaults"])


def test_errors_look_as_the_configuration_page_says(benchmark: CommandLine) -> None:
    part = sections(read("docs/configuration.md"))["Errors as they look"]
    (config,) = blocks(part, "yaml")
    commands = re.findall(r"`benchmark (.+)` says:$", part, re.MULTILINE)
    outputs = blocks(part, "text")
    Path("wrong.yaml").write_text(config)
    assert len(commands) == len(outputs) == 2
    for command, output in zip(commands, outputs, strict=True):
        result = benchmark(*shlex.split(command))
        assert (result.code, result.err) == (2, output)


# The page about data sets


def test_the_data_sets_page_has_every_data_set_format_ending_and_fit() -> None:
    page = sections(read("docs/datasets.md"))
    named = {name.strip("`") for name in page if name.startswith("`")}
    assert named == {offer.entry.name for offer in load_catalog().datasets}
    files, sizes = page["Files"], page["Sizes"]
    assert re.findall(r"`(\.\w+)`", files) == [*ENDINGS]
    assert files.lstrip().startswith(FORMAT_NAMES.replace(" or ", " and "))
    assert keys(sizes) == [*FITS]
    assert (HOST_SHARE, DEFAULT_TEST_FRACTION) == (1 / 4, 0.2)
    assert "a quarter of the machine's memory" in page["Limits"]
    assert f"`size` | 1 to {LARGEST_SIDE} pixels" in page["Limits"]


# The pages about the table, the records and the models


def test_the_table_page_has_every_column_and_no_other() -> None:
    stated = [
        (cells[1].strip("`"), cells[0])
        for cells in rows(sections(read("docs/table.md"))["Columns"])
    ]
    catalog = load_catalog()
    offered = [offer.entry for offer in catalog.columns]
    columns = with_metrics(offered, catalog.metric_columns["accuracy"])
    # Its header says which images it is of.
    headers = {"accuracy": "test acc. (%)"}
    assert stated == [
        (
            column.name,
            headers.get(column.name, column.header.replace("\n", " "))
            if column.shown
            else "(not shown)",
        )
        for column in columns
    ]


def test_the_columns_are_the_keys_of_the_json_table(benchmark: CommandLine) -> None:
    result = benchmark(*write_tiny_run(Path()), "--format", "json")
    stated = [cells[1].strip("`") for cells in rows(sections(read("docs/table.md"))["Columns"])]
    assert list(json.loads(result.out)[0]) == stated


def test_the_records_page_has_every_field_and_no_other() -> None:
    parts = sections(read("docs/records.md"))
    fields = [field.alias or name for name, field in TrialRecord.model_fields.items()]
    assert keys(parts["trial.json"]) == [*fields, "checksum"]
    assert keys(parts["epochs"]) == list(EpochRecord.model_fields)
    assert keys(parts["timing"]) == list(Timing.model_fields)


def test_the_examples_of_the_records_page_run(benchmark: CommandLine) -> None:
    assert benchmark(*write_tiny_run(Path())).code == 0
    names: dict[str, Any] = {}
    for block in blocks(read("docs/records.md"), "python"):
        exec(compile(block, "records.md", "exec"), names)
    files = list(Path("runs").rglob("trial.json"))
    assert len(files) == 4
    for file in files:
        record = TrialRecord.model_validate_json(file.read_text())
        assert names["correct_images"](file).mean() == record.test_accuracy
        assert names["is_sound"](file)
    files[0].write_text(files[0].read_text().replace('"macs":', '"macs":1'))
    assert not names["is_sound"](files[0])


def test_a_damaged_record_is_told_as_the_records_page_says(benchmark: CommandLine) -> None:
    assert benchmark(*write_tiny_run(Path())).code == 0
    file = next(Path("runs").glob("*/trials/twin/*/seed-0/trial.json"))
    file.write_text(file.read_text().replace('"seed":0', '"seed":1'))
    result = benchmark("table", str(file.parents[4]))
    (line,) = blocks(sections(read("docs/records.md"))["Damaged files"], "text")
    written = re.sub(r"runs/.*/trial\.json", str(file), line)
    assert result.err == written


def test_the_models_page_has_the_layer_table() -> None:
    # From nothing: what another command imports can change how wide tabulate writes.
    done = run("show", "separable_cnn", from_nothing=True)
    assert done.returncode == 0
    assert done.stdout in blocks(sections(read("docs/models.md"))["`separable_cnn`"], "text")


def test_the_python_pages_examples_run_one_after_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names: dict[str, Any] = {}
    for block in blocks(read("docs/python.md"), "python"):
        exec(compile(block, "python.md", "exec"), names)
        for value, comment in re.findall(r"^(len\(.+\)) +# (\d+)", block, re.MULTILINE):
            assert eval(value, names) == int(comment)
    (said,) = re.findall(r"print\(error\) +# (.+)", read("docs/python.md"))
    assert said in capsys.readouterr().out.splitlines()


# Commands, wherever they stand


def commands() -> Iterator[tuple[str, str]]:
    """Each page and each line that calls ``benchmark`` or make in its console blocks."""
    for page in PAGES:
        for block in blocks(page.read_text(encoding="utf-8"), "console"):
            for line in block.splitlines():
                assert line.startswith("$ "), line
                yield page.relative_to(ROOT).as_posix(), line.removeprefix("$ ")


def words_after(program: str, line: str) -> list[str] | None:
    """A line's arguments if it calls the program, variables and redirections left out."""
    words = shlex.split(line.partition(" > ")[0])
    while "=" in words[0]:
        words.pop(0)
    return words[1:] if Path(words[0]).name == program else None


def test_the_quickstarts_folder_is_that_of_its_table(benchmark: CommandLine) -> None:
    """Of the one that the pages show: of the images that it draws itself, and in bf16."""
    table = blocks(sections(read("docs/first_steps.md"))["The quickstart's table"], "text")[0]
    assert "quickstart: synthetic (435b97fd)" in table
    assert "bf16." in table
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "carry_out", lambda *_: Outcome({}, False))
        result = benchmark("run", "-d", "synthetic", "--precision", "bf16")
    (folder,) = re.findall(r"records are in runs/(.+)\n", result.err)
    named = {
        name
        for page in PAGES
        for name in re.findall(r"quickstart-[0-9a-f]{8}", page.read_text("utf-8"))
    }
    assert named == {folder}


def test_readme_and_first_steps_have_commands() -> None:
    for page in ("README.md", "docs/first_steps.md", ABOUT_PLUGINS):
        assert any(words_after("benchmark", line) for name, line in commands() if name == page)


@pytest.mark.parametrize(("page", "line"), [*commands()])
def test_each_command_exists(page: str, line: str) -> None:
    arguments = words_after("benchmark", line)
    if arguments is None:
        return
    # With the settings of the real one: a command keeps the help option it is first asked for.
    context = click.Context(root, info_name="benchmark", obj=Session(), **root.context_settings)
    command: click.Command = root
    while isinstance(command, click.Group):
        found = command.get_command(context, arguments[0])
        assert found is not None, arguments[0]
        command = found
        context = click.Context(command, info_name=arguments.pop(0), parent=context)
    # Raises for an option, a value or an argument that the command does not take.
    command.make_context(command.name, arguments, parent=context.parent)


@pytest.mark.parametrize(("page", "line"), [*commands()])
def test_each_make_target_exists(page: str, line: str) -> None:
    arguments = words_after("make", line)
    targets = re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE)
    variables = re.findall(r"\$\((\w+)\)", read("Makefile"))
    for argument in arguments or []:
        variable, is_set, _ = argument.partition("=")
        assert variable in (variables if is_set else targets)


def test_what_the_security_page_claims_is_tested() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", read("SECURITY.md"))
    claims = rows(read("SECURITY.md"))
    assert len(named) >= len(claims) > 0
    for file, test in named:
        assert re.search(rf"^( {{4}})?def {test}\(", read(file), re.MULTILINE), (file, test)


def test_contributing_has_every_make_target() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.+)$", read("Makefile"), re.MULTILINE)
    assert [key.removeprefix("make ") for key in keys(read("CONTRIBUTING.md"))] == phony.split()


def test_the_plugin_of_the_readme_works(benchmark: CommandLine) -> None:
    (text,) = blocks(read("README.md"), "python")
    assert len([line for line in text.splitlines() if line]) <= 10
    Path("linear.py").write_text(text)
    result = benchmark("show", "linear", "-p", "linear.py")
    assert result.err == ""
    assert "30,730" in result.out


def test_the_command_line_page_has_every_variable() -> None:
    stated = keys(sections(read("docs/command_line.md"))["Environment variables"])
    assert {ENVIRONMENT_VARIABLE, CACHE_VARIABLE, selection.ENVIRONMENT_VARIABLE} <= set(stated)
