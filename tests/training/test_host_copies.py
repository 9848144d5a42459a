"""Copies of a training's state: equal when they are taken, and not changed by what comes after."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor, nn, optim
from torch.nn import functional
from torch.utils._pytree import tree_leaves

from benchmark import Optimization
from benchmark.training.host_copies import HostCopies
from benchmark.training.state import state_of
from tests.support.made_training import make_training, random_images

TYPES = (torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.uint16, torch.bool)


def adam_with_average(model: nn.Module) -> Optimization:
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return Optimization(optimizer, [1.0] * 1000, functional.cross_entropy, ema_decay=0.9)


def memory(content: Any) -> list[int]:
    return [leaf.data_ptr() for leaf in tree_leaves(content) if isinstance(leaf, Tensor)]


def stored(content: Any) -> list[Any]:
    """All that lies in plain data, as numbers that nothing changes any more."""
    return [
        leaf.tolist() if isinstance(leaf, Tensor) else leaf
        for leaf in tree_leaves(content, is_leaf=lambda value: value is None)
    ]


def test_steps_after_a_copy_do_not_change_it_and_the_next_takes_its_place() -> None:
    training = make_training(adam_with_average, images=random_images(64), batch_size=16)
    training.begin_epoch(0, 1)
    training.take(1)
    copies = HostCopies()
    state = state_of(training)
    copy = copies.take(state)
    before = stored(state)
    assert stored(copy) == before
    assert not {*memory(copy)} & {*memory(state)}
    training.take(1)
    assert stored(copy) == before
    assert stored(state_of(training)) != before

    again = copies.take(state_of(training))
    assert stored(again) == stored(state_of(training))
    assert memory(again) == memory(copy)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=3)
    # Made where it is used: a tensor shown by a strategy would be the same in each example.
    | st.tuples(st.just("tensor"), st.sampled_from(TYPES), st.integers(0, 3)),
    lambda items: (
        st.lists(items, max_size=3)
        | st.lists(items, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(), items, max_size=3)
        | st.dictionaries(st.text(max_size=3), items, max_size=3).map(OrderedDict)
    ),
    max_leaves=12,
)


def with_tensors(value: Any) -> Any:
    match value:
        case ("tensor", torch.dtype() as dtype, int(length)):
            return torch.arange(length).to(dtype)
        case dict():
            return type(value)((key, with_tensors(item)) for key, item in value.items())
        case list() | tuple():
            return type(value)(map(with_tensors, value))
        case _:
            return value


@given(first=plain, second=plain)
def test_a_copy_has_the_form_and_the_values_of_what_it_is_of(first: Any, second: Any) -> None:
    copies = HostCopies()
    # Of the second only some tensors may fit into what the first has left.
    for content in map(with_tensors, (first, second)):
        copy = copies.take(content)
        assert repr(copy) == repr(content)
        assert [*map(type, tree_leaves(copy))] == [*map(type, tree_leaves(content))]


def test_a_list_that_grows_after_a_copy_does_not_grow_in_it() -> None:
    content = {"warnings": ["first"]}
    copy = HostCopies().take(content)
    content["warnings"].append("second")
    assert copy == {"warnings": ["first"]}


TENSORS: dict[str, Callable[[], Tensor]] = {
    "channels last": lambda: torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last),
    "expanded": lambda: torch.rand(1, 3).expand(2, 3),
    "a view": lambda: torch.rand(6)[::2],
    "of no dimension": lambda: torch.tensor(3.0),
    "empty": lambda: torch.zeros(0, 3),
    "sparse": lambda: torch.eye(3).to_sparse(),
    "with a gradient": lambda: torch.rand(2, requires_grad=True),
    "no leaf": lambda: torch.rand(2, requires_grad=True) * 2,
    "a parameter": lambda: nn.Parameter(torch.rand(2)),
    "a frozen parameter": lambda: nn.Parameter(torch.rand(2), requires_grad=False),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_a_tensor_is_copied_whatever_its_kind(kind: str) -> None:
    copies = HostCopies()
    for tensor in (TENSORS[kind](), TENSORS[kind]()):
        (copy,) = copies.take([tensor])
        assert type(copy) is type(tensor)
        assert (copy.requires_grad, copy.layout) == (tensor.requires_grad, tensor.layout)
        assert torch.equal(copy.to_dense(), tensor.to_dense())
    if kind == "channels last":
        assert copy.stride() == tensor.stride()


def test_a_tensor_in_two_places_is_one_in_the_copy_too() -> None:
    tensor, other = torch.zeros(2), torch.zeros(2)
    first, second, third = HostCopies().take([tensor, tensor, other])
    assert first is second
    assert first.data_ptr() != third.data_ptr()
