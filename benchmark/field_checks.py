"""What the fields of an Optimization and its parts must be: else a ValueError names the field."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import torch

# What a training does with an optimiser. Some that wrap another are of no class of PyTorch's.
_OF_AN_OPTIMIZER = ("param_groups", "state", "step", "zero_grad", "state_dict", "load_state_dict")


def require_optimizers(optimizers: Sequence[object], *, has_update: bool) -> None:
    """Refuse what no step could be taken with, or whose learning rates could not be set."""
    if not optimizers:
        raise ValueError("optimizer is a torch.optim.Optimizer or several, and there is none")
    for optimizer in optimizers:
        if not all(hasattr(optimizer, name) for name in _OF_AN_OPTIMIZER):
            raise ValueError(
                f"optimizer is a torch.optim.Optimizer or several, not {shown(optimizer)}"
                f"{_instead_of_a_scheduler(optimizer)}"
            )
        kind = type(optimizer).__name__
        if not has_update and _needs_closure(optimizer):
            raise ValueError(f"optimizer {kind} needs a closure: give update=optimizer.step")
        groups: Sequence[Mapping[str, Any]] = getattr(optimizer, "param_groups")  # noqa: B009
        if not all("lr" in group for group in groups):
            raise ValueError(
                f"optimizer {kind} has parameter groups without a learning rate: give each an "
                "'lr', which learning_rate_factors are to multiply"
            )
        if any("initial_lr" in group for group in groups):
            raise ValueError(
                f"a learning rate scheduler is attached to optimizer {kind}, and nothing would "
                "call it: leave it out, and give its factors as learning_rate_factors"
            )


def _needs_closure(optimizer: Any) -> bool:
    # The class's: a scheduler, for one, puts another function in the place of the object's.
    step = getattr(type(optimizer), "step", None)
    if step is None:
        return False
    _, *parameters = inspect.signature(step).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(p.default is p.empty and p.kind in positional for p in parameters)


def require_factors(factors: Any) -> None:
    """Refuse what is no sequence of learning rate factors."""
    is_sequence = hasattr(factors, "__len__") and hasattr(factors, "__getitem__")
    if not is_sequence or isinstance(factors, Mapping):
        raise ValueError(
            f"learning_rate_factors is a sequence of numbers, one a step, not {shown(factors)}"
            f"{_instead_of_a_scheduler(factors)}"
        )
    for step in range(len(factors)):
        if not is_factor(factors[step]):
            raise ValueError(
                f"learning_rate_factors[{step}] is {shown(factors[step])}: a factor is a finite "
                "number that is not negative"
            )


def _instead_of_a_scheduler(given: object) -> str:
    """What a recipe says in a scheduler's place, if ``given`` is one."""
    schedulers = (torch.optim.lr_scheduler.LRScheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
    if not isinstance(given, schedulers):
        return ""
    return (
        "; schedules are given as numbers: learning_rate_factors, one a step, and "
        "factor_after_epoch for what follows from an epoch's figures"
    )


def require_function(name: str, given: object) -> None:
    """Refuse what cannot be called."""
    if not callable(given):
        raise ValueError(f"{name} is a function, not {shown(given)}")


def require_count(name: str, given: object, of: str, least: int = 0) -> None:
    """Refuse what is no whole number, or one below ``least``."""
    if isinstance(given, bool) or not isinstance(given, Integral) or given < least:
        more = f", {least} or more" if least else ""
        raise ValueError(f"{name} is a number of {of}{more}, not {shown(given)}")


def require_share(name: str, given: object) -> None:
    """Refuse what is no number between 0 and 1."""
    if not is_factor(given) or given > 1:  # type: ignore[operator]
        raise ValueError(f"{name} is a number between 0 and 1, not {shown(given)}")


def is_factor(given: object) -> bool:
    """Whether something is a finite number that is not negative."""
    return is_finite(given) and given >= 0  # type: ignore[operator]


def is_finite(given: object) -> bool:
    """Whether something is a finite number."""
    if isinstance(given, torch.Tensor) and given.numel() == 1:
        given = given.item()
    return _is_number(given) and math.isfinite(given)  # type: ignore[arg-type]


def shown(given: object) -> str:
    """A value, or what it is where it is long."""
    if _is_number(given):
        return str(given)
    is_short = given is None or isinstance(given, bool | str)
    return repr(given) if is_short else f"a {type(given).__name__}"


def _is_number(given: object) -> bool:
    # To Python a bool is a number, too.
    return isinstance(given, Real) and str(given) not in ("True", "False")
