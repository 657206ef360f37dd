"""What are the weights of a product when its result is scaled and shifted by channel, y * s + t?

A product ("host") is Conv, ConvTranspose, Gemm, MatMul or MatMul + bias. `* s + t` stands for BatchNormalization
with constant statistics, and for Mul, Div, Add or Sub with a constant that holds one number, or one for each
output channel. Weights are computed in float64 and rounded once. A fold that would round badly (a float16 weight
that becomes subnormal) or make an infinity is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from ml_dtypes import finfo

from fusewright.rules.known import (
    Array,
    attr_float,
    attr_int,
    constant,
    input_at,
    output_used,
    producer,
    rank,
)

Doubles = npt.NDArray[np.float64]

ROUNDING_STEPS = 4
"""A rounded weight may be this many float steps of its channel's largest weight away from the exact one."""


class Refusal(Exception):
    """Why a fold is not possible; becomes the reason in the log."""


@dataclass(frozen=True)
class Host:
    """A product with constant weights: how its weights are scaled by output channel, and how it is written again."""

    node: ir.Node
    weight: Array
    bias: Doubles | None
    """One number for each channel, times the node's own factor (Gemm's beta)."""
    channels: int
    rank: int | None
    """Rank of the result; None when unknown."""
    axis: int
    """Channel axis of the result, counted from the end."""
    scale: Callable[[Array, Doubles], Doubles]


def per_channel(value: Array, host: Host) -> Doubles:
    """The constant as one float64 for each channel of the host's result; Refusal when it is anything else."""
    if host.rank is None and value.ndim > 1:
        raise Refusal("the rank of the product is unknown")
    full = max(value.ndim, 1) if host.rank is None else host.rank
    if value.ndim > full:
        raise Refusal(f"the constant has rank {value.ndim} and raises the rank of the product, {full}")
    shape = (1,) * (full - value.ndim) + value.shape
    channel = full + host.axis
    if any(extent != 1 for axis, extent in enumerate(shape) if axis != channel):
        raise Refusal(f"the constant's shape {value.shape} varies along more than the channel axis")
    if shape[channel] not in (1, host.channels):
        raise Refusal(f"the constant's shape {value.shape} widens the {host.channels} channels")
    return np.broadcast_to(value.astype(np.float64).reshape(-1), (host.channels,))


def conv_host(node: ir.Node) -> Host:
    """Conv: weights are (out, in / groups, ...)."""
    weight = _weight(node, 1)
    channels = weight.shape[0]

    def scale(array: Array, factor: Doubles) -> Doubles:
        return array.astype(np.float64) * factor.reshape(-1, *[1] * (array.ndim - 1))

    return Host(node, weight, _bias(node, channels), channels, weight.ndim, 1 - weight.ndim, scale)


def conv_transpose_host(node: ir.Node) -> Host:
    """ConvTranspose: weights are (in, out / groups, ...), and group g of the inputs makes group g of the outputs."""
    weight = _weight(node, 1)
    groups = attr_int(node, "group", 1)
    channels = weight.shape[1] * groups

    def scale(array: Array, factor: Doubles) -> Doubles:
        split = array.astype(np.float64).reshape(groups, -1, *array.shape[1:])
        return (split * factor.reshape(groups, 1, -1, *[1] * (array.ndim - 2))).reshape(array.shape)

    return Host(node, weight, _bias(node, channels), channels, weight.ndim, 1 - weight.ndim, scale)


def gemm_host(node: ir.Node) -> Host:
    """Gemm: alpha * A @ B + beta * C, weights are B, or B transposed."""
    weight = _weight(node, 1)
    out_axis = 0 if attr_int(node, "transB", 0) else 1
    channels = weight.shape[out_axis]

    def scale(array: Array, factor: Doubles) -> Doubles:
        return array.astype(np.float64) * (factor[:, None] if out_axis == 0 else factor)

    host = Host(node, weight, None, channels, 2, -1, scale)
    if input_at(node, 2) is None:
        return host
    bias = per_channel(_weight(node, 2), host) * attr_float(node, "beta", 1.0)
    return Host(node, weight, bias, channels, 2, -1, scale)


def matmul_host(node: ir.Node) -> Host:
    """MatMul(x, W), and Add(MatMul(x, W), b): weights are (..., in, out)."""
    bias_value = None
    if node.op_type == "Add":
        product = producer(node.inputs[0], "MatMul")
        bias_value = node.inputs[1]
        if product is None:
            product, bias_value = producer(node.inputs[1], "MatMul"), node.inputs[0]
        if product is None:
            raise Refusal("no MatMul under the Add")
        node = product
    weight = _weight(node, 1)
    if weight.ndim < 2:
        raise Refusal("the weight is a vector")
    left = rank(node.inputs[0])
    full = None if left is None else max(left, weight.ndim) - (left == 1)
    channels = weight.shape[-1]

    def scale(array: Array, factor: Doubles) -> Doubles:
        return array.astype(np.float64) * factor

    host = Host(node, weight, None, channels, full, -1, scale)
    if bias_value is None:
        return host
    bias = constant(bias_value)
    if bias is None:
        raise Refusal("the bias is not constant")
    return Host(node, weight, per_channel(bias, host), channels, full, -1, scale)


def _weight(node: ir.Node, index: int) -> Array:
    array = constant(input_at(node, index))
    if array is None:
        raise Refusal("a weight is not constant")
    if array.size == 0 or (not np.issubdtype(array.dtype, np.inexact) and array.dtype.name != "bfloat16"):
        raise Refusal(f"a weight of {array.dtype} {array.shape} cannot be scaled")
    return array


def _bias(node: ir.Node, channels: int) -> Doubles | None:
    if input_at(node, 2) is None:
        return None
    return _weight(node, 2).astype(np.float64).reshape(channels)


def batch_norm_affine(node: ir.Node) -> tuple[Doubles, Doubles]:
    """Scale and shift, one for each channel, of a BatchNormalization with constant statistics."""
    if attr_int(node, "training_mode", 0) or any(output_used(node, i) for i in range(1, len(node.outputs))):
        raise Refusal("it runs in training mode")
    gamma, beta, mean, variance = (_stat(node, i) for i in range(1, 5))
    with np.errstate(all="ignore"):
        scale = gamma / np.sqrt(variance + attr_float(node, "epsilon", 1e-5))
    return scale, beta - mean * scale


def _stat(node: ir.Node, index: int) -> Doubles:
    array = constant(input_at(node, index))
    if array is None:
        raise Refusal("its statistics are not constant")
    return array.astype(np.float64).reshape(-1)


def affine_of(node: ir.Node, operand: ir.Value | None, host: Host) -> tuple[Doubles, Doubles]:
    """Scale and shift, one for each channel, that `node` applies to the host's result."""
    ones, zeros = np.ones(host.channels), np.zeros(host.channels)
    if node.op_type == "BatchNormalization":
        if host.rank is None or host.rank + host.axis != 1:
            raise Refusal("the normalised axis is not the product's channel axis, or its rank is unknown")
        scale, shift = batch_norm_affine(node)
        if scale.shape != (host.channels,):
            raise Refusal(f"{scale.size} normalised channels, {host.channels} channels of the product")
        return scale, shift
    array = constant(operand)
    if array is None:
        raise Refusal("the operand is not constant")
    value = per_channel(array, host)
    if node.op_type == "Mul":
        return value, zeros
    if node.op_type == "Div":
        with np.errstate(all="ignore"):
            return 1.0 / value, zeros
    if node.op_type == "Add":
        return ones, value
    return (ones, -value) if operand is node.inputs[1] else (-ones, value)  # Sub


def rounded(exact: Doubles, dtype: np.dtype[Any], what: str) -> Array:
    """`exact` in `dtype`; Refusal when that makes an infinity or loses a channel's precision."""
    with np.errstate(all="ignore"):
        array: Array = exact.astype(dtype)
        error = np.abs(array.astype(np.float64) - exact)
    if not np.isfinite(error).all():
        raise Refusal(f"the {what} would not be finite in {dtype}")
    if exact.size and error.max() > ROUNDING_STEPS * float(finfo(dtype).eps) * np.abs(exact).max():
        raise Refusal(f"the {what} would lose its precision in {dtype}")
    return array


@dataclass(frozen=True)
class Folded:
    """New weight (None: as before) and bias (None: none)."""

    weight: Array | None
    bias: Array | None


def fold(host: Host, scale: Doubles, shift: Doubles) -> Folded:
    """The host's weights with `* scale + shift` inside; Refusal when they cannot hold it."""
    weight = None
    if (scale != 1.0).any():
        weight = rounded(host.scale(host.weight, scale), host.weight.dtype, "weight")
    if host.bias is None and not shift.any():
        return Folded(weight, None)
    bias = (0.0 if host.bias is None else host.bias) * scale + shift
    return Folded(weight, rounded(bias, host.weight.dtype, "bias"))
