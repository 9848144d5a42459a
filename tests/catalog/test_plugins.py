"""Broken plugins, each named and survived; and every way to ask for a plugin or block one."""

from __future__ import annotations

import importlib
import importlib.metadata
import ntpath
import string
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given, strategies as st

from benchmark.entries import check_name
from tests.conftest import CommandLine, only_error
from tests.support.tiny import CONFIG

VERSION = importlib.metadata.version("benchmark-models")

IMPORTS = """
import math
from torch import nn
from benchmark import Column, ModelEntry, hookimpl

def build(input_shape, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), num_classes))
"""

SOUND = f"""{IMPORTS}
@hookimpl
def benchmark_models():
    yield ModelEntry("promised", build, "one dense layer")
"""


def models(body: str) -> str:
    """A plugin whose hook for models has that body."""
    return f"{IMPORTS}\n@hookimpl\ndef benchmark_models():\n    {body}\n"


def named(name: str) -> str:
    """A plugin that offers a sound model and one of that name."""
    return models(f"return [ModelEntry('promised', build), ModelEntry({name!r}, build)]")


def not_a_name(name: str) -> str:
    return (
        f"benchmark_models: ValueError: not a name: {name!r} "
        "(1 to 80 letters, digits, '.', '_' or '-', the first a letter or digit, the last no dot, "
        "and no device's of Windows, such as 'nul')"
    )


@dataclass(frozen=True)
class Fault:
    """A plugin that is broken, and what is said of it."""

    source: str
    cause: str


FAULTS = {
    "import error": Fault(
        "raise ImportError('libcudnn is too old')", "ImportError: libcudnn is too old"
    ),
    "missing dependency": Fault(
        "import module_that_is_missing",
        "needs the module 'module_that_is_missing', which is not installed",
    ),
    "not Python": Fault("def", "SyntaxError: invalid syntax (faulty.py, line 1)"),
    "exit at import": Fault("import sys; sys.exit(3)", "SystemExit: 3"),
    "silent exit at import": Fault("raise SystemExit", "SystemExit"),
    "no hook": Fault(
        f"{IMPORTS}\ndef benchmark_models():\n    return [ModelEntry('promised', build)]",
        "it offers nothing: no function in it is marked with @benchmark.hookimpl",
    ),
    "unknown hook": Fault(
        f"{SOUND}\n@hookimpl\ndef benchmark_model():\n    return []",
        "benchmark_model: there is no such hook - did you mean 'benchmark_models'?",
    ),
    "unknown argument": Fault(
        SOUND.replace("benchmark_models()", "benchmark_models(flavour)"),
        "benchmark_models: hookimpl definition: benchmark_models(flavour); Argument(s) "
        "{'flavour'} are declared in the hookimpl but can not be found in the hookspec",
    ),
    "hook raises": Fault(
        models("raise RuntimeError('no weights here\\nand a second line')"),
        "benchmark_models: RuntimeError: no weights here",
    ),
    "hook raises a message that starts with an empty line": Fault(
        models("raise RuntimeError('\\n  no weights here')"),
        "benchmark_models: RuntimeError: no weights here",
    ),
    "hook exits": Fault(models("raise SystemExit(3)"), "benchmark_models: SystemExit: 3"),
    "hook misses a dependency": Fault(
        models("import module_that_is_missing"),
        "benchmark_models: needs the module 'module_that_is_missing', which is not installed",
    ),
    "generator raises halfway": Fault(
        models("yield ModelEntry('promised', build); raise RuntimeError('no more')"),
        "benchmark_models: RuntimeError: no more",
    ),
    "another hook raises": Fault(
        f"{SOUND}\n@hookimpl\ndef benchmark_columns():\n    yield Column('a', 'a', len); 1 / 0",
        "benchmark_columns: ZeroDivisionError: division by zero",
    ),
    "entry of no type": Fault(
        models("return ['promised']"),
        "benchmark_models: TypeError: gave a str where a ModelEntry is wanted",
    ),
    "entry of another type": Fault(
        models("return [ModelEntry('promised', build), Column('a', 'a', len)]"),
        "benchmark_models: TypeError: gave a Column where a ModelEntry is wanted",
    ),
    "None": Fault(
        models("ModelEntry('promised', build)"),
        "benchmark_models: TypeError: returned None where an iterable of entries is wanted",
    ),
    "a number": Fault(
        models("return 7"), "benchmark_models: TypeError: 'int' object is not iterable"
    ),
    "an entry without a list": Fault(
        models("return ModelEntry('promised', build)"),
        "benchmark_models: TypeError: 'ModelEntry' object is not iterable",
    ),
    "name outside its folder": Fault(named("../x"), not_a_name("../x")),
    "empty name": Fault(named(""), not_a_name("")),
    "long name": Fault(named("x" * 300), not_a_name("x" * 300)),
}

every_fault = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())

Install = Callable[..., None]


@pytest.fixture(autouse=True)
def _tiny_config(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(CONFIG)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a plugin on the path as pip would: its module, and the metadata beside it."""
    site = tmp_path / "site"
    site.mkdir()

    def put(source: str, plugin: str = "faulty", module: str = "faulty", target: str = "") -> None:
        (site / f"{module}.py").write_text(source)
        metadata = site / f"{module}-1.2.dist-info"
        metadata.mkdir()
        text = f"Metadata-Version: 2.1\nName: {module}-plugin\nVersion: 1.2\n"
        (metadata / "METADATA").write_text(text)
        (metadata / "entry_points.txt").write_text(
            f"[benchmark.plugins]\n{plugin} = {module}{target}\n"
        )
        # Another test's module of that name must not be taken for this one.
        monkeypatch.delitem(sys.modules, module, raising=False)
        importlib.invalidate_caches()

    monkeypatch.syspath_prepend(site)
    return put


def complaint(cause: str) -> str:
    return f"plugin faulty (faulty-plugin 1.2) is left out: {cause}\n"


def status_of(plugin: str, listing: str) -> str:
    (row,) = (line for line in listing.splitlines() if line.split()[0] == plugin)
    return row.split()[-1]


def sources(listing: str) -> dict[str, str]:
    """Which distribution each model, recipe and so on comes from."""
    rows = [line.split() for line in listing.splitlines()[2:]]
    return {cells[1]: cells[2] for cells in rows}


# Each fault is named in a line; nothing but the plugin's own entries is lost.


@every_fault
def test_all_other_entries_are_still_there(
    benchmark: CommandLine, install: Install, fault: Fault
) -> None:
    install(fault.source)
    result = benchmark("list")
    assert (result.code, result.err) == (0, f"benchmark: {complaint(fault.cause)}")
    blocked = benchmark("list", "-p", "no:faulty")
    assert (blocked.code, blocked.err) == (0, "")
    assert result.out == blocked.out
    assert "separable_cnn" in result.out


@every_fault
def test_its_status_is_failed(benchmark: CommandLine, install: Install, fault: Fault) -> None:
    install(fault.source)
    result = benchmark("plugins")
    assert (result.code, result.err) == (0, f"benchmark: {complaint(fault.cause)}")
    assert status_of("faulty", result.out) == "failed"
    assert status_of("separable_cnn", result.out) == "loaded"


@every_fault
def test_a_strict_run_stops(benchmark: CommandLine, install: Install, fault: Fault) -> None:
    install(fault.source)
    result = benchmark("run", "tiny.yaml", "--strict", "-m", "separable_cnn")
    assert (result.code, result.out) == (2, "")
    assert result.err == f"benchmark: error: {complaint(fault.cause)}"
    assert not Path("runs").exists()


@every_fault
def test_a_run_that_names_its_entry_stops(
    benchmark: CommandLine, install: Install, fault: Fault
) -> None:
    install(fault.source)
    result = benchmark("run", "tiny.yaml", "-m", "promised")
    assert (result.code, result.out) == (2, "")
    said, error = result.err.splitlines(keepends=True)
    assert said == f"benchmark: {complaint(fault.cause)}"
    assert error.startswith("benchmark: error: -m: unknown model 'promised'")
    assert "see 'benchmark plugins'" in error
    assert not Path("runs").exists()


def test_a_run_of_other_models_goes_on(benchmark: CommandLine, install: Install) -> None:
    install(FAULTS["hook raises"].source)
    install(SOUND, plugin="sound", module="sound")
    result = benchmark("run", "tiny.yaml", "-m", "promised")
    assert result.code == 0
    assert result.err.startswith(f"benchmark: {complaint(FAULTS['hook raises'].cause)}")
    assert "2/2 ok" in result.out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("-v", "list"), 0),
        (("list", "-v"), 0),
        (("run", "tiny.yaml", "--strict", "-v"), 2),
    ],
)
@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("import error", "raise ImportError('libcudnn is too old')"),
        ("hook raises", "raise RuntimeError('no weights here\\nand a second line')"),
    ],
)
def test_verbose_adds_the_traceback(
    benchmark: CommandLine,
    install: Install,
    arguments: tuple[str, ...],
    code: int,
    fault: str,
    line: str,
) -> None:
    install(FAULTS[fault].source)
    assert "Traceback" not in benchmark("list").err
    result = benchmark(*arguments)
    assert result.code == code
    assert complaint(FAULTS[fault].cause) in result.err
    assert "Traceback (most recent call last)" in result.err
    assert line in result.err


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        (":missing", "AttributeError: module 'faulty' has no attribute 'missing'"),
        (":TABLE", FAULTS["no hook"].cause),
        (":NOTHING", FAULTS["no hook"].cause),
    ],
)
def test_an_entry_point_that_is_no_module(
    benchmark: CommandLine, install: Install, target: str, cause: str
) -> None:
    install("TABLE = {1: 2}\nNOTHING = None", target=target)
    result = benchmark("list")
    assert (result.code, result.err) == (0, f"benchmark: {complaint(cause)}")
    assert result.out == benchmark("list", "-p", "no:faulty").out


def test_a_module_that_is_a_plugin_already(benchmark: CommandLine) -> None:
    module = "benchmark_plugins.models.separable_cnn"
    result = benchmark("list", "-p", module)
    assert result.code == 0
    assert result.err == (
        f"benchmark: plugin {module} (no distribution) is left out: its module is loaded "
        f"already, as the plugin separable_cnn (benchmark-models {VERSION})\n"
    )
    assert result.out == benchmark("list").out


def test_a_wrapper_beside_an_implementation_is_no_fault(
    benchmark: CommandLine, install: Install
) -> None:
    wrapper = "@hookimpl(wrapper=True, specname='benchmark_models')\ndef wrapper():\n"
    install(f"{SOUND}\n{wrapper}    return (yield)\n")
    result = benchmark("list", "models")
    assert (result.code, result.err) == (0, "")
    assert sources(result.out)["promised"] == "faulty-plugin"


# What two plugins call the same is used from neither, until one is blocked.


def test_two_plugins_of_one_name(benchmark: CommandLine, install: Install) -> None:
    install(SOUND, plugin="twin", module="first")
    install(SOUND, plugin="twin", module="second")
    result = benchmark("plugins")
    first, second = "twin (first-plugin 1.2)", "twin (second-plugin 1.2)"
    remedy = "rename one, or block it with -p no:DISTRIBUTION"
    assert result.code == 0
    assert result.err.splitlines() == [
        f"benchmark: plugin {first} is left out: its name is also that of {second}; {remedy}",
        f"benchmark: plugin {second} is left out: its name is also that of {first}; {remedy}",
    ]
    assert result.out.count("failed") == 2
    assert "promised" not in sources(benchmark("list").out)
    strict = benchmark("run", "tiny.yaml", "--strict", "-m", "separable_cnn")
    assert (strict.code, strict.out) == (2, "")
    assert strict.err == result.err.replace("benchmark: ", "benchmark: error: ")


@pytest.mark.parametrize(("blocked", "left"), [("first", "second"), ("second", "first")])
def test_a_block_of_one_distribution_leaves_the_other(
    benchmark: CommandLine, install: Install, blocked: str, left: str
) -> None:
    install(SOUND, plugin="twin", module="first")
    install(SOUND, plugin="twin", module="second")
    result = benchmark("list", "-p", f"no:{blocked}-plugin")
    assert (result.code, result.err) == (0, "")
    assert sources(result.out)["promised"] == f"{left}-plugin"


CLASH = models("return [ModelEntry('separable_cnn', build), ModelEntry('promised', build)]")
CLASHING = (
    "model 'separable_cnn' is offered by clashing (clashing-plugin 1.2) and "
    f"separable_cnn (benchmark-models {VERSION}); block one with -p no:clashing or "
    "-p no:separable_cnn, or give one of them another name\n"
)


def test_a_model_that_clashes_is_on_no_list(benchmark: CommandLine, install: Install) -> None:
    before = sources(benchmark("list", "-p", "no:separable_cnn").out)
    install(CLASH, plugin="clashing", module="clashing")
    result = benchmark("list", "-v")
    assert (result.code, result.err) == (0, f"benchmark: {CLASHING}")
    assert sources(benchmark("list").out) == {**before, "promised": "clashing-plugin"}
    assert status_of("clashing", benchmark("plugins").out) == "loaded"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("-m", "separable_cnn"), f"-m: {CLASHING}"),
        (("--strict", "-m", "promised"), CLASHING),
    ],
)
def test_a_run_that_names_it_and_a_strict_run_stop(
    benchmark: CommandLine, install: Install, arguments: tuple[str, ...], error: str
) -> None:
    install(CLASH, plugin="clashing", module="clashing")
    result = benchmark("run", "tiny.yaml", *arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.endswith(f"benchmark: error: {error}")
    assert not Path("runs").exists()


def test_a_run_of_the_same_plugin_s_other_model_goes_on(
    benchmark: CommandLine, install: Install
) -> None:
    install(CLASH, plugin="clashing", module="clashing")
    result = benchmark("run", "tiny.yaml", "-m", "promised")
    assert result.code == 0
    assert result.err.startswith(f"benchmark: {CLASHING}")


@pytest.mark.parametrize(
    ("blocked", "left"),
    [("clashing", "built-in"), ("separable_cnn", "clashing-plugin")],
)
def test_a_block_resolves_it(
    benchmark: CommandLine, install: Install, blocked: str, left: str
) -> None:
    install(CLASH, plugin="clashing", module="clashing")
    result = benchmark("list", "-p", f"no:{blocked}")
    assert (result.code, result.err) == (0, "")
    assert sources(result.out)["separable_cnn"] == left


def test_a_name_offered_by_three(benchmark: CommandLine, install: Install) -> None:
    install(CLASH, plugin="another", module="another")
    install(CLASH, plugin="clashing", module="clashing")
    result = benchmark("list")
    expected = "another (another-plugin 1.2) and clashing (clashing-plugin 1.2) and separable"
    assert expected in result.err
    assert "separable_cnn" not in sources(result.out)


def test_a_name_offered_twice_by_one_plugin(benchmark: CommandLine, install: Install) -> None:
    install(models("return [ModelEntry('promised', build)] * 2"))
    result = benchmark("list")
    said = "model 'promised' is offered twice by faulty (faulty-plugin 1.2); rename one of them"
    assert (result.code, result.err) == (0, f"benchmark: {said}\n")
    assert benchmark("run", "tiny.yaml", "-m", "promised").code == 2


# -p and BENCHMARK_PLUGINS.


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that can be imported and is no installed plugin."""
    folder = tmp_path / "importable"
    folder.mkdir()
    (folder / "plain_module.py").write_text(SOUND.replace("promised", "from_module"))
    monkeypatch.delitem(sys.modules, "plain_module", raising=False)
    monkeypatch.syspath_prepend(folder)
    return "plain_module"


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file, relative to the working directory, that is a plugin."""
    (tmp_path / "plain_file.py").write_text(SOUND.replace("promised", "from_file"))
    return "plain_file.py"


@pytest.mark.parametrize("is_before", [True, False])
def test_a_module_and_a_file_before_and_after_the_command(
    benchmark: CommandLine, module: str, file: str, is_before: bool
) -> None:
    asked = ("-p", module, "--plugin", file)
    result = benchmark(*asked, "list") if is_before else benchmark("list", *asked)
    assert (result.code, result.err) == (0, "")
    assert sources(result.out)["from_module"] == module
    assert sources(result.out)["from_file"] == "plain_file"


def test_before_and_after_add_up(benchmark: CommandLine, module: str, file: str) -> None:
    names = sources(benchmark("-p", module, "list", "-p", file).out)
    assert {"from_module", "from_file"} <= names.keys()


def test_the_environment_s_plugins_are_loaded_too(
    benchmark: CommandLine, module: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHMARK_PLUGINS", f" {module}, ,no:separable_cnn,")
    result = benchmark("list", "-p", file)
    assert (result.code, result.err) == (0, "")
    names = sources(result.out)
    assert {"from_module", "from_file", "baseline_cnn"} <= names.keys()
    assert "separable_cnn" not in names


@pytest.mark.parametrize("again", ["plain_file.py", "./plain_file.py", "{}/plain_file.py"])
def test_what_is_asked_for_twice_is_loaded_once(
    benchmark: CommandLine,
    file: str,
    again: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BENCHMARK_PLUGINS", file)
    result = benchmark("list", "-p", again.format(tmp_path), "-p", file)
    assert (result.code, result.err) == (0, "")
    assert result.out.count("from_file") == 1


def test_a_file_trains(benchmark: CommandLine, file: str) -> None:
    result = benchmark("run", "tiny.yaml", "-p", file, "-m", "from_file")
    assert result.code == 0
    assert "2/2 ok" in result.out


def test_a_block_wins_over_a_request(
    benchmark: CommandLine, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHMARK_PLUGINS", file)
    result = benchmark("plugins", "-p", "no:plain_file")
    assert (result.code, result.err) == (0, "")
    assert status_of("plain_file", result.out) == "blocked"


def test_a_block_of_the_distribution_blocks_all_that_is_built_in(
    benchmark: CommandLine, file: str
) -> None:
    result = benchmark("list", "-p", "no:benchmark-models", "-p", file)
    assert (result.code, result.err) == (0, "")
    assert sources(result.out) == {"from_file": "plain_file"}


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ("missing.py", "no such file"),
        ("folder/missing", "no such file"),
        ("./notes.txt", "a plugin's file should end in .py"),
        ("missing_module", "no module of that name can be imported"),
        ("benchmark.missing", "no module of that name can be imported"),
        ("missing_package.module", "no module of that name can be imported"),
        ("", "no module of that name can be imported"),
        (".relative", "no module of that name can be imported"),
        ("no:separable_cn", "no such plugin - did you mean 'separable_cnn'?"),
        ("no:benchmrk-models", "no such plugin - did you mean 'benchmark-models'?"),
        ("no:", "no such plugin"),
    ],
)
def test_what_does_not_exist_is_a_mistake_told_in_a_line(
    benchmark: CommandLine, selection: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").touch()
    result = benchmark("list", "-p", selection)
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith("benchmark: error: -p ")
    assert f"{selection}: {message}" in line


@pytest.mark.parametrize("selection", ["missing_module", "missing.py", "no:missing"])
def test_a_mistake_in_the_environment_is_told_to_be_there(
    benchmark: CommandLine, selection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHMARK_PLUGINS", selection)
    result = benchmark("list")
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert line.startswith(f"benchmark: error: BENCHMARK_PLUGINS: {selection}: no")


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("raise RuntimeError('no')", "RuntimeError: no"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        (
            "import module_that_is_missing",
            "needs the module 'module_that_is_missing', which is not installed",
        ),
    ],
)
def test_a_module_whose_package_fails_is_a_plugin_that_failed(
    benchmark: CommandLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    cause: str,
) -> None:
    package = tmp_path / "importable" / "faulty_package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(source)
    (package / "inner.py").write_text(SOUND)
    monkeypatch.syspath_prepend(package.parent)
    result = benchmark("list", "-p", "faulty_package.inner")
    plugin = "plugin faulty_package.inner (no distribution)"
    assert (result.code, result.err) == (0, f"benchmark: {plugin} is left out: {cause}\n")


@pytest.mark.parametrize("fault", ["exit at import", "hook raises", "generator raises halfway"])
def test_a_file_that_fails_is_a_plugin_that_failed(benchmark: CommandLine, fault: str) -> None:
    Path("faulty.py").write_text(FAULTS[fault].source)
    result = benchmark("list", "-p", "faulty.py")
    line = f"plugin faulty (no distribution) is left out: {FAULTS[fault].cause}"
    assert (result.code, result.err) == (0, f"benchmark: {line}\n")
    assert result.out == benchmark("list").out


# An entry's name is also a folder's.

LETTERS_AND_DIGITS = string.ascii_letters + string.digits
ALLOWED = LETTERS_AND_DIGITS + "._-"
DEVICES = ("con", "PRN", "Aux", "nul", "COM1", "lpt9")


def is_reserved(name: str) -> bool:
    """Whether Python says that Windows has another use for the name."""
    if hasattr(ntpath, "isreserved"):
        return ntpath.isreserved(name)
    return PureWindowsPath(name).is_reserved() or name.endswith(".")


good_names = (
    st.tuples(st.sampled_from(LETTERS_AND_DIGITS), st.text(st.sampled_from(ALLOWED), max_size=79))
    .map("".join)
    .filter(lambda name: not is_reserved(name))
)


def test_models_of_one_folder_on_some_systems_are_refused(benchmark: CommandLine) -> None:
    offered = "return [ModelEntry('mine', build), ModelEntry('Mine', build)]"
    Path("theirs.py").write_text(models(offered))
    refused = benchmark("run", "tiny.yaml", "-p", "theirs.py", "-m", "mine", "-m", "Mine")
    assert "the labels 'mine' and 'Mine' differ in case only" in only_error(refused)


@given(good_names)
def test_accepted(name: str) -> None:
    assert check_name(name) == name


@given(st.sampled_from(DEVICES), st.sampled_from(["", ".", ".py", ".a.b"]))
def test_a_device_of_windows_is_refused(device: str, ending: str) -> None:
    assert is_reserved(device + ending)
    with pytest.raises(ValueError, match="not a name"):
        check_name(device + ending)


@given(st.text(max_size=100) | st.text(st.sampled_from(ALLOWED), max_size=80))
def test_whatever_is_accepted_is_a_folder_in_its_parent(name: str) -> None:
    try:
        check_name(name)
    except ValueError:
        return
    assert Path("parent", name).resolve().parent == Path("parent").resolve()
    assert name.isascii()
    assert name.isprintable()
    assert len(name) <= 80
    assert not is_reserved(name)


@given(good_names, st.characters(exclude_characters=ALLOWED), st.integers(0, 79))
def test_any_other_character_is_refused_anywhere(name: str, character: str, place: int) -> None:
    with pytest.raises(ValueError, match="not a name"):
        check_name(name[:place] + character + name[place:])


@given(st.text(st.sampled_from(ALLOWED), min_size=81, max_size=300))
def test_more_than_80_characters_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        check_name(name)


@given(st.sampled_from("._-"), good_names)
def test_a_first_character_that_is_no_letter_or_digit_is_refused(first: str, rest: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        check_name(first + rest[:79])


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a.", "../x", "/x", "a/b", "a\0", "a\n", "м", None, 7]
)
def test_refused(name: object) -> None:
    with pytest.raises(ValueError, match="not a name"):
        check_name(name)
