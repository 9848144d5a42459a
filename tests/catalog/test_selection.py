"""Which plugins are meant: files of one name, copies of what is built in, modules in a folder."""

from __future__ import annotations

import importlib.metadata
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import benchmark_plugins.columns
import benchmark_plugins.models.separable_cnn
import benchmark_plugins.recipes.adam
from benchmark.catalog.selection import selected_plugins
from benchmark.catalog.shelves import load_catalog
from tests.conftest import CommandLine, only_error
from tests.support.sample_plugins import plugin, summary_of, write
from tests.support.tiny import CONFIG

BUILT_IN = f"separable_cnn (benchmark-models {importlib.metadata.version('benchmark-models')})"


@pytest.fixture(autouse=True)
def _tiny_config() -> None:
    write(
        {"tiny.yaml": CONFIG.replace("tiny, twin", "baseline_cnn").replace("size: 8", "size: 24")}
    )


@pytest.fixture(autouse=True)
def _nothing_of_it_stays_imported() -> Iterator[None]:
    """Forget the modules that a test has installed: another's have the same names."""
    yield
    for name in [*sys.modules]:
        if name.partition(".")[0] in ("pack", "single", "loose", "beside"):
            del sys.modules[name]
    load_catalog.cache_clear()


def names(listing: str) -> list[str]:
    """The plugins that ``benchmark plugins`` has beside those that are built in."""
    rows = [re.split(r"\s{2,}", line) for line in listing.splitlines()[2:]]
    return [row[0] for row in rows if row[1] == "-"]


def remedies(line: str) -> list[list[str]]:
    """The arguments that a message names."""
    return [["-p", *shlex.split(found)] for found in re.findall(r"-p ('[^']+'|[^\s,]+)", line)]


# Files of one name.


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["ra/model.py"], ["model"]),
        (["ra/model.py", "rb/model.py"], ["ra/model", "rb/model"]),
        (["ra/model.py", "rb/model.py", "rb/other.py"], ["ra/model", "rb/model", "other"]),
        (["a/x/model.py", "b/x/model.py"], ["a/x/model", "b/x/model"]),
        (["a/x/model.py", "b/x/model.py", "a/y/model.py"], ["a/x/model", "b/x/model", "y/model"]),
        (["in this/adam.py"], ["in this/adam"]),
        (["ra/model.py", "rb/../ra/model.py", "{}/ra/model.py", "link.py"], ["model"]),
    ],
)
def test_a_file_is_named_by_as_much_of_its_path_as_tells_it_apart(
    benchmark: CommandLine, files: list[str], expected: list[str], tmp_path: Path
) -> None:
    paths = [file.format(tmp_path) for file in files]
    Path("rb").mkdir()
    Path("link.py").symlink_to("ra/model.py")
    for number, path in enumerate(paths):
        if path != "link.py":
            write({path: plugin(name=f"m{number}")})
    selection = [argument for path in paths for argument in ("-p", path)]
    result = benchmark("plugins", *selection)
    assert (result.code, result.err, names(result.out)) == (0, "", expected)
    for name in expected:
        left = benchmark("list", "models", *selection, "-p", f"no:{name}")
        assert left.err == ""
        assert f" {name} " not in left.out


def test_a_block_of_half_a_name_names_the_whole(benchmark: CommandLine) -> None:
    write({"ra/model.py": plugin(name="a"), "rb/model.py": plugin(name="b")})
    selection = ["-p", "ra/model.py", "-p", "rb/model.py"]
    line = only_error(benchmark("list", *selection, "-p", "no:model"))
    assert line.endswith("-p no:model: no such plugin - did you mean 'ra/model' or 'rb/model'?")


def test_one_model_of_two_files_can_be_blocked_in_either(benchmark: CommandLine) -> None:
    write({"r a/model.py": plugin(summary="'A'"), "rb/model.py": plugin(summary="'B'")})
    selection = ["-p", "r a/model.py", "-p", "rb/model.py"]
    result = benchmark("list", *selection)
    assert result.err == (
        "benchmark: model 'mine' is offered by r a/model (no distribution) and "
        "rb/model (no distribution); block one with -p 'no:r a/model' or -p no:rb/model, "
        "or give one of them another name\n"
    )
    for block, left in zip(remedies(result.err), "BA", strict=True):
        assert summary_of(benchmark("list", *selection, *block)) == left


# Copies of what is built in.

COPIES = {"mine.py": "mine", "separable_cnn.py": "proj/separable_cnn"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder whose name is known."""
    place = tmp_path / "proj"
    place.mkdir()
    (place / "tiny.yaml").write_bytes(Path("tiny.yaml").read_bytes())
    monkeypatch.chdir(place)
    return place


@pytest.mark.parametrize(("file", "name"), COPIES.items())
@pytest.mark.usefixtures("folder")
def test_a_copy_of_a_built_in_model(benchmark: CommandLine, file: str, name: str) -> None:
    source = Path(benchmark_plugins.models.separable_cnn.__file__).read_text()
    write({file: source})
    said = (
        f"model 'separable_cnn' is offered by {BUILT_IN} and {name} (no distribution); "
        f"block one with -p no:separable_cnn or -p no:{name}, or give one of them another name\n"
    )
    other = benchmark("run", "tiny.yaml", "-p", file, "--epochs", "1", "--seeds", "1")
    assert other.code == 0
    assert other.err.startswith(f"benchmark: {said}")
    run = ["run", "tiny.yaml", "-p", file, "-m", "separable_cnn", "--epochs", "1", "--seeds", "1"]
    refused = benchmark(*run)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.endswith(f"benchmark: error: -m: {said}")
    assert only_error(benchmark("run", "-p", file, "--strict")) == f"benchmark: error: {said[:-1]}"
    shown = benchmark("show", "separable_cnn", "-p", file)
    assert (shown.code, shown.err) == (2, f"benchmark: {said}benchmark: error: {said}")
    for block, left in zip(remedies(said), (name, "built-in"), strict=True):
        done = benchmark(*run, *block)
        assert (done.code, "completed" in done.out) == (0, True)
        assert "offered" not in done.err
        listed = benchmark("list", "models", "separable_cnn", "-p", file, *block)
        assert (listed.err, left in listed.out) == ("", True)
    write(
        {file: source.replace("ModelEntry(\n", "ModelEntry(").replace('"separable_cnn"', '"ours"')}
    )
    load_catalog.cache_clear()
    both = benchmark("list", "models", "-p", file)
    assert (both.err, both.out.count("separable convolutions")) == ("", 2)


def test_a_copy_of_the_columns_leaves_the_table_as_it_is(benchmark: CommandLine) -> None:
    run = ["run", "tiny.yaml", "--epochs", "1", "--seeds", "1"]
    table = benchmark(*run).out
    write({"mine.py": Path(benchmark_plugins.columns.__file__).read_text()})
    again = benchmark(*run, "-p", "mine.py")
    assert (again.code, again.out) == (0, table)
    assert "column 'params' is offered by columns (" in again.err
    chosen = benchmark(*run, "-p", "mine.py", "--columns", "params")
    assert chosen.code == 2
    assert remedies(chosen.err.splitlines()[-1]) == [["-p", "no:columns"], ["-p", "no:mine"]]


def test_a_copy_of_what_the_defaults_name(benchmark: CommandLine) -> None:
    write({"adam.py": Path(benchmark_plugins.recipes.adam.__file__).read_text()})
    run = ["run", "tiny.yaml", "-p", "adam.py", "--epochs", "1", "--seeds", "1"]
    refused = benchmark(*run)
    assert refused.code == 2
    line = refused.err.splitlines()[-1]
    assert "recipe: recipe 'adam' is offered by adam (benchmark-models" in line
    for block in remedies(line):
        assert benchmark(*run, *block).code == 0


def test_the_file_of_a_built_in_is_that_plugin(benchmark: CommandLine) -> None:
    file = str(benchmark_plugins.models.separable_cnn.__file__)
    result = benchmark("list", "-p", file)
    assert result.err == (
        "benchmark: plugin models/separable_cnn (no distribution) is left out: its module is "
        f"loaded already, as the plugin {BUILT_IN}\n"
    )
    assert result.out == benchmark("list").out


# Modules in the current folder, and in others.

PACKAGE = {
    "pack/__init__.py": plugin("from .parts import VALUE", "VALUE", name="of_pack"),
    "pack/parts.py": "import pack.deep.inner as i; VALUE = 'found ' + i.WHAT",
    "pack/deep/inner.py": "from .. import deep; import beside; WHAT = beside.WHAT",
    "pack/models.py": plugin("import pack.parts, pack", "pack.parts.VALUE", name="of_models"),
    "loose/models.py": plugin("from pack import parts", "parts.VALUE", name="of_loose"),
    "single.py": plugin("import beside", "beside.WHAT", name="of_single"),
    "beside.py": "WHAT = 'it'",
}
# What nothing should ever import.
TRAPS = {f"{name}.py": "raise SystemExit('trapped')" for name in ("random", "numpy", "pydantic")}


@pytest.mark.parametrize(
    ("item", "settled", "name", "model", "summary"),
    [
        ("pack", "pack", "pack", "of_pack", "found it"),
        ("pack.models", "pack.models", "pack.models", "of_models", "found it"),
        ("loose.models", "loose.models", "loose.models", "of_loose", "found it"),
        ("single", "single.py", "single", "of_single", "it"),
        ("./single", "single.py", "single", "of_single", "it"),
        ("./pack.models", "pack.models", "pack.models", "of_models", "found it"),
        ("../proj/pack", "pack", "pack", "of_pack", "found it"),
    ],
)
def test_a_module_in_a_folder(
    benchmark: CommandLine,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    item: str,
    settled: str,
    name: str,
    model: str,
    summary: str,
) -> None:
    write(PACKAGE | TRAPS)
    before = [*sys.path], {*sys.modules}
    (selected,) = selected_plugins([item])
    assert Path(selected).resolve() == folder / settled
    result = benchmark("list", "models", "-p", item)
    assert (result.code, result.err, summary_of(result, model)) == (0, "", summary)
    assert names(benchmark("plugins", "-p", item).out) == [name]
    assert sys.path == before[0]
    assert not {"pack", "loose", "single", "beside"} & ({*sys.modules} - before[1])
    # The same in another folder, as a worker may be.
    monkeypatch.chdir("/")
    load_catalog.cache_clear()
    assert summary_of(benchmark("list", "models", "-p", selected), model) == summary


@pytest.mark.parametrize(
    ("start", "command"),
    [
        (
            [sys.executable, "-m", "benchmark"],
            ["run", "tiny.yaml", "--seeds", "1", "-m", "of_models"],
        ),
        ([str(Path(sys.executable).parent / "benchmark")], ["list", "models", "of_models"]),
    ],
    ids=["python -m", "script"],
)
def test_both_ways_to_start_find_the_package_and_nothing_else(
    folder: Path, start: Sequence[str], command: Sequence[str]
) -> None:
    """In the worker, too."""
    write(PACKAGE | TRAPS | {"torch.py": TRAPS["random.py"]})
    arguments = [*start, *command, "-p", "pack.models", "-p", "single"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=folder)
    assert (done.returncode, "of_models" in done.stdout) == (0, True), done.stderr
    assert "failed" not in done.stdout


def test_the_current_folder_is_told_apart_from_what_is_installed(
    benchmark: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(PACKAGE)
    write({"site/pack/__init__.py": plugin(name="installed"), "site/single.py": plugin(name="s")})
    monkeypatch.syspath_prepend(tmp_path / "site")
    for item, model in (("pack", "of_pack"), ("single", "of_single")):
        monkeypatch.delitem(sys.modules, item, raising=False)
        result = benchmark("list", "models", "-p", item)
        (line,) = result.err.splitlines()
        assert line.startswith(f"benchmark: plugin {item} (no distribution): it is in {tmp_path}/")
        assert line.endswith(f"because what is installed wins; for that one: -p ./{item}")
        assert model not in result.out
        (remedy,) = remedies(line)
        there = benchmark("list", "models", *remedy)
        assert (there.err, bool(summary_of(there, model))) == ("", True)
    line = only_error(benchmark("list", "-p", "pack.models"))
    assert "no module of that name can be imported; for " in line
    assert line.endswith("hides, write ./pack.models")
    assert summary_of(benchmark("list", "-p", "./pack.models"), "of_models") == "found it"


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("pack.missing", "no module of that name can be imported"),
        ("./pack.missing", "no such file"),
        ("loose", "no module of that name can be imported"),
        ("./loose", "a folder; give a module's name, or a file that ends in .py"),
        ("./pack/deep", "a folder; give a module's name, or a file that ends in .py"),
    ],
)
def test_what_is_no_module_there(benchmark: CommandLine, item: str, message: str) -> None:
    write(PACKAGE)
    assert f"-p {item}: {message}" in only_error(benchmark("list", "-p", item))


@pytest.mark.parametrize(
    ("item", "remedy"),
    [("linear", "linear.py"), ("models", "models.linear"), ("separable_cnn", "no:separable_cnn")],
)
def test_the_remedies_for_what_is_no_module(benchmark: CommandLine, item: str, remedy: str) -> None:
    write({"linear.txt": "", "models/linear.py": plugin()})
    line = only_error(benchmark("list", "-p", item))
    if item == "linear":
        assert f"write a file with its ending ({remedy})" in line
        write({"linear.py": plugin()})
    if item == "separable_cnn":
        assert "or no:NAME to block a plugin" in line
    result = benchmark("list", "-p", remedy)
    assert (result.code, result.err) == (0, "")


@pytest.mark.parametrize(
    ("item", "neighbour"),
    [
        ("single", "beside.py"),
        ("elsewhere/link.py", "beside.py"),
        ("pack.models", "beside.py"),
        ("pack.models", "pack/__init__.py"),
        ("loose.models", "pack/parts.py"),
        # Beside an installed package of its name.
        ("./pack", "pack/deep/inner.py"),
    ],
)
def test_its_source_is_all_that_it_imports(
    item: str, neighbour: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(PACKAGE | {"other.py": ""})
    Path("elsewhere").mkdir()
    Path("elsewhere/link.py").symlink_to("../single.py")
    if item.startswith("./"):
        write({"site/pack/__init__.py": ""})
        monkeypatch.syspath_prepend(tmp_path / "site")

    def digest() -> str | None:
        load_catalog.cache_clear()
        return load_catalog(selected_plugins([item])).plugins[-1].source.digest

    first = digest()
    write({"other.py": "edited = 1"})
    assert digest() == first
    write({neighbour: PACKAGE[neighbour] + "\nedited = 1"})
    assert digest() not in (first, None)


def test_in_a_folder_that_is_gone(benchmark: CommandLine, folder: Path) -> None:
    listed = benchmark("list")
    folder.joinpath("tiny.yaml").unlink()
    folder.rmdir()
    load_catalog.cache_clear()
    assert benchmark("list") == listed
    assert "no module of that name" in only_error(benchmark("list", "-p", "pack"))
