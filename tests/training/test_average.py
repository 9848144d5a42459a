"""The average of a model's weights, whatever types of numbers it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.training.average import WeightAverage
from benchmark.training.slots import lent, tensor_slots

TYPES = (torch.float32, torch.bfloat16, torch.float64, torch.complex64, torch.float32)


class OfManyTypes(nn.Module):
    """Parameters and buffers of several types, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        for number, dtype in enumerate(TYPES):
            self.register_parameter(f"weight{number}", nn.Parameter(torch.ones(3, dtype=dtype)))
            self.register_buffer(f"mean{number}", torch.zeros(2, dtype=dtype))
        self.register_buffer("count", torch.zeros(1, dtype=torch.int64))

    def move(self, step: int) -> None:
        with torch.no_grad():
            for tensor in (*self.parameters(), *self.buffers()):
                tensor.add_(step)


@pytest.fixture(autouse=True)
def _one_type_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have operations on lists refuse tensors of several types, which on CUDA go wrong."""

    def refusing(operation: Callable[..., Any]) -> Callable[..., Any]:
        def operate(targets: list[Tensor], *others: Any, **options: Any) -> Any:
            lists = [targets, *(given for given in others if isinstance(given, list))]
            assert len({tensor.dtype for tensors in lists for tensor in tensors}) == 1
            return operation(targets, *others, **options)

        return operate

    for name in ("_foreach_copy_", "_foreach_lerp_"):
        monkeypatch.setattr(torch, name, refusing(getattr(torch, name)))


def test_tensors_of_several_types_are_each_averaged_in_their_own() -> None:
    model = OfManyTypes()
    average = WeightAverage(model, decay=0.5)
    wanted = {
        name: tensor.detach().clone()
        for name, tensor in (*model.named_parameters(), *model.named_buffers())
    }
    for step in (1, 2, 4):
        model.move(step)
        average.update()
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            wanted[name] = (wanted[name] + tensor.detach()) / 2
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with average.in_the_model():
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, own[name] if name == "count" else wanted[name]), name
    assert all(torch.equal(tensor, own[name]) for name, tensor in model.state_dict().items())


def test_a_tensor_that_is_of_another_type_later_is_averaged_from_then_on() -> None:
    model = OfManyTypes()
    average = WeightAverage(model, decay=0.5)
    model.move(1)
    average.update()
    model.mean0 = model.mean0.half()
    for _ in range(2):
        model.move(1)
        average.update()
    assert average.values["mean0"].dtype == torch.float16
    # It began when it was 2.
    assert average.values["mean0"].tolist() == [2.5, 2.5]


def test_what_is_lent_is_given_back_whatever_its_types_are() -> None:
    model = OfManyTypes()
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with lent(tensor_slots(model).values()):
        model.move(3)
    assert all(torch.equal(tensor, own[name]) for name, tensor in model.state_dict().items())
