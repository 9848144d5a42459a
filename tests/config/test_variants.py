"""Models with options, under labels: in a config, and after -m."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, strategies as st
from torch import nn

from benchmark.config.variants import default_label
from benchmark.entries import ModelEntry, Options, is_name
from tests.conftest import CommandLine, Result, only_error

PLUGIN = """
import math
from typing import Literal
from pydantic import Field
from torch import nn
from benchmark import ModelEntry, Options, hookimpl

class Stack(Options):
    width: float = Field(default=1, gt=0)
    \"\"\"Multiplies the units.\"\"\"
    layers: tuple[int, ...] = (4,)
    bias: bool = True
    act: Literal["relu", "gelu"] = "relu"

class Needed(Options):
    units: int

def stack(input_shape, num_classes, options):
    inputs, layers = math.prod(input_shape), [nn.Flatten()]
    for units in options.layers:
        outputs = round(units * options.width)
        layers += [nn.Linear(inputs, outputs, bias=options.bias), nn.ReLU()]
        inputs = outputs
    return nn.Sequential(*layers, nn.Linear(inputs, num_classes))

def needed(input_shape, num_classes, options):
    units = options.units
    return nn.Sequential(
        nn.Flatten(), nn.Linear(math.prod(input_shape), units), nn.Linear(units, num_classes)
    )

def plain(input_shape, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), num_classes))

@hookimpl
def benchmark_models():
    yield ModelEntry("stack", stack, "dense layers", Stack)
    yield ModelEntry("needed", needed, "units have to be given", Needed)
    yield ModelEntry("plain", plain)
"""
CONFIG: dict[str, Any] = {
    "name": "grid",
    "dataset": {"name": "synthetic", "train_images": 64, "test_images": 20, "size": 8},
    "models": ["stack"],
    "epochs": 1,
    "batch_size": 32,
    "seeds": 1,
    "precision": "fp32",
    "device": "cpu",
}


@pytest.fixture
def grid(benchmark: CommandLine) -> CommandLine:
    """Run a config with these models, and others after -m."""
    Path("stack.py").write_text(PLUGIN)

    def run(models: Any, *arguments: str) -> Result:
        text = yaml.safe_dump({**CONFIG, "models": models}, sort_keys=False)
        Path("grid.yaml").write_text(text)
        return benchmark("run", "grid.yaml", "-p", "stack.py", *arguments)

    return run


def labels(result: Result) -> list[str]:
    assert result.code == 0, result.err
    return [row["model"] for row in json.loads(result.out)]


def test_a_config_has_names_options_labels_and_grids(grid: CommandLine) -> None:
    models = [
        "plain",
        {"name": "stack", "width": 2, "label": "wide"},
        {"name": "stack", "each": {"width": [0.5, 1], "bias": [True, False]}},
        {"name": "needed", "units": 3},
    ]
    result = grid(models, "--format", "json")
    assert labels(result) == [
        "plain",
        "wide",
        "stack-width-0.5",
        "stack-width-0.5-bias-false",
        "stack",
        "stack-bias-false",
        "needed-units-3",
    ]
    rows = {row["model"]: row for row in json.loads(result.out)}
    assert rows["wide"]["entry"] == "stack"
    assert rows["wide"]["options"] == {"width": 2, "layers": [4], "bias": True, "act": "relu"}
    assert (rows["plain"]["entry"], rows["plain"]["options"]) == ("plain", {})
    # 192 inputs, 4 units and a bias each, 10 classes.
    assert rows["stack"]["params"] == 193 * 4 + 5 * 10
    assert rows["wide"]["params"] == 193 * 8 + 9 * 10
    assert rows["stack-width-0.5-bias-false"]["params"] == 192 * 2 + 3 * 10
    assert len({row["identity"] for row in rows.values()}) == len(rows)


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        (["stack[width=2]"], ["stack-width-2"]),
        (["stack[width=2,label=wide]"], ["wide"]),
        (["stack[layers=[3, 2],act='gelu']"], ["stack-layers-3-2-act-gelu"]),
        (["stack[]"], ["stack"]),
        (["stack[width=1.0]"], ["stack"]),
        (["stack[each={width: [1, 2]}]"], ["stack", "stack-width-2"]),
        (["mine"], ["mine"]),
        (["mi*", "plain"], ["mine", "plain"]),
        (["?lain"], ["plain"]),
        (["plain", "*lain", "p*"], ["plain"]),
        (["p*", "plain"], ["plain"]),
        (["needed[units=5]", "stack[width=2]"], ["needed-units-5", "stack-width-2"]),
    ],
)
def test_the_command_line_chooses_models(
    grid: CommandLine, choices: list[str], expected: list[str]
) -> None:
    arguments = [word for choice in choices for word in ("-m", choice)]
    mine = [{"name": "stack", "width": 3, "label": "mine"}, "plain"]
    assert labels(grid(mine, "--format", "json", *arguments)) == expected


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([{"name": "stack", "widht": 2}], "models[0].widht: unknown key - did you mean 'width'?"),
        ([{"name": "stac"}], "models[0].name: unknown model 'stac' - did you mean 'stack'?"),
        (["plain", "stac"], "models[1]: unknown model 'stac' - did you mean 'stack'?"),
        ([{"name": "stack", "width": "wide"}], "models[0].width: should be a valid number"),
        ([{"name": "stack", "width": -1}], "models[0].width: should be greater than 0, got -1"),
        ([{"name": "stack", "act": "tanh"}], "models[0].act: should be 'relu' or 'gelu'"),
        ([{"name": "plain", "width": 2}], "model 'plain' has no options"),
        ([{"name": "needed"}], "models[0].units: missing: -m 'needed[units=VALUE]'"),
        ([{"width": 2}], "models[0]: should be a name, or a mapping with a name"),
        ([3], "models[0]: should be a name, or a mapping with a name"),
        ([{"name": "plain", "label": "a/b"}], "models[0].label: should be a name, got 'a/b'"),
        ([{"name": "plain", "label": "nul"}], "models[0].label: should be a name, got 'nul'"),
        ([{"name": "plain", "label": 3}], "models[0].label: should be a name, got 3"),
        (["plain", "plain"], "models[1]: 'plain' is chosen twice"),
        (
            ["plain", {"name": "stack", "label": "plain"}],
            "models[1]: two models have the label 'plain'; give one of them another label",
        ),
        (
            ["plain", {"name": "stack", "label": "Plain"}],
            "models[1]: the labels 'plain' and 'Plain' differ in case only",
        ),
        ([{"name": "stack", "each": [1]}], "models[0].each: should map options to lists of values"),
        ([{"name": "stack", "each": {"width": 2}}], "models[0].each.width: should be a list"),
        ([{"name": "stack", "each": {"width": []}}], "models[0].each.width: should be a list"),
        (
            [{"name": "stack", "each": {"width": [1, "x"]}}],
            "models[0].each.width[1]: should be a valid number",
        ),
        (
            [{"name": "stack", "each": {"widht": [1, 2]}}],
            "models[0].each.widht[0]: unknown key - did you mean 'width'?",
        ),
        (
            [{"name": "stack", "width": 1, "each": {"width": [1]}}],
            "models[0].each.width: is given outside of 'each', too",
        ),
        (
            [{"name": "stack", "label": "one", "each": {"width": [1, 2]}}],
            "models[0].label: one label for 2 models; leave it out",
        ),
        (
            [
                {
                    "name": "stack",
                    "each": {"width": [*range(1, 200)], "layers": [[n] for n in range(200)]},
                }
            ],
            "models[0].each: more than 10,000 combinations",
        ),
        (
            [{"name": "stack", "layers": [12345678] * 12}],
            "would be too long; give it a label",
        ),
    ],
)
def test_a_fault_in_a_config_has_its_place(
    grid: CommandLine, models: list[Any], message: str
) -> None:
    result = grid(models)
    assert (result.code, result.out) == (2, "")
    faults = [line for line in result.err.splitlines() if message in line]
    assert len(faults) == 1, result.err
    assert faults[0].startswith("benchmark: error: grid.yaml:")
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("stack[widht=2]", "-m stack[widht=2]: widht: unknown key - did you mean 'width'?"),
        ("stack[width=x]", "-m stack[width=x]: width: should be a valid number, got 'x'"),
        ("sta*[width=2]", "-m sta*[width=2]: a pattern takes no options"),
        ("stack[width]", "-m stack[width]: 'width' should be KEY=VALUE, such as name[width=2]"),
        ("stack[width=2", "-m stack[width=2: should be NAME[KEY=VALUE,...], with brackets"),
        ("stack[width=2]x", "-m stack[width=2]x: should be NAME[KEY=VALUE,...], with brackets"),
        ("stack[width=1,width=2]", "-m stack[width=1,width=2]: width is given twice"),
        ("stack[name=plain]", "-m stack[name=plain]: name is given twice"),
        ("stac[width=2]", "unknown model 'stac' - did you mean 'stack'?"),
        ("pla*z", "-m: no model matches 'pla*z' - did you mean 'plain'?"),
        (
            "stack[w*=2]",
            "-m stack[w*=2]: w*: unknown key (model 'stack' has width, layers, bias, act)",
        ),
        ("stack[width=[1]", "-m stack[width=[1]: width:"),
        ("needed", "units: missing: -m 'needed[units=VALUE]'"),
    ],
)
def test_a_fault_after_m_is_one_line(grid: CommandLine, choice: str, message: str) -> None:
    assert message in only_error(grid(["plain"], "-m", choice))


def test_the_remedy_for_a_missing_option_works(grid: CommandLine) -> None:
    assert "-m 'needed[units=VALUE]'" in only_error(grid(["needed"]))
    assert labels(grid(["needed"], "-m", "needed[units=4]", "--format", "json")) == [
        "needed-units-4"
    ]


def test_other_options_under_one_label_are_another_version(grid: CommandLine) -> None:
    first = grid([{"name": "stack", "width": 2, "label": "mine"}], "--format", "json")
    second = grid([{"name": "stack", "width": 3, "label": "mine"}], "--format", "json")
    assert "there are records of other versions of mine (1)" in second.err
    rows = [json.loads(result.out)[0] for result in (first, second)]
    assert rows[0]["params"] < rows[1]["params"]
    assert rows[0]["identity"] != rows[1]["identity"]
    again = grid([{"name": "stack", "width": 2, "label": "mine"}], "--format", "json")
    assert again.out == first.out


def test_show_builds_a_model_with_its_options(benchmark: CommandLine) -> None:
    Path("stack.py").write_text(PLUGIN)
    plugin = ("-p", "stack.py")
    shown = benchmark("show", "stack[width=2]", "--image", "1x4x4", "--classes", "3", *plugin)
    assert shown.out.startswith("stack-width-2: images of 1 x 4 x 4, 3 classes\n")
    assert f"Total params:         {17 * 8 + 9 * 3:>13,}" in shown.out
    assert "width   number > 0" in shown.out
    assert "Multiplies the units." in shown.out
    data = json.loads(benchmark("show", "stack[width=2]", "--json", *plugin).out)
    assert (data["model"], data["entry"], data["options"]["width"]) == ("stack-width-2", "stack", 2)
    assert "units: missing" in only_error(benchmark("show", "needed", *plugin))
    assert "stands for 2 models" in only_error(
        benchmark("show", "stack[each={width: [1, 2]}]", *plugin)
    )


@pytest.mark.parametrize(
    ("name", "option"),
    [("adam", "learning_rate"), ("synthetic", "train_images"), ("local", "timeout_seconds")],
)
def test_show_says_the_options_of_any_entry(benchmark: CommandLine, name: str, option: str) -> None:
    shown = benchmark("show", name).out
    assert any(line.startswith(f"{option} ") for line in shown.splitlines())
    (options,) = json.loads(benchmark("show", name, "--json").out)["options"].values()
    assert option in [described["name"] for described in options]
    assert all(described["description"] for described in options)
    assert option in benchmark("list", "-v").out
    near = only_error(benchmark("show", f"{name}x"))
    assert f"did you mean {name!r}?" in near


def test_the_default_options_of_the_built_in_models_are_the_models_of_before(
    benchmark: CommandLine,
) -> None:
    for model, params in {"separable_cnn": 98_887, "baseline_cnn": 1_172_410}.items():
        for options in ("", "[width=1]", "[width=1.0,dropout=1]"):
            data = json.loads(benchmark("show", f"{model}{options}", "--json").out)
            assert (data["model"], data["params"]["total"]) == (model, params)
    # Keras counts so for 64, 128 and 256 channels: see docs/models.md for the formula.
    wide = json.loads(benchmark("show", "separable_cnn[width=2]", "--json").out)
    assert wide["params"]["total"] == 260_775


class Anything(Options):
    number: float = 1.0
    text: str = ""
    many: tuple[int, ...] = ()
    maybe: bool | None = None


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "number": st.floats(allow_nan=False, allow_infinity=False),
            "text": st.text(max_size=20),
            "many": st.lists(st.integers(), max_size=3),
            "maybe": st.none() | st.booleans(),
        },
    )
)
def test_a_default_label_is_a_name_unless_it_is_too_long(given: dict[str, Any]) -> None:
    options = Anything.from_mapping(given)
    label = default_label("any", options)
    assert is_name(label) or len(label) > 80
    assert (label == "any") == (options == Anything()) or "text" in given


@pytest.mark.parametrize("reserved", ["name", "label", "each"])
def test_an_option_cannot_be_called_as_what_stands_beside_it(reserved: str) -> None:
    options = type("Taken", (Options,), {"__annotations__": {reserved: int}, reserved: 1})
    with pytest.raises(ValueError, match=f"'x' has an option called '{reserved}'; rename it"):
        ModelEntry("x", nn.Linear, options=options)
