"""Multiply-accumulates of PyTorch's operators: every sum of products, from the tensors' sizes.

A term of a sum counts once, whatever is multiplied in it: a weight times an activation, the three
factors of a bilinear form, a coordinate's part of a distance, two complex numbers. Elementwise
products, norms, poolings, interpolations and biases are not counted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Formula = Callable[..., int]

# Words in the names of ATen's operators that sum products up. One with such a name and no formula
# below is reported, so that a new operator of PyTorch's never counts as nothing unnoticed.
_CONTRACTION = re.compile(
    r"(?:^|_)(?:mm|bmm|addmm|baddbmm|addbmm|mv|addmv|dot|vdot|matmul|conv(?!ert)\w*|linear|attention"
    r"|sdpa|mha|lstm|gru|rnn|fft|linalg|cholesky|solve|lu|ormqr|geqrf|trilinear|cdist|pdist"
    r"|euclidean|spsolve|combination|transformer)(?:_|$|\d)"
)
# They only have such words in their names.
_NO_CONTRACTION = re.compile(
    r"upsample_\w*|fft_\w+freq|linalg_(?:vector_norm|cross|diagonal)|_linalg_check_errors"
    r"|linalg__powsum|lu_unpack|_\w+_flatten_weight|_thnn_fused_\w+"
    r"|_transform_bias_rescale_qkv|_cudnn_init_dropout_state|_fused_sdp_choice"
    r"|mkldnn_reorder_\w+"
)
# Libraries whose other operators pool, choose or reorder.
_TRANSPARENT = {"torchvision": re.compile(r"nms|_?(?:ps_)?roi_(?:align|pool)\w*")}
# Namespaces of PyTorch's own, in which a name says what an operator does.
_NATIVE = {"aten", "prim", "prims", "profiler"}


def formula_of(namespace: str, name: str) -> Formula | None:
    """The formula of an operator: called with its arguments and, as ``out``, what it returned."""
    if namespace not in ("aten", "torchvision", "higher_order"):
        return None
    return _FORMULAS.get(name.removesuffix("_"))


def may_contract(namespace: str, name: str) -> bool:
    """Whether an operator without a formula may sum products up.

    An operator of an extension may, whatever its name.
    """
    name = name.removesuffix("_")
    if namespace in _NATIVE:
        return bool(_CONTRACTION.search(name)) and not _NO_CONTRACTION.fullmatch(name)
    transparent = _TRANSPARENT.get(namespace)
    return transparent is None or not transparent.fullmatch(name)


def convolution(image: Tensor, weight: Tensor, out: Tensor, *, transposed: bool = False) -> int:
    """Of a convolution, grouped or not; ``weight`` is of out x in / groups x kernel.

    Of a transposed one, whose weight is of in x out / groups x kernel, the input's elements are
    spread out, padding or not.
    """
    return (image if transposed else out).numel() * math.prod(weight.shape[1:])


def _mm(left: Tensor, right: Tensor, out: Tensor) -> int:
    # Of a sparse matrix, what is stored is multiplied.
    stored = left.numel() if left.layout == torch.strided else left._nnz()
    return stored * right.shape[-1]


def _addmm(start: Tensor, left: Tensor, right: Tensor, *rest: Any, out: Any, **options: Any) -> int:
    del start, rest, options
    return _mm(left, right, out)


def _mv(left: Tensor, right: Tensor, out: Tensor) -> int:
    del right, out
    return left.numel() if left.layout == torch.strided else left._nnz()


def _addmv(start: Tensor, left: Tensor, right: Tensor, out: Tensor, **options: Any) -> int:
    del start, options
    return _mv(left, right, out)


def _dot(left: Tensor, right: Tensor, out: Tensor) -> int:
    del right, out
    return left.numel()


def _scaled_mm(left: Tensor, right: Tensor, *rest: Any, out: Any, **options: Any) -> int:
    del rest, options
    return _mm(left, right, out)


def _linear(values: Tensor, weight: Tensor, *rest: Any, out: Any = None, **options: Any) -> int:
    del rest, out, options
    return values.numel() * weight.shape[0]


def _convolution(
    image: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    *rest: Any,
    out: Tensor,
    **options: Any,
) -> int:
    del bias, stride, padding, dilation, rest, options
    return convolution(image, weight, out, transposed=transposed)


def _conv_tbc(values: Tensor, weight: Tensor, *rest: Any, out: Tensor, **options: Any) -> int:
    del values, rest, options
    # The weight is of kernel x in x out.
    return out.numel() * weight.shape[0] * weight.shape[1]


def _deformable_convolution(
    image: Tensor, weight: Tensor, *rest: Any, out: Tensor, **options: Any
) -> int:
    del rest, options
    return convolution(image, weight, out)


def _attention(
    query: Tensor, key: Tensor, value: Tensor, *rest: Any, out: Any = None, **options: Any
) -> int:
    """Scores and weighted sums; masked ones, too, since they are computed."""
    del rest, out, options
    heads, queries, keys = math.prod(query.shape[:-2]), query.shape[-2], key.shape[-2]
    return int(heads) * queries * keys * (query.shape[-1] + value.shape[-1])


def _trilinear(
    first: Tensor,
    second: Tensor,
    third: Tensor,
    *expanded: Any,
    out: Tensor,
    **options: Any,
) -> int:
    """A sum over products of three: of each combination of their elements, one term."""
    del out, options
    sizes = []
    for tensor, dimensions in zip((first, second, third), expanded, strict=False):
        shape = [*tensor.shape]
        for dimension in sorted(dimensions):
            shape.insert(dimension, 1)
        sizes.append(shape)
    return math.prod(torch.broadcast_shapes(*sizes))  # type: ignore[no-untyped-call]


def _distances(left: Tensor, *rest: Any, out: Tensor, **options: Any) -> int:
    """Between vectors of ``left``'s last size, in whatever norm: a term for each coordinate."""
    del rest, options
    return out.numel() * left.shape[-1]


def _recurrent_layer(values: Tensor, *weights: Any, out: Any = None, **options: Any) -> int:
    """OneDNN's layer, whose four weights come before its other arguments."""
    del out, options
    return _recurrent(values, weights[:4])


def _recurrent_network(
    values: Tensor, weights: Sequence[Tensor], *rest: Any, out: Any = None, **options: Any
) -> int:
    """The whole network of cuDNN or MIOpen."""
    del out, rest, options
    return _recurrent(values, weights)


def _recurrent(values: Tensor, weights: Sequence[Tensor]) -> int:
    """Each token meets each matrix once; ``values`` are tokens x features, in whatever order."""
    tokens = math.prod(values.shape[:-1])
    return tokens * sum(weight.numel() for weight in weights if weight.ndim == 2)


def _embedding_bag(
    weight: Tensor, indices: Tensor, *rest: Any, out: Any = None, **options: Any
) -> int:
    """Of bags whose samples have weights; else nothing is multiplied."""
    del out
    per_sample = rest[4] if len(rest) > 4 else options.get("per_sample_weights")
    return 0 if per_sample is None else indices.numel() * weight.shape[1]


def _affine_grid(theta: Tensor, *rest: Any, out: Tensor, **options: Any) -> int:
    del rest, options
    return out.numel() * theta.shape[-1]


_FORMULAS: Mapping[str, Formula] = {
    "mm": _mm,
    "bmm": _mm,
    "_int_mm": _mm,
    "_sparse_sparse_matmul": _mm,
    "addmm": _addmm,
    "_addmm_activation": _addmm,
    "_sparse_addmm": _addmm,
    "baddbmm": _addmm,
    "addbmm": _addmm,
    "_scaled_mm": _scaled_mm,
    "mv": _mv,
    "addmv": _addmv,
    "dot": _dot,
    "vdot": _dot,
    "linear": _linear,
    "mkldnn_linear": _linear,
    "convolution": _convolution,
    "_convolution": _convolution,
    "convolution_overrideable": _convolution,
    "conv_tbc": _conv_tbc,
    "deform_conv2d": _deformable_convolution,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_flash_attention": _attention,
    "_scaled_dot_product_efficient_attention": _attention,
    "_scaled_dot_product_cudnn_attention": _attention,
    "_scaled_dot_product_fused_attention_overrideable": _attention,
    "flex_attention": _attention,
    "_trilinear": _trilinear,
    "_cdist_forward": _distances,
    "_euclidean_dist": _distances,
    "_pdist_forward": _distances,
    "mkldnn_rnn_layer": _recurrent_layer,
    "_cudnn_rnn": _recurrent_network,
    "miopen_rnn": _recurrent_network,
    "_embedding_bag": _embedding_bag,
    "_embedding_bag_forward_only": _embedding_bag,
    "affine_grid_generator": _affine_grid,
}
