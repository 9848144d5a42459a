"""Counts multiply-accumulates while a model computes, operator by operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from benchmark.complexity.mac_formulas import Formula, convolution, formula_of, may_contract


class MacCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While this is entered, ``macs`` grows with every operator that has a formula.

    Of these, ``macs_apart`` are of operators that got nothing computed from ``images``, and so may
    take the same for any number of images. ``uncounted`` are the names of operators that may sum
    products up, and have no formula.
    """

    # Else one inside, such as flex_attention, is refused.
    supports_higher_order_operators = True

    def __init__(self, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = self.macs_apart = 0
        self._from_images = WeakTensorKeyDictionary({images: True})
        self.uncounted: set[str] = set()
        # Set while something is counted as a whole.
        self.is_paused = False

    def __torch_dispatch__(
        self,
        operator: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Compute what was asked for, and count it."""
        kwargs = kwargs or {}
        namespace, name = _name(operator)
        formula = formula_of(namespace, name)
        if formula is None and isinstance(operator, torch._ops.OpOverload):
            # In inference mode, operators come here that are made of others.
            with self:
                out = operator.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        out = operator(*args, **kwargs)
        if not self.is_paused:
            self._count(operator, formula, args, kwargs, out)
        if self._comes_from_images(args, kwargs):
            # Those that are written to are among what comes out, but for a few.
            for tensor in _tensors(out):
                self._from_images[tensor] = True
        return out

    def add(self, macs: int, *operands: Any) -> None:
        """Count what a function of these takes."""
        self.macs += macs
        if not self._comes_from_images(operands):
            self.macs_apart += macs

    def _comes_from_images(self, *operands: Any) -> bool:
        return any(tensor in self._from_images for tensor in _tensors(operands))

    def _count(
        self,
        operator: Any,
        formula: Formula | None,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        out: Any,
    ) -> None:
        namespace, name = _name(operator)
        if formula is None:
            if may_contract(namespace, name):
                self.uncounted.add(f"{namespace}::{name}")
            return
        try:
            self.add(int(formula(*args, **kwargs, out=out)), args, kwargs)
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
            # Nested tensors, say, whose sizes are no numbers.
            self.uncounted.add(f"{namespace}::{name}")


class WholeFunctions(TorchFunctionMode):
    """While this is entered, has ``counter`` count some functions as wholes.

    PyTorch computes a complex convolution as three real ones; and a scalar product of rows as
    elementwise products and sums, which are not counted.
    """

    def __init__(self, counter: MacCounter) -> None:
        super().__init__()
        self._counter = counter

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call ``function``, and count it if it is one of these."""
        kwargs = kwargs or {}
        if len(args) < 2 or not _is_whole(function, args):
            return function(*args, **kwargs)
        self._counter.is_paused = True
        try:
            out = function(*args, **kwargs)
        finally:
            self._counter.is_paused = False
        self._counter.add(_macs(function, args[0], args[1], out), args)
        return out


def _is_whole(function: Callable[..., Any], args: Sequence[Any]) -> bool:
    if function in _CONVOLUTIONS:
        return any(isinstance(arg, Tensor) and arg.is_complex() for arg in args[:2])
    return function in _SCALAR_PRODUCTS


def _macs(function: Callable[..., Any], left: Tensor, right: Tensor, out: Tensor) -> int:
    if function in _CONVOLUTIONS:
        return convolution(left, right, out, transposed=function in _TRANSPOSED_CONVOLUTIONS)
    shape: torch.Size = torch.broadcast_shapes(left.shape, right.shape)  # type: ignore[no-untyped-call]
    return shape.numel()


_TRANSPOSED_CONVOLUTIONS = {torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d}
_CONVOLUTIONS = {torch.conv1d, torch.conv2d, torch.conv3d, *_TRANSPOSED_CONVOLUTIONS}
_SCALAR_PRODUCTS = {torch.cosine_similarity, torch.pairwise_distance, torch.linalg.vecdot}


def _tensors(values: Any) -> Iterator[Tensor]:
    return (value for value in tree_leaves(values) if isinstance(value, Tensor))


def _name(operator: Any) -> tuple[str, str]:
    """An operator's namespace and name, without its overload's."""
    if isinstance(operator, torch._ops.OpOverload):
        namespace, _, name = operator._schema.name.partition("::")
        return namespace, name
    return "higher_order", str(operator.name())
