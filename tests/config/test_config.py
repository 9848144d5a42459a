"""Configs and options, right and wrong: every mistake is one line, exit code 2, nothing written."""

from __future__ import annotations

import io
import re
import string
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings, strategies as st

from benchmark.catalog.shelves import load_catalog
from benchmark.cli.main import execute
from benchmark.config.run_config import (
    RunConfig,
    find_document,
    load_config,
    preset_names,
    with_defaults,
)
from benchmark.config.strict_yaml import parse_document, parse_value
from benchmark.errors import ConfigError
from tests.conftest import CommandLine
from tests.support.sampling import examples
from tests.support.tiny import write_tiny_run

SOUND = """\
dataset: synthetic
models: [baseline_cnn]
recipe: adam
epochs: 3
"""


def refused(benchmark: CommandLine, *arguments: str) -> str:
    """Call the command line, check that it refuses and writes nothing; return what it says."""
    before = sorted(Path().rglob("*"))
    result = benchmark(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert "Traceback" not in result.err
    assert sorted(Path().rglob("*")) == before
    lines = result.err.splitlines()
    assert all(line.startswith("benchmark: error: ") for line in lines)
    return "\n".join(line.removeprefix("benchmark: error: ") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "no such command 'rnu' - did you mean 'run'?"),
        (["run", "--epoch", "3"], "run: no such option '--epoch'. Did you mean '--epochs'?"),
        (["run", "quickstrt"], "no preset of that name - did you mean 'quickstart'?"),
        (["run", "-m", "baselin_cnn"], "-m: unknown model 'baselin_cnn' - did you mean 'baseline_"),
        (["run", "-d", "cifar11"], "-d: unknown data set 'cifar11' - did you mean 'cifar10'?"),
        (["run", "-r", "adm"], "-r: unknown recipe 'adm' - did you mean 'adam'?"),
        (["run", "--columns", "model,parms"], "unknown column 'parms' - did you mean 'params'?"),
        (["run", "--sort", "modle"], "unknown column 'modle' - did you mean 'model'?"),
        (["run", "--format", "jsn"], "'jsn' is not one of 'simple'"),
        (["run", "--epochs", "0"], "--epochs: should be greater than or equal to 1, got 0"),
        (["run", "--epochs", "many"], "'many' is not a valid integer"),
        (["run", "--batch-size", "0"], "--batch-size: should be greater than or equal to 1"),
        (["run", "--seeds", "-1"], "--seeds: should be a number of seeds (1 or more), a list"),
        (["run", "--seeds", "0"], "--seeds: should be a number of seeds (1 or more), a list"),
        (["run", "--seeds", "1,1"], "got [1, 1], which has one twice"),
        (
            ["run", "--seeds", "until:x"],
            "--seeds: should be a number of seeds from 2 to 10,000, got",
        ),
        (
            ["run", "--seeds", "until:"],
            "--seeds: should be a number of seeds from 2 to 10,000, got",
        ),
        (
            ["run", "--seeds", "until:5", "-m", "baseline_cnn"],
            "--seeds: compares models, and there",
        ),
        (["run", "--seeds", "0,10000", "--control"], "--control: its seeds are 10,000 larger than"),
        (["run", "--seeds", "4294967295,0", "--control"], "--control: its seeds are 10,000 larger"),
        (["run", "--seeds", "1,x"], "got [1, 'x']"),
        (["run", "-m", "baseline_cnn", "-m", "baseline_cnn"], "'baseline_cnn' is chosen twice"),
        (
            ["run", "-d", "synthetic", "--precision", "fp8"],
            "should be 'auto', 'fp32', 'bf16' or 'tf32'",
        ),
        (["run", "-d", "synthetic", "--device", "gpu"], "unknown device 'gpu'; use auto, cpu"),
        (["run", "--set", "epochs"], "should be KEY=VALUE"),
        (["run", "--set", "epocs=3"], "--set epocs: unknown key - did you mean 'epochs'?"),
        (["run", "--set", "recipe.learning_rte=1"], "did you mean 'learning_rate'?"),
        (["run", "--set", "recipe.learning_rate=-1"], "should be greater than 0, got -1"),
        (["run", "--set", "recipe.learning_rate=1e999"], "should be a finite number"),
        (["run", "--set", "dataset.size=32"], "lists several under 'dataset'"),
        (["run", "--set", "name=../escape"], "not a name: '../escape'"),
        (["run", "-d", "imagefolder"], "dataset.root: missing: --set dataset.root=VALUE"),
        (["data", "info", "synthetic", "--set", "sise=8"], "--set sise: unknown key"),
        (["data", "prepare", "cifra10"], "unknown data set 'cifra10' - did you mean 'cifar10'?"),
        (["show", "separable"], "unknown model 'separable' - did you mean 'separable_cnn'?"),
        (["list", "modles"], "'modles' is not one of 'models'"),
        (["table", "nowhere"], "nowhere: no such folder"),
        (["table", "."], ".: not a run directory (there is no run.json in it)"),
        (["table"], "missing argument 'RUN...'"),
        (["run", "--set", "x.y.z=1"], "--set x.y.z: x: unknown key"),
        (["run", "--set", "recipe..x=1"], "--set recipe..x: should be a key, with a name before"),
        (["run", "--set", "recipe.=1"], "--set recipe.: should be a key, with a name before"),
        (["run", "--set", ".=1"], "--set .: should be a key, with a name before and after each"),
        (["data", "info", "synthetic", "--set", "a..b=1"], "--set a..b: should be a key, with a"),
        (["run", "--set", "recipe.x.y=1"], "--set recipe.x.y: recipe.x: unknown key"),
        (["run", "--set", "epochs.x=1"], "--set epochs.x: epochs: should be a valid integer, got"),
        (["run", "--set", "recipe.name=adm"], "--set recipe.name: unknown recipe 'adm' - did you"),
        (["run", "--set", "recipe.name=3"], "--set recipe.name: should be a name, got 3"),
        (["run", "--set", "models.0=x"], "give the list as a whole (--set models=[...])"),
        (["run", "--set", f"{'a.' * 3000}a=1"], ": nested too deeply"),
        (["run", "--set", f"seeds={'9' * 5000}"], "a number of 5,000 digits; at most 300 are"),
        (["run", "--set", f"note={'[' * 40 + ']' * 40}"], "nested too deeply"),
        (["run", "--set", r'note="\ud800"'], "--set note:1:1: a lone surrogate"),
        (["run", "--seeds=--5"], "--seeds: should be a number of seeds (1 or more), a list of"),
        (["run", f"--seeds={'9' * 5000}"], "--seeds: should be a number of seeds (1 or more), "),
        (["run", f"--epochs={'9' * 5000}"], "is not a valid integer"),
        (["run", "caf\udce9.yaml"], "'caf\\udce9.yaml' is not UTF-8 text"),
        (["run", "~nobody-here/x.yaml"], "there is no such user; write ./~nobody-here for"),
        (["run", "x" * 300], f"{'x' * 300}: File name too long"),
        (["run", ""], "CONFIG: should be a path, but is empty"),
        (["run", "--data-dir", ""], "--data-dir: should be a folder, but is empty"),
        (["run", "--data-dir", "x" * 300], ": File name too long"),
        (["run", "--out", "/".join(["x" * 200] * 20)], ": File name too long"),
        (["table", ""], "RUN: should be a folder, but is empty"),
        (["list", "-p", "~nobody-here/x.py"], "-p ~nobody-here/x.py: there is no such user"),
        (["list", "-p", f"{'x' * 300}.py"], ".py: File name too long"),
        (["list", "-p", f"{'x' * 300}/x"], ": File name too long"),
        (["run", "--columns", ""], "--columns: should name at least one column"),
        (["run", "--columns", "model,model"], "--columns: names 'model' twice"),
        (["run", "--out", ""], "--out: should be a folder"),
        (["list", "-p", "./"], "-p ./: a folder; give a module's name, or a file that ends in .py"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(
    benchmark: CommandLine, arguments: list[str], message: str
) -> None:
    said = refused(benchmark, *arguments)
    assert message in said
    assert len(said.splitlines()) == 1


KEYS = st.sampled_from([*RunConfig.model_fields, "name", "learning_rate", "0", "x", ""])


@settings(deadline=None, max_examples=examples(60))
@given(st.lists(KEYS, min_size=1, max_size=4), st.sampled_from(["0", "x", "[y]", "{z: 1}", "null"]))
def test_what_is_set_wrongly_is_told_of_the_setting(keys: list[str], value: str) -> None:
    """Not of the preset or of the defaults, which are sound."""
    setting = f"{'.'.join(keys)}={value}"
    errors = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(errors):
        # The last flag is refused in the end, whatever the setting is.
        code = execute(["run", "-d", "synthetic", "--set", setting, "--jobs", "0"])
    assert code == 2
    for line in errors.getvalue().splitlines():
        assert re.match(r"benchmark: error: (run: )?--(set|jobs)", line), line


def test_a_list_can_be_set_as_a_whole(benchmark: CommandLine) -> None:
    arguments = write_tiny_run(Path())
    result = benchmark(*arguments, "--set", "models=[tiny]", "--set", "seeds=[3]")
    assert result.code == 0
    (file,) = Path("runs").rglob("trial.json")
    assert (file.parts[-4], file.parts[-2]) == ("tiny", "seed-3")


def test_a_name_that_begins_with_a_tilde_can_be_written(benchmark: CommandLine) -> None:
    """As the message says where there is no such user."""
    arguments = write_tiny_run(Path())
    Path("tiny.yaml").rename("~tiny.yaml")
    Path("tiny.py").rename("~tiny.py")
    arguments = ["run", "./~tiny.yaml", "-p", "./~tiny.py", "--out", "./~runs", "--epochs", "1"]
    # Images that are cached nowhere yet.
    other_images = ["--set", "dataset.seed=7"]
    assert benchmark(*arguments, *other_images, "--data-dir", "./~data").code == 0
    assert Path("~runs").absolute().is_dir()
    assert Path("~data").absolute().is_dir()


def test_a_home_folder_is_known_everywhere(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    write_tiny_run(home)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("BENCHMARK_PLUGINS", "~/tiny.py")
    # Images that are cached nowhere yet.
    other_images = ["--set", "dataset.seed=8"]
    arguments = ["run", "~/tiny.yaml", "--out", "~/runs", "--data-dir", "~/data"]
    assert benchmark(*arguments, *other_images).code == 0
    (folder,) = (home / "runs").iterdir()
    assert (home / "data").is_dir()
    assert benchmark("table", f"~/runs/{folder.name}").code == 0
    monkeypatch.setenv("BENCHMARK_DATA_DIR", "~/elsewhere")
    assert f"data directory: {home}/elsewhere\n" in benchmark("env").out
    assert not Path("~").exists()


def test_device_without_a_gpu(benchmark: CommandLine) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA GPU")
    said = refused(benchmark, "run", "-d", "synthetic", "--device", "cuda")
    assert said.startswith("--device cuda: PyTorch finds no CUDA GPU here")


def test_a_batch_larger_than_the_training_set(benchmark: CommandLine) -> None:
    options = ["-d", "synthetic", "--set", "dataset.train_images=100", "--batch-size", "101"]
    said = refused(benchmark, "run", *options)
    assert said == "batch_size 101 is larger than the training set (100 images); give 100 or less"


def config_file(content: str | bytes, name: str = "x.yaml") -> str:
    data = content.encode() if isinstance(content, str) else content
    Path(name).write_bytes(data)
    return name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("epochs: 1\nepochs: 2\n", "x.yaml:2:1: epochs: duplicate key"),
        ("recipe:\n  name: adam\n  name: adam\n", "x.yaml:3:3: recipe.name: duplicate key"),
        ("epochs:\n\t- 1\n", "x.yaml:2:1: a tab where only spaces may indent"),
        (b"name: \xff\xfe\n", "x.yaml: not UTF-8 text: byte 6 cannot be decoded"),
        (b"name: \x00\n", "x.yaml: a character that YAML does not allow: 0"),
        ("", "x.yaml: should be a mapping of keys to values"),
        ("- epochs\n", "x.yaml: should be a mapping of keys to values"),
        ("name: [1\nepochs: 2", "x.yaml:2:"),
        ("name: &a x\n", "x.yaml:1:7: name: an anchor (&a) is not allowed; write the value"),
        ("note: *a\n", "x.yaml:1:7: note: an alias (*a) is not allowed; write the value"),
        ("&a name: x\n", "x.yaml:1:1: an anchor (&a) is not allowed"),
        ("note: &a\n  - x\n", "x.yaml:1:7: note: an anchor (&a) is not allowed"),
        ("note: !!str x\n", "x.yaml:1:7: note: a tag"),
        ("note: ! x\n", "x.yaml:1:7: note: a tag"),
        ("name: !!python/object/apply:os.getcwd []\n", "x.yaml:1:7: name: a tag"),
        ("? [a]\n: 1\n", "x.yaml:1:3: a key should be text"),
        ("a: " + "[" * 5000, "x.yaml: nested too deeply"),
        (f"a: {'[' * 40}{']' * 40}", "x.yaml:1:36: a[0][0]"),
        ('note: "\\ud800"\n', "x.yaml:1:7: note: a lone surrogate, which is not a character"),
        ('"\\ud800": 1\n', "x.yaml:1:1: a lone surrogate"),
        ('note: "\\UFFFFFFFF"\n', "x.yaml:1:10: a number that is too large to be read"),
        (f"%YAML {'9' * 5000}.1\n---\na: 1\n", "x.yaml:1:7: a number that is too large"),
        (
            f"epochs: {'9' * 5000}\n",
            "x.yaml:1:9: epochs: a number of 5,000 digits; at most 300 are",
        ),
        (f"note: {'x' * 2**20}\n", "x.yaml: larger than 1,048,576 bytes, a config's limit"),
        ("a: 1\n---\nb: 2\n", "x.yaml:2:1: a second document; a config is one"),
    ],
)
def test_what_is_no_config_is_refused(
    benchmark: CommandLine, content: str | bytes, message: str
) -> None:
    said = refused(benchmark, "run", config_file(content))
    assert said.startswith(message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": "3"}, "x.yaml:1:1: epochs: should be a valid integer, got '3'"),
        ({"epochs": 1.5}, "epochs: should be a valid integer, got 1.5"),
        ({"epochs": True}, "epochs: should be a valid integer, got True"),
        ({"models": "baseline_cnn"}, "models: should be a list of names and mappings, got"),
        ({"models": []}, "models: should name at least one"),
        ({"seeds": 10**30}, "seeds: should be 10,000 seeds at most"),
        (
            {"seeds": {"until": 1}},
            "seeds.until: should be a number of seeds from 2 to 10,000, got 1",
        ),
        ({"seeds": {"until": 20_000}}, "seeds.until: should be a number of seeds from 2 to 10,000"),
        ({"seeds": {"until": True}}, "seeds.until: should be a number of seeds from 2 to 10,000"),
        ({"seeds": {"until": 5, "resolve": -1}}, "seeds.resolve: should be greater than 0, got -1"),
        ({"seeds": {"until": 5, "resolve": 0}}, "seeds.resolve: should be greater than 0, got 0"),
        ({"seeds": {"until": 5, "resolve": 101}}, "seeds.resolve: should be less than or equal to"),
        ({"seeds": {"until": 5, "resolv": 1}}, "unknown key - did you mean 'resolve'?"),
        ({"seeds": {"resolve": 1}}, "seeds.until: missing: how many seeds there may be at most"),
        ({"control": 1}, "control: should be a valid boolean, got 1"),
        (
            {
                "models": [
                    "baseline_cnn",
                    {"name": "separable_cnn", "label": "Baseline_CNN-Control"},
                ],
                "control": True,
            },
            "control: its label would be 'baseline_cnn-control', which a model has; give that",
        ),
        (
            {"models": [{"name": "separable_cnn", "label": "x" * 75}], "control": True},
            "would be too long",
        ),
        ({"seeds": [2**32]}, "seeds: should be a number of seeds"),
        ({"epochs": 10**30}, "epochs: "),
        ({"batch_size": 10**30}, "batch_size: "),
        ({"dataset": []}, "dataset: should name at least one"),
        ({"dataset": 3}, "dataset: should be a name, or a mapping with a name and options"),
        ({"recipe": {"learning_rate": 1}}, "recipe: should be a name, or a mapping with a name"),
        ({"recipe": {"name": "adam", "learning_rate": "fast"}}, "should be a valid number"),
        ({"seeds": [0, 0]}, "which has one twice"),
        ({"seeds": []}, "should be a number of seeds"),
        ({"train_images": 0}, "train_images: should be greater than or equal to 1, got 0"),
        ({"executor": "cluster"}, "unknown executor 'cluster'"),
        ({"name": "a/b"}, "name: not a name: 'a/b'"),
    ],
)
def test_wrong_values_are_refused(
    benchmark: CommandLine, change: dict[str, Any], message: str
) -> None:
    content = {**change, **{k: v for k, v in yaml.safe_load(SOUND).items() if k not in change}}
    said = refused(benchmark, "run", config_file(yaml.safe_dump(content, sort_keys=False)))
    assert message in said
    assert len(said.splitlines()) == 1


def test_missing_keys_are_named(benchmark: CommandLine) -> None:
    said = refused(benchmark, "run", config_file("recipe: adam\n"))
    assert said.splitlines() == [
        f"x.yaml: {key}: missing" for key in ("dataset", "models", "epochs")
    ]


def test_every_fault_is_told_at_once(benchmark: CommandLine) -> None:
    recipe = "recipe:\n  name: adam\n  learning_rte: 1\n"
    faulty = f"dataset: synthetic\nmodels: [nothing]\n{recipe}epocs: 3\n"
    said = refused(benchmark, "run", config_file(faulty))
    assert "x.yaml:2:10: models[0]: unknown model 'nothing'" in said
    assert "x.yaml:5:3: recipe.learning_rte: unknown key - did you mean 'learning_rate'?" in said
    assert "x.yaml:6:1: epocs: unknown key - did you mean 'epochs'?" in said
    assert "x.yaml: epochs: missing" in said


def test_a_directory_in_a_configs_place(benchmark: CommandLine) -> None:
    Path("x.yaml").mkdir()
    assert refused(benchmark, "run", "x.yaml") == "x.yaml: a directory, not a config file"


def test_a_config_that_is_not_there(benchmark: CommandLine) -> None:
    assert (
        refused(benchmark, "run", "x.yaml") == "x.yaml: cannot be read: No such file or directory"
    )


def test_an_output_directory_that_cannot_be_written(benchmark: CommandLine) -> None:
    Path("taken").touch()
    arguments = ["-d", "synthetic", "--set", "dataset.train_images=64", "--out", "taken"]
    said = refused(benchmark, "run", *arguments)
    assert said.startswith("taken/")
    assert said.endswith("cannot be written: Not a directory")


def load(text: str) -> RunConfig:
    return load_config(with_defaults(parse_document(text, "x.yaml")), load_catalog())


def test_a_short_config_has_the_documented_defaults() -> None:
    config = load(SOUND)
    assert config.name == "x"
    assert config.batch_size == 128
    assert config.seeds == (0,)
    assert (config.device, config.precision, config.executor.name) == ("auto", "auto", "local")
    assert config.recipe.options == {"learning_rate": 1e-3}
    assert config.train_images is None


def test_numbers_are_yaml_1_2s() -> None:
    config = load(SOUND.replace("adam", "{name: adam, learning_rate: 1e-4}") + "seeds: [3, 1]\n")
    assert config.recipe.options == {"learning_rate": 1e-4}
    assert config.seeds == (3, 1)
    assert parse_value("yes", "") == "yes"
    assert parse_value("012", "") == "012"
    assert parse_value("[1, null, 'true', true, -2.5]", "") == [1, None, "true", True, -2.5]


def test_presets_are_sound_and_cifar10_is_the_real_thing() -> None:
    assert preset_names() == ["cifar10", "quickstart"]
    configs = {name: load_config(find_document(name), load_catalog()) for name in preset_names()}
    cifar10, quickstart = configs["cifar10"], configs["quickstart"]
    assert [dataset.name for dataset in cifar10.dataset] == ["cifar10"]
    assert [model.label for model in cifar10.models] == ["baseline_cnn", "separable_cnn"]
    assert (cifar10.recipe.name, cifar10.epochs, cifar10.batch_size) == ("adam", 50, 128)
    assert cifar10.seeds == (0, 1, 2)
    assert [dataset.name for dataset in quickstart.dataset] == ["cifar10", "synthetic"]
    assert quickstart.note is not None
    assert "no result" in quickstart.note
    assert "benchmark run cifar10" in quickstart.note


scalars = st.none() | st.booleans() | st.integers() | st.text(string.ascii_letters + " :#-")
documents = st.dictionaries(
    st.text(string.ascii_letters, min_size=1),
    st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner)),
    min_size=1,
)


@given(documents)
def test_what_yaml_writes_is_read_back(content: dict[str, Any]) -> None:
    assert parse_document(yaml.safe_dump(content), "x.yaml").data == content


@given(st.text())
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        document = parse_document(text, "x.yaml")
    except ConfigError as error:
        faults = error.faults
    else:
        assert all(isinstance(key, str) for key in document.data)
        return
    assert faults
    assert all(fault.origin.startswith("x.yaml") for fault in faults)
