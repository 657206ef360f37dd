"""DFT and STFT in operations that have kernels: a product with the matrix of the transform, a convolution with it.

A matrix of n x n is exact to rounding and, up to some hundred points, no slower than a fast transform in the kernels
that there are. STFT(x) is Conv(x, rows of the matrix times the window), which strides from frame to frame.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper

from fusewright.graph.group import shape_of
from fusewright.rules.apply import Rule, refuse, rule
from fusewright.rules.body import DOMAIN
from fusewright.rules.known import attr_int, constant, maker, static_dims

MAX_POINTS = 4096
"""A longer transform would have a matrix of more than 128 MiB (its parts real and imaginary, in and out)."""

Matrix = np.ndarray[Any, Any]


def forward(points: int, wanted: int) -> Matrix:
    """[points, re/im, wanted, re/im]: what each part of each point adds to each part of each frequency."""
    return _rotation(points, wanted, -1)


def inverse(points: int) -> Matrix:
    return _rotation(points, points, 1) / points


def inverse_onesided(points: int) -> Matrix:
    """[points // 2 + 1, re/im, points]: frequencies that were left out are the conjugates of those given."""
    known = points // 2 + 1
    matrix = inverse(points)[:known, :, :, 0].copy()
    matrix[1 : (points + 1) // 2] *= 2
    return matrix


def _rotation(points: int, wanted: int, sign: int) -> Matrix:
    turns = np.outer(np.arange(points), np.arange(wanted)) % points  # whole turns taken off keep the angles exact
    angle = sign * 2 * np.pi * turns / points
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], 1)


class _Body:
    def __init__(self, node: ir.Node) -> None:
        self.names = [f"i{n}" for n in range(len(node.inputs))]
        self.nodes: list[onnx.NodeProto] = []
        dtype = node.outputs[0].dtype
        self.dtype = TensorProto.FLOAT if dtype is None else int(dtype)
        self.wide = TensorProto.DOUBLE if self.dtype == TensorProto.DOUBLE else TensorProto.FLOAT

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def ints(self, *values: int) -> str:
        return self.add("Constant", value_ints=values)

    def matrix(self, values: Matrix) -> str:
        dtype = helper.tensor_dtype_to_np_dtype(self.wide)
        return self.add("Constant", value=numpy_helper.from_array(np.ascontiguousarray(values, dtype)))

    def function(self, node: ir.Node, result: str, version: int) -> onnx.FunctionProto:
        self.nodes.append(helper.make_node("Cast", [result], ["result"], to=self.dtype))
        opsets = [helper.make_opsetid("", version)]
        return helper.make_function(DOMAIN, node.op_type, self.names, ["result"], self.nodes, opsets)


def dft(node: ir.Node, version: int) -> onnx.FunctionProto | None:
    shape, out_shape = list(_shape(node.inputs[0])), list(shape_of(node.outputs[0]))
    rank, parts = len(shape), shape[-1]
    axis_given, length = _integer(node, 2), _integer(node, 1)
    axis = (-2 if axis_given is None else axis_given) % rank
    onesided, back = _flag(node, "onesided", 0), _flag(node, "inverse", 0)
    points = length or (2 * (shape[axis] - 1) if onesided and back else shape[axis])
    if not 0 < points <= MAX_POINTS:
        return None
    if onesided and back:
        matrix = inverse_onesided(points)
    else:
        matrix = inverse(points) if back else forward(points, out_shape[axis])
        matrix = matrix[:, :parts]
    b = _Body(node)
    x = b.add("Cast", b.names[0], to=b.wide)
    taken = matrix.shape[0]
    if shape[axis] > taken:
        x = b.add("Slice", x, b.ints(0), b.ints(taken), b.ints(axis))
    elif shape[axis] < taken:
        x = b.add("Pad", x, b.ints(0, taken - shape[axis]), "", b.ints(axis))
    order = [*(d for d in range(rank - 1) if d != axis), axis, rank - 1]
    moved = b.add("Reshape", b.add("Transpose", x, perm=order), b.ints(-1, taken * parts))
    product = b.add("MatMul", moved, b.matrix(matrix.reshape(taken * parts, -1)))
    spread = b.add("Reshape", product, b.ints(*(out_shape[d] for d in order)))
    return b.function(node, b.add("Transpose", spread, perm=np.argsort(order).tolist()), version)


def stft(node: ir.Node, version: int) -> onnx.FunctionProto | None:
    batch, samples, parts = _shape(node.inputs[0])
    step, length = _integer(node, 1), _integer(node, 3)
    window = node.inputs[2] if len(node.inputs) > 2 else None
    points = length or (_shape(window)[0] if window is not None else samples)
    if step is None or not 0 < points <= MAX_POINTS:
        return None
    _, frames, wanted, _ = shape_of(node.outputs[0])
    matrix = forward(points, wanted)[:, :parts].transpose(2, 3, 1, 0)  # frequency, its part, part of the signal, point
    b = _Body(node)
    filters = b.matrix(matrix.reshape(wanted * 2, parts, points))
    if window is not None:
        filters = b.add("Mul", filters, b.add("Cast", b.names[2], to=b.wide))
    signal = b.add("Transpose", b.add("Cast", b.names[0], to=b.wide), perm=[0, 2, 1])
    spectra = b.add("Conv", signal, filters, strides=[step])
    spread = b.add("Reshape", spectra, b.ints(batch, wanted, 2, frames))
    return b.function(node, b.add("Transpose", spread, perm=[0, 3, 1, 2]), version)


def _of_pair(op: Any, x: Any, zeros: Any) -> Any:
    return op.DFT(op.Concat(x, zeros, _outputs=["pair"]), _allow_other_inputs=True, _outputs=["root"])


def _of_real(op: Any, x: ir.Value, zeros: ir.Value, pair: ir.Value, root: ir.Value) -> Any:
    shape, last = static_dims(x), attr_int(maker(pair), "axis", 0)
    node = maker(root)
    if not shape or shape[-1] != 1 or last not in (-1, len(shape) - 1):
        return refuse("")
    if _flag(node, "onesided", 0):
        return refuse("")  # only the inverse takes pairs then, and what it makes is real
    parts = constant(zeros)
    if parts is None or parts.any():
        return refuse("the imaginary parts are not known to be zero")
    return op.DFT(x, *node.inputs[1:], **node.attributes)


REAL_SIGNALS: tuple[Rule, ...] = (rule("real-signal", "DFT", _of_pair, _of_real),)
"""DFT of x and zeros as its imaginary parts -> DFT of x: half of the products. Needs static shapes."""


def _shape(value: ir.Value | None) -> tuple[int, ...]:
    return () if value is None else shape_of(value)


def _integer(node: ir.Node, position: int) -> int | None:
    """A constant input of one integer, None where it is left out."""
    value = node.inputs[position] if position < len(node.inputs) else None
    if value is None or value.const_value is None:
        return None
    return int(value.const_value.numpy().reshape(-1)[0])


def _flag(node: ir.Node, name: str, default: int) -> int:
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()
