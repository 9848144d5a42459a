"""A plugin of sound models that are unusual in one way each, for images of 3 x 8 x 8."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark import ModelEntry, Options, Tracker, TrackerEntry, hookimpl
from benchmark.records import EpochRecord
from benchmark.specs import TrialSpec

INPUTS = 3 * 8 * 8
# After which epoch a trial is interrupted, once.
INTERRUPTED_AFTER = "INTERRUPTED_AFTER"


class Linear(nn.Module):
    """What the others are made from."""

    def __init__(self, num_classes: int, inputs: int = INPUTS) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, num_classes)

    def forward(self, image: Tensor) -> Any:
        return self.dense(image.flatten(1))


class ViewAfterConvolution(Linear):
    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, 4 * 6 * 6)
        self.convolution = nn.Conv2d(3, 4, 3)

    def forward(self, image: Tensor) -> Tensor:
        features = self.convolution(image)
        return self.dense(features.view(len(features), -1))


class FiveDimensions(Linear):
    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, 2 * 2 * 6 * 6)
        self.convolution = nn.Conv3d(1, 2, (2, 3, 3))

    def forward(self, image: Tensor) -> Tensor:
        return self.dense(self.convolution(image.unsqueeze(1)).flatten(1))


class SetByTheFirstBatch(Linear):
    is_set: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.scale = nn.Parameter(torch.ones(num_classes))
        self.register_buffer("is_set", torch.zeros((), dtype=torch.bool))

    def forward(self, image: Tensor) -> Tensor:
        logits = super().forward(image)
        if not self.is_set:
            with torch.no_grad():
                self.scale.copy_(1 / logits.std(0))
                self.is_set.fill_(True)
        return logits * self.scale


class MadeInTheFirstForward(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.dense: nn.Module | None = None

    def forward(self, image: Tensor) -> Tensor:
        if self.dense is None:
            self.dense = nn.Linear(image[0].numel(), self.num_classes)
        return self.dense(image.flatten(1))


class TrainReturnsNothing(Linear):
    def train(self, mode: bool = True) -> None:  # type: ignore[override]
        super().train(mode)


class Keeps(Linear):
    """Keeps its batches' logits, by a hook that encloses a list."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        kept: list[Tensor] = []
        self.kept = kept
        self.register_forward_hook(lambda _model, _inputs, logits: kept.append(logits))


class NeedsTwo(Linear):
    def forward(self, image: Tensor) -> Tensor:
        if len(image) == 1:
            raise ValueError("one image")
        return super().forward(image)


class Complex(nn.Module):
    phase: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(INPUTS, num_classes, dtype=torch.complex64) / 10)
        self.register_buffer("phase", torch.ones(num_classes, dtype=torch.complex64))

    def forward(self, image: Tensor) -> Tensor:
        return ((image.flatten(1).to(torch.complex64) @ self.weight) * self.phase).abs()


class Remembers(Linear):
    """Has noise that depends on what it remembers; ``noise`` returns a factor for each step."""

    def forward(self, image: Tensor) -> Tensor:
        if self.training:
            image = image * self.noise()
        return super().forward(image)

    def noise(self) -> float:
        raise NotImplementedError


class ExtraState(Remembers):
    steps = 0

    def noise(self) -> float:
        self.steps += 1
        return 1 + 1 / self.steps

    def get_extra_state(self) -> dict[str, int]:
        return {"steps": self.steps}

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.steps = state["steps"]


class TorchGenerator(Remembers):
    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.draws = {"own": torch.Generator().manual_seed(1)}

    def noise(self) -> float:
        return float(torch.rand((), generator=self.draws["own"]))


class NumpyGenerator(Remembers):
    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.draws: list[Any] = [numpy.random.default_rng(1), numpy.random.RandomState(1)]

    def noise(self) -> float:
        return float(self.draws[0].random() + self.draws[1].random())


class PythonGenerator(Remembers):
    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.draw = random.Random(1).random

    def noise(self) -> float:
        return self.draw()


class Counter(Remembers):
    """Remembers in a way that no checkpoint keeps."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.steps = 0
        self.calls = itertools.count()

    def noise(self) -> float:
        next(self.calls)
        self.steps += 1
        return 1 + 1 / self.steps


class OpaqueExtraState(Linear):
    def get_extra_state(self) -> object:
        return object()

    def set_extra_state(self, state: object) -> None:
        del state


class Assigns(Linear):
    """Keeps its weights' rows at length one, and a mean; ``in_place`` or by assignment."""

    mean: Tensor

    def __init__(self, num_classes: int, in_place: bool) -> None:
        super().__init__(num_classes)
        self.register_buffer("mean", torch.zeros(INPUTS))
        self.in_place = in_place

    def forward(self, image: Tensor) -> Tensor:
        if self.training:
            unit = functional.normalize(self.dense.weight.data, dim=1)
            mean = 0.9 * self.mean + 0.1 * image.detach().flatten(1).mean(0)
            if self.in_place:
                self.dense.weight.data.copy_(unit)
                self.mean.copy_(mean)
            else:
                self.dense.weight.data = unit
                self.mean = mean
        return self.dense(image.flatten(1) - self.mean)


class ChangesItsProcess(Linear):
    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.use_deterministic_algorithms(True)
        torch.set_grad_enabled(False)
        torch.manual_seed(3)


class GrowsLater(Linear):
    """Has a new head from its second epoch on."""

    steps: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, image: Tensor) -> Tensor:
        if self.training:
            self.steps += 1
            if self.steps == 6:
                self.dense = nn.Linear(INPUTS, self.dense.out_features)
        return super().forward(image)


class HasUnusedLayer(Linear):
    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.unused = nn.Linear(2, 2)


class SkipsALayer(Linear):
    """Skips a layer half of the time, as stochastic depth does."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.skipped = nn.Linear(INPUTS, INPUTS)

    def forward(self, image: Tensor) -> Tensor:
        if not self.training or torch.rand(()) < 0.5:
            image = self.skipped(image.flatten(1))
        return super().forward(image)


class InTraining(Linear):
    """Gives something else in training."""

    def __init__(self, num_classes: int, change: Callable[[Tensor], Any]) -> None:
        super().__init__(num_classes)
        self.change = change

    def forward(self, image: Tensor) -> Any:
        logits = super().forward(image)
        return self.change(logits) if self.training else logits


MODELS: dict[str, Callable[[int], nn.Module]] = {
    "linear": Linear,
    "view": ViewAfterConvolution,
    "five_dimensions": FiveDimensions,
    "first_batch": SetByTheFirstBatch,
    "lazy": lambda n: nn.Sequential(
        nn.Flatten(), nn.LazyLinear(4), nn.LazyBatchNorm1d(), nn.Linear(4, n)
    ),
    "first_forward": MadeInTheFirstForward,
    "train_returns_nothing": TrainReturnsNothing,
    "keeps": Keeps,
    "needs_two": NeedsTwo,
    "complex": Complex,
    "extra_state": ExtraState,
    "torch_generator": TorchGenerator,
    "numpy_generator": NumpyGenerator,
    "python_generator": PythonGenerator,
    "counter": Counter,
    "opaque": OpaqueExtraState,
    "in_place": lambda n: Assigns(n, in_place=True),
    "assigned": lambda n: Assigns(n, in_place=False),
    "process": ChangesItsProcess,
    "grows": GrowsLater,
    "unused": HasUnusedLayer,
    "skips": SkipsALayer,
    "scripted": lambda n: torch.jit.script(Linear(n)),
    "gives_pair": lambda n: InTraining(n, lambda logits: (logits, logits)),
    "gives_nothing": lambda n: InTraining(n, lambda _: None),
    "gives_array": lambda n: InTraining(n, lambda logits: logits.detach().float().numpy()),
    "gives_narrow": lambda n: InTraining(n, lambda logits: logits[:, :5]),
    "gives_constant": lambda n: InTraining(n, lambda logits: logits.detach()),
    "gives_nan": lambda n: InTraining(n, lambda logits: logits * float("nan")),
    "gives_integers": lambda n: InTraining(n, lambda logits: logits.long()),
}


class Interrupt(Tracker):
    """Interrupts the training once, and notes where it resumes."""

    def __init__(self, options: Options) -> None:
        pass

    def on_trial_start(self, trial: TrialSpec, model: nn.Module, epochs_done: int) -> None:
        self.folder = trial.directory
        if epochs_done:
            (self.folder / "resumed_after.txt").write_text(str(epochs_done))

    def on_epoch_end(self, epoch: EpochRecord) -> None:
        interrupted = self.folder / "interrupted.txt"
        if os.environ.get(INTERRUPTED_AFTER) == str(epoch.number) and not interrupted.exists():
            interrupted.touch()
            raise KeyboardInterrupt


@hookimpl
def benchmark_models() -> Iterator[ModelEntry]:
    for name, model in MODELS.items():
        yield ModelEntry(name, builder(model))


def builder(
    model: Callable[[int], nn.Module],
) -> Callable[[tuple[int, int, int], int], nn.Module]:
    return lambda _shape, num_classes: model(num_classes)


@hookimpl
def benchmark_trackers() -> Iterator[TrackerEntry]:
    yield TrackerEntry("interrupt", Interrupt)
