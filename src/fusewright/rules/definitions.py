"""What do integer products, MaxUnpool, Tile and transforms mean? Their definitions in operations that have kernels.

The standard defines most of these in words only. Sums of products of bytes are exact in int32, and in float64 where
the standard has no integer operation (convolution); half a kernel's speed, but the right numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import onnx
import onnx_ir as ir
from onnx import TensorProto

from fusewright.graph.group import shape_of
from fusewright.rules.body import Body
from fusewright.rules.einsum import einsum
from fusewright.rules.fourier import dft, stft
from fusewright.rules.normalization import group_normalization, instance_normalization


def _convolution(b: Body, x: int, x_zero: int, w: int, w_zero: int, bias: int) -> str:
    given = {name: ir.to_proto(a) for name, a in b.node.attributes.items()}
    operands = [b.shifted(x, x_zero, 0, TensorProto.DOUBLE), b.shifted(w, w_zero, 0, TensorProto.DOUBLE)]
    if b.input(bias):
        operands.append(b.add("Cast", b.input(bias), to=TensorProto.DOUBLE))
    result = b.add("Conv", *operands)
    b.nodes[-1].attribute.extend(given.values())
    return result


def conv_integer(node: ir.Node, version: int) -> onnx.FunctionProto:
    b = Body(node)
    return b.function(b.add("Cast", _convolution(b, 0, 2, 1, 3, 4), to=TensorProto.INT32), version)


def matmul_integer(node: ir.Node, version: int) -> onnx.FunctionProto:
    b = Body(node)
    rows, columns = b.rank(0) - 2, b.rank(1) - 1
    product = b.add("MatMul", b.shifted(0, 2, rows, TensorProto.INT32), b.shifted(1, 3, columns, TensorProto.INT32))
    return b.function(product, version)


def _requantize(b: Body, total: str, scales: tuple[str, str], out_scale: int, out_zero: int) -> str:
    scale = b.add("Mul", *scales)
    real = b.add("Mul", b.add("CastLike", total, scale), scale)
    return b.add("QuantizeLinear", real, b.input(out_scale), b.input(out_zero))


def qlinear_conv(node: ir.Node, version: int) -> onnx.FunctionProto:
    b = Body(node)
    total = _convolution(b, 0, 2, 3, 5, 8)
    return b.function(_requantize(b, total, (b.input(1), b.along(4, 1, b.rank(0))), 6, 7), version)


def qlinear_matmul(node: ir.Node, version: int) -> onnx.FunctionProto:
    b = Body(node)
    rows, columns = b.rank(0) - 2, b.rank(3) - 1
    total = b.add("MatMul", b.shifted(0, 2, rows, TensorProto.INT32), b.shifted(3, 5, columns, TensorProto.INT32))
    rank = max(b.rank(0), b.rank(3))
    return b.function(_requantize(b, total, (b.along(1, rank - 2, rank), b.along(4, rank - 1, rank)), 6, 7), version)


def max_unpool(node: ir.Node, version: int) -> onnx.FunctionProto:
    """Positions count within the extents that pooling had; an output that is asked to be larger is padded."""
    b = Body(node)
    inferred, out = _unpooled(node), list(shape_of(node.outputs[0]))
    zeros = b.add("Expand", b.add("CastLike", b.add("Constant", value_float=0.0), b.input(0)), b.ints([prod(inferred)]))
    flat = [b.add("Reshape", b.input(i), b.ints([-1])) for i in (1, 0)]
    result = b.add("Reshape", b.add("ScatterElements", zeros, *flat, axis=0), b.ints(inferred))
    if out != inferred:
        result = b.add("Pad", result, b.ints([0] * len(out) + [o - i for o, i in zip(out, inferred, strict=True)]))
    return b.function(result, version)


def _unpooled(node: ir.Node) -> list[int]:
    """The extents that the pooling read, if it read all of them."""
    attributes = {name: attribute.value for name, attribute in node.attributes.items()}
    source = node.inputs[0]
    shape = list(shape_of(source)) if source is not None else []
    rank = len(shape) - 2
    strides, pads = attributes.get("strides") or [1] * rank, attributes.get("pads") or [0] * (2 * rank)
    window = attributes["kernel_shape"]
    return shape[:2] + [
        (shape[2 + d] - 1) * strides[d] + window[d] - pads[d] - pads[rank + d] for d in range(rank)
    ]  # fmt: skip


def tile(node: ir.Node, version: int) -> onnx.FunctionProto:
    """A dimension that repeats is two, of which the first is walked without a step."""
    b, source = Body(node), node.inputs[0]
    old, new = list(shape_of(source)) if source is not None else [], list(shape_of(node.outputs[0]))
    apart: list[int] = []
    repeated: list[int] = []
    for extent, whole in zip(old, new, strict=True):
        split = extent > 1 and whole != extent
        apart += [1, extent] if split else [extent]
        repeated += [whole // extent, extent] if split else [whole]
    if apart == old:
        return b.function(b.add("Expand", b.input(0), b.ints(new)), version)
    whole_x = b.add("Expand", b.add("Reshape", b.input(0), b.ints(apart), allowzero=1), b.ints(repeated))
    return b.function(b.add("Reshape", whole_x, b.ints(new), allowzero=1), version)


DEFINITIONS: Mapping[str, Callable[[ir.Node, int], onnx.FunctionProto | None]] = {
    "ConvInteger": conv_integer,
    "DFT": dft,
    "Einsum": einsum,
    "GroupNormalization": group_normalization,
    "InstanceNormalization": instance_normalization,
    "MatMulInteger": matmul_integer,
    "MaxUnpool": max_unpool,
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
    "STFT": stft,
    "Tile": tile,
}
