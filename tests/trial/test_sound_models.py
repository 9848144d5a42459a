"""Sound models that are unusual in some way are shown, checked, trained and resumed soundly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmark.complexity.counting import count_macs, noise_images
from benchmark.training.model_state import undone
from tests.conftest import CommandLine, Result, only_error
from tests.support import sound_models
from tests.support.sampling import sampled

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:FutureWarning")

PLUGIN = str(Path(sound_models.__file__))
CONFIG = """
name: sound
dataset: {name: synthetic, train_images: 64, test_images: 33, size: 8}
models: [linear]
epochs: 3
batch_size: 16
precision: fp32
device: cpu
"""
SOUND = [name for name in sound_models.MODELS if not name.startswith("gives_")]


@pytest.fixture(autouse=True)
def _config() -> None:
    Path("sound.yaml").write_text(CONFIG)


def train(benchmark: CommandLine, *models: str, arguments: tuple[str, ...] = ()) -> Result:
    chosen = [argument for model in models for argument in ("-m", model)]
    return benchmark("run", "sound.yaml", "-p", PLUGIN, *chosen, *arguments)


def record_of(model: str, out: str = "runs") -> dict[str, Any]:
    (file,) = Path(out).glob(f"*/trials/{model}/*/seed-0/trial.json")
    return json.loads(file.read_text())


def shown(benchmark: CommandLine, model: str, *arguments: str) -> dict[str, Any]:
    result = benchmark("show", model, "--image", "3x8x8", "--json", "-p", PLUGIN, *arguments)
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_every_one_is_shown_and_its_layers_add_up(benchmark: CommandLine) -> None:
    for model in SOUND:
        content = shown(benchmark, model)
        layers = sum(layer["params"] for layer in content["layers"])
        assert layers == content["params"]["total"] > 0, model
        assert content["macs"] > 0, model
        assert content["macs_is_lower_bound"] is False


@pytest.mark.parametrize("recipe", sampled("recipes", ["adam", "sgd_onecycle"], 1))
def test_every_one_trains(benchmark: CommandLine, recipe: str) -> None:
    models = sampled("sound models that train", [*SOUND], len(SOUND) // 2)
    result = train(benchmark, *models, arguments=("-r", recipe, "--epochs", "1"))
    statuses = {model: record_of(model)["status"] for model in models}
    assert set(statuses.values()) == {"completed"}, result.err
    assert result.code == 0


def warnings_of(benchmark: CommandLine, model: str) -> list[str]:
    train(benchmark, model)
    record = record_of(model)
    assert record["status"] == "completed"
    return record["warnings"]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("linear", []),
        ("lazy", []),
        ("first_forward", []),
        ("skips", []),
        ("unused", ["2 of 4 parameters get no gradient", "unused.weight, unused.bias"]),
        ("grows", ["became trainable during training are never trained: dense.weight, dense.bias"]),
        ("counter", ["no checkpoint keeps: steps;"]),
        ("extra_state", []),
        ("torch_generator", []),
        ("opaque", ["no checkpoint can be written", "extra.modules. is a object"]),
        ("view", ["contiguous layout, because channels_last failed", "view size"]),
        ("five_dimensions", ["contiguous layout, because channels_last failed"]),
        ("process", ["changed the number of threads", "deterministic", "gradients from on to off"]),
    ],
)
def test_what_is_remarkable_is_in_the_record(
    benchmark: CommandLine, model: str, said: list[str]
) -> None:
    warnings = " ".join(warnings_of(benchmark, model))
    assert bool(warnings) == bool(said)
    for part in said:
        assert part in warnings


def test_the_layout_is_in_the_record(benchmark: CommandLine) -> None:
    train(benchmark, "linear", "view")
    layouts = [record_of(model)["layout"] for model in ("linear", "view")]
    assert layouts == ["channels_last", "contiguous"]


def test_a_model_that_changes_its_process_changes_no_other_row(benchmark: CommandLine) -> None:
    threads = torch.get_num_threads()
    train(benchmark, "process", "linear")
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    assert record_of("linear")["warnings"] == []
    alone = train(benchmark, "linear", arguments=("--out", "alone"))
    assert alone.code == 0
    losses = [
        [epoch["train_loss"] for epoch in record_of("linear", out)["epochs"]]
        for out in ("runs", "alone")
    ]
    assert losses[0] == losses[1]


def test_a_plugin_that_changes_its_process_when_it_is_imported_changes_no_row(
    benchmark: CommandLine,
) -> None:
    Path("doubles.py").write_text(
        "import torch\nfrom benchmark import hookimpl\n"
        "torch.set_default_dtype(torch.float64)\n"
        "@hookimpl\n"
        "def benchmark_models():\n"
        "    torch.set_num_threads(torch.get_num_threads() + 1)\n"
        "    return []\n"
    )
    threads = torch.get_num_threads()
    result = train(benchmark, "linear", arguments=("-p", "doubles.py"))
    assert result.code == 0
    assert "benchmark: plugin doubles (no distribution) changed the default dtype" in result.err
    assert f"the number of threads from {threads} to {threads + 1} when it was loaded" in result.err
    assert record_of("linear")["warnings"] == []


def test_the_first_training_batch_is_the_first_that_a_model_is_set_by(
    benchmark: CommandLine,
) -> None:
    train(benchmark, "first_batch")
    # The logits of the first batch have a spread of one: a loss a little above that of chance.
    assert record_of("first_batch")["epochs"][0]["train_loss"] < 5


# Not those that have no parameters yet, nor one that would change the process of the tests.
@pytest.mark.parametrize(
    "model", [m for m in SOUND if m not in ("lazy", "first_forward", "process")]
)
def test_looking_at_a_model_leaves_nothing_behind(model: str) -> None:
    network: Any = sound_models.MODELS[model](10)
    before = {
        name: tensor.clone() for name, tensor in network.state_dict().items() if is_tensor(tensor)
    }
    random = torch.get_rng_state()
    count_macs(network, (3, 8, 8))
    with undone(network):
        network.train()
        network(noise_images(4, (3, 8, 8))).sum().backward()
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not getattr(network, "kept", [])
    for name, tensor in network.state_dict().items():
        assert not is_tensor(tensor) or torch.equal(tensor, before[name])
    if model == "counter":
        assert next(network.calls) == network.steps == 0
    if model == "extra_state":
        assert network.steps == 0


def is_tensor(value: object) -> bool:
    return isinstance(value, torch.Tensor)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (
            "gives_pair",
            "for 16 images the model should give 16 x 10 logits, not tuple; a recipe trains a "
            "model that returns more where its entry has 'logits'",
        ),
        ("gives_nothing", "for 16 images the model should give 16 x 10 logits, not NoneType"),
        ("gives_array", "for 16 images the model should give 16 x 10 logits, not ndarray"),
        ("gives_narrow", "for 16 images the model should give 16 x 10 logits, not (16, 5)"),
        ("gives_constant", "no parameter gets a gradient from the loss"),
        ("gives_nan", "the first loss is nan, not a finite number"),
        ("gives_integers", "the logits should be floats, not torch.int64"),
    ],
)
def test_what_fails_in_training_mode_only_is_found_before_it_and_says_so(
    benchmark: CommandLine, model: str, reason: str
) -> None:
    result = train(benchmark, model, "linear")
    assert result.code == 1
    assert record_of(model)["reason"] == f"in training mode, {reason}"
    assert record_of("linear")["status"] == "completed"
    result = benchmark("show", model, "-p", PLUGIN, "--image", "3x8x8")
    if model == "gives_pair":
        # There may be a recipe for it.
        assert (result.code, result.err) == (
            0,
            "benchmark: model 'gives_pair': in training mode it returns a tuple; a recipe "
            "trains it where its entry has 'logits'\n",
        )
    else:
        assert "in training mode, " in only_error(result)


@pytest.mark.parametrize(
    "model",
    [
        "extra_state",
        "torch_generator",
        "numpy_generator",
        "python_generator",
        "assigned",
        "process",
    ],
)
def test_a_resumed_training_has_the_history_of_an_uninterrupted_one(
    benchmark: CommandLine, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = ("-m", model, "-r", "sgd_onecycle", "--tracker", "interrupt")
    settings = ("--set", "checkpoint_every=1")
    arguments = ("run", "sound.yaml", "-p", PLUGIN, *chosen, *settings)
    assert benchmark(*arguments, "--out", "whole").code == 0
    monkeypatch.setenv(sound_models.INTERRUPTED_AFTER, "2")
    assert benchmark(*arguments).code == 130
    resumed = benchmark(*arguments)
    assert resumed.code == 0, resumed.err
    (told,) = Path("runs").rglob("resumed_after.txt")
    # A trial that is interrupted ends when its checkpoint is written.
    assert told.read_text() == "2"
    histories = [
        [(epoch["train_loss"], epoch["test_loss"]) for epoch in record_of(model, out)["epochs"]]
        for out in ("runs", "whole")
    ]
    assert histories[0] == histories[1]


def test_assigned_tensors_are_averaged_as_those_changed_in_place(benchmark: CommandLine) -> None:
    train(benchmark, "in_place", "assigned", arguments=("-r", "sgd_onecycle"))
    in_place, assigned = (record_of(model)["epochs"] for model in ("in_place", "assigned"))
    for left, right in zip(in_place, assigned, strict=True):
        assert left["test_loss"] == pytest.approx(right["test_loss"], rel=1e-5)


def test_show_builds_for_other_images_and_classes(benchmark: CommandLine) -> None:
    content = shown(benchmark, "lazy", "--classes", "7")
    assert content["layers"][-1]["output_shape"] == [7]
    text = benchmark("show", "separable_cnn", "--image", "1x64x48", "--classes", "3").out
    assert text.startswith("separable_cnn: images of 1 x 64 x 48, 3 classes\n")


@pytest.mark.parametrize(
    "image", ["", "3x32", "3x32x32x1", "0x8x8", "3x-1x8", "3x99999999x8", "axbxc"]
)
def test_a_shape_that_is_none_is_refused(benchmark: CommandLine, image: str) -> None:
    error = only_error(benchmark("show", "separable_cnn", "--image", image))
    assert error.endswith("should be channels x height x width, such as 3x224x224")


def test_a_cost_that_cannot_be_counted_is_a_line_and_no_figure(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no rule for this")

    for function in ("count_macs", "layer_table"):
        monkeypatch.setattr(f"benchmark.trial.model.{function}", fail)
    result = benchmark("show", "separable_cnn")
    assert result.code == 0
    assert "Multiply-accumulates:             -" in result.out
    assert "its multiply-accumulates cannot be counted: RuntimeError: no rule" in result.err
    assert "its layers cannot be listed: RuntimeError: no rule" in result.err
    assert train(benchmark, "linear").code == 0
    assert record_of("linear")["macs"] is None


def test_a_lower_bound_is_marked(benchmark: CommandLine) -> None:
    Path("spectral.py").write_text(
        "import torch\nfrom torch import nn\nfrom benchmark import ModelEntry, hookimpl\n"
        "class Spectral(nn.Module):\n"
        "    def __init__(self, n):\n"
        "        super().__init__()\n"
        "        self.head = nn.Linear(192, n)\n"
        "    def forward(self, x):\n"
        "        return self.head(torch.fft.fft(x.float()).real.flatten(1))\n"
        "@hookimpl\n"
        "def benchmark_models():\n"
        "    yield ModelEntry('spectral', lambda s, n: Spectral(n))\n"
    )
    result = benchmark("run", "sound.yaml", "-p", "spectral.py", "-m", "spectral")
    assert result.code == 0, result.err
    assert record_of("spectral")["macs_is_lower_bound"] is True
    assert "≥ 0.00" in result.out
    assert "lower bound: there is no formula for aten::_fft_r2c" in result.err
    (row,) = json.loads(
        benchmark("table", *map(str, Path("runs").iterdir()), "--format", "json").out
    )
    assert row["macs_is_lower_bound"] is True
    assert isinstance(row["macs"], int)


def test_a_test_set_of_one_image_is_no_batch_of_one(benchmark: CommandLine) -> None:
    result = train(
        benchmark,
        "needs_two",
        arguments=("--set", "dataset.test_images=20", "--set", "test_images=1"),
    )
    assert result.code == 0, result.err


def test_modules_that_only_look_like_layers_do_no_harm(benchmark: CommandLine) -> None:
    class Holder(nn.Module):
        """Holds what is no part of a model: itself, its class, a lock of a kind."""

        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(192, 10)
            self.__dict__["me"] = self
            self.kind = type(self)
            self.cycle: list[Any] = [self]
            self.cycle.append(self.cycle)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.dense(image.flatten(1))

    assert count_macs(Holder(), (3, 8, 8)).macs == 1920
