"""What a trial's checkpoint holds, and whether it makes sense.

Its checksum says that it was not altered by mistake; whoever wrote it may have been another
program. What makes no sense is found before a training goes on from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmark.kept_files import KeptFile
from benchmark.optimization import Optimization
from benchmark.records import (
    EpochRecord,
    MetricFigure,
)
from benchmark.soundness import fault_in_epochs
from benchmark.training.checkpoint import NONSENSE_FAULTS, DamagedError, leaves
from benchmark.training.evaluation import Evaluation

# What PyTorch's optimisers keep of each parameter in the parameter's shape.
_MOMENTS = frozenset(
    {"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "square_avg", "grad_avg"}
    | {"acc_delta", "sum", "exp_inf", "prev", "step_size", "ax"}
)
# In which form PyTorch's optimisers compute: for a graph in another one than for eager steps.
_FORMS = frozenset({"fused", "foreach", "capturable"})


@dataclass(frozen=True)
class SavedTrial:
    """A trial as a checkpoint has it; ``training`` is the state of its training step."""

    training: Mapping[str, Any]
    epochs: list[EpochRecord]
    evaluation: Evaluation
    weights: KeptFile | None
    seconds: Mapping[str, float]
    engine: str
    engine_reason: str | None
    resumed: int
    warnings: list[str]


def read_content(content: Any, optimization: Optimization, steps_per_epoch: int) -> SavedTrial:
    """Read what ``torch.load`` gave; raises DamagedError for what makes no sense."""
    try:
        saved = SavedTrial(
            training=content["training"],
            epochs=[EpochRecord(**epoch) for epoch in content["epochs"]],
            evaluation=_evaluation(content["evaluation"]),
            weights=None if content["weights"] is None else KeptFile(**content["weights"]),
            seconds=dict(content["seconds"]),
            engine=content["engine"],
            engine_reason=content["engine_reason"],
            resumed=content["resumed"],
            warnings=list(content["warnings"]),
        )
        fault = next(_faults(saved, optimization, steps_per_epoch), None)
    except (*NONSENSE_FAULTS, ValueError) as error:
        raise DamagedError(f"it makes no sense: {type(error).__name__}") from error
    if fault is not None:
        raise DamagedError(f"it makes no sense: {fault}")
    return saved


def _evaluation(content: Any) -> Evaluation:
    return Evaluation(
        loss=content["loss"],
        predictions=content["predictions"].numpy(),
        correct=content["correct"].numpy(),
        metrics={name: MetricFigure(**figure) for name, figure in content["metrics"].items()},
    )


def _faults(saved: SavedTrial, optimization: Optimization, steps_per_epoch: int) -> Iterator[str]:
    epochs, evaluation = saved.epochs, saved.evaluation
    if fault := fault_in_epochs(epochs):
        yield fault
    steps = saved.training["steps_taken"]
    if type(steps) is not int or not 0 < steps <= len(optimization.learning_rate_factors):
        yield "steps_taken is out of range"
    if steps != len(epochs) * steps_per_epoch:
        yield f"steps_taken does not match its {len(epochs)} epochs"
    if not _is_of(evaluation, epochs[-1]):
        yield "its evaluation is not that of its last epoch"
    if not all(type(spent) is float and 0 <= spent < math.inf for spent in saved.seconds.values()):
        yield "its seconds are negative, or not finite"
    texts = [saved.engine, *saved.warnings, *saved.seconds]
    texts += [] if saved.engine_reason is None else [saved.engine_reason]
    if not all(type(text) is str for text in texts):
        yield "one of its texts is something else"
    if type(saved.resumed) is not int or saved.resumed < 0:
        yield "resumed is not a count"


def _is_of(evaluation: Evaluation, epoch: EpochRecord) -> bool:
    correct, predictions = evaluation.correct, evaluation.predictions
    if correct.dtype != bool or correct.ndim != 1 or predictions.shape != correct.shape:
        return False
    return predictions.dtype.kind == "u" and (evaluation.loss, evaluation.accuracy) in (
        (epoch.test_loss, epoch.test_accuracy),
        (epoch.validation_loss, epoch.validation_accuracy),
    )


def require_same_shapes(saved: Mapping[str, Any], present: Mapping[str, Any]) -> None:
    """Raise DamagedError where a tensor of a training's saved state has not the present shape.

    What an optimiser has only after its first step is looked at by ``require_sound_optimizer``.
    """
    shapes = dict(_shapes(present))
    for location, shape in _shapes(saved):
        if shapes.get(location, shape) != shape:
            raise DamagedError(f"it makes no sense: {location} has the shape {tuple(shape)}")


def _shapes(state: Mapping[str, Any]) -> Iterator[tuple[str, torch.Size]]:
    for location, value in leaves(state, ""):
        if isinstance(value, torch.Tensor):
            yield location, value.shape


def require_sound_optimizer(
    optimizer: torch.optim.Optimizer, present: Sequence[Mapping[str, Any]]
) -> None:
    """Raise DamagedError where one of PyTorch's optimisers could not take its next step.

    ``present`` are its groups as the recipe has made them.
    """
    if not type(optimizer).__module__.startswith("torch.optim"):
        # Others may keep what they like.
        return
    for group, made in zip(optimizer.param_groups, present, strict=True):
        for name in group.keys() ^ made.keys():
            raise DamagedError(f"it makes no sense: the optimiser's {name} is missing, or new")
        for name in _FORMS & group.keys():
            if not isinstance(group[name], bool | None):
                raise DamagedError(f"it makes no sense: the optimiser's {name} is {group[name]!a}")
        for name in made.keys() - {"params", "lr", *_FORMS}:
            if _kind(group[name]) != _kind(made[name]):
                raise DamagedError(f"it makes no sense: the optimiser's {name} is {group[name]!a}")
    for parameter, kept in optimizer.state.items():
        for name, value in kept.items():
            if name in _MOMENTS and value is not None and value.shape != parameter.shape:
                raise DamagedError(f"it makes no sense: the optimiser's {name} has another shape")


def _kind(value: Any) -> Any:
    """What a setting is, whatever its value."""
    if isinstance(value, list | tuple):
        return [_kind(item) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "a number" if math.isfinite(value) else "no number"
    return type(value)
