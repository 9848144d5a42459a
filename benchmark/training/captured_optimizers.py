"""Optimisers whose steps a graph takes: what they read lies on the device, and stays there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class CapturedOptimizers:
    """The optimisers of a training that is to be captured."""

    def __init__(self, optimizers: Sequence[Optimizer], device: torch.device) -> None:
        self._optimizers = optimizers
        self._device = device
        # What a parameter's state begins with, where that is not zeros.
        self._first: dict[Tensor, Mapping[str, Tensor]] = {}

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The parameter groups of all of them."""
        return [group for optimizer in self._optimizers for group in optimizer.param_groups]

    def prepare(self) -> None:
        """Have them keep all that a step reads on the device, the learning rate among it."""
        for group in self.groups:
            group["lr"] = torch.zeros((), device=self._device)
            if "capturable" in group:
                group["capturable"] = True
            # It reads the rate on the device, which other forms of some of them do not.
            if group.get("fused", False) is None and can_be_fused(group):
                group["fused"], group["foreach"] = True, False
        for optimizer in self._optimizers:
            for parameter, state in optimizer.state.items():
                for name, value in state.items():
                    if isinstance(value, Tensor):
                        state[name] = value.to(parameter.device)

    @contextmanager
    def first_values_noted(self) -> Iterator[None]:
        """Take notice of what the state begins with that a first step makes inside.

        Not all of it begins with zeros: NAdam's product of momenta begins with 1. To be entered
        twice, for first steps by different gradients: what depends on them, as SGD's momentum does,
        was nothing before the first step.
        """
        begun: list[tuple[dict[Tensor, Any], Tensor, _NotedState]] = []
        for optimizer in self._optimizers:
            for parameter in _parameters(optimizer):
                if not optimizer.state.get(parameter):
                    state = _NotedState()
                    optimizer.state[parameter] = state
                    begun.append((optimizer.state, parameter, state))
        try:
            yield
        finally:
            for states, parameter, state in begun:
                earlier = self._first.get(parameter, state.first)
                self._first[parameter] = _what_is_alike(earlier, state.first)
                # As plain as optimisers make it, and as checkpoints want it.
                states[parameter] = dict(state)
                if not state:
                    del states[parameter]

    @torch.no_grad()
    def rewind(self, saved: Sequence[Mapping[str, Any]]) -> None:
        """Put the state back in place: what was ``saved``, or what it began with."""
        for optimizer, before in zip(self._optimizers, saved, strict=True):
            for number, parameter in enumerate(_parameters(optimizer)):
                earlier = before["state"].get(number, {})
                first = self._first.get(parameter, {})
                for name, value in optimizer.state.get(parameter, {}).items():
                    if isinstance(value, Tensor):
                        wanted = earlier.get(name, first.get(name))
                        value.zero_() if wanted is None else value.copy_(wanted)

    def reason_against(self) -> str | None:
        """Why their first step is not as all others are; None where it is."""
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                has_begun = any(optimizer.state.get(parameter) for parameter in group["params"])
                if group.get("dampening") and not has_begun:
                    return (
                        f"{type(optimizer).__name__} leaves its dampening out of the first step, "
                        "and a graph takes all steps alike"
                    )
        return None

    def host_numbers(self) -> dict[tuple[int, str], float]:
        """The numbers that they keep for groups and parameters, but for learning rates."""
        kept = [*self.groups]
        for optimizer in self._optimizers:
            kept += optimizer.state.values()
        return {
            (id(values), name): value
            for values in kept
            for name, value in values.items()
            if isinstance(value, int | float) and name != "lr"
        }


class _NotedState(dict[str, Any]):
    """A parameter's state, and what each tensor of it was when it was put there."""

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[str, Tensor] = {}

    def __setitem__(self, name: str, value: Any) -> None:
        """Put it there, and note it if it is a tensor that is new."""
        if isinstance(value, Tensor) and name not in self:
            self.first[name] = value.detach().clone()
        super().__setitem__(name, value)


def _what_is_alike(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: value
        for name, value in left.items()
        if name in right and torch.equal(value, right[name])
    }


def can_be_fused(group: Mapping[str, Any]) -> bool:
    """Whether PyTorch's fused forms take the parameters of a group."""
    return not group.get("differentiable") and all(
        parameter.is_floating_point() for parameter in group["params"]
    )


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    """In the order of the numbers that a state_dict gives them."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
