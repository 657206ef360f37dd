"""GroupNormalization and InstanceNormalization in operations that have kernels.

Means and variances are taken of each channel, then of the channels of a group: convolutions leave channels last, where
the elements of a group lie in many short runs, but channels side by side fill vectors. The variance of a group is the
mean of `v + (m - M)^2` over its channels, for their means m and variances v and the mean M of the group, so nothing is
lost by cancellation (Chan, Golub, LeVeque, "Algorithms for computing the sample variance", 1983). What is then done to
each element is elementwise work and joins what stands behind it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper

from fusewright.graph.group import shape_of
from fusewright.rules.apply import Rule, refuse, rule
from fusewright.rules.body import Body
from fusewright.rules.known import attr_float, attr_int, constant, input_at, maker, static_dims

EPSILON = 1e-5


def group_normalization(node: ir.Node, version: int) -> onnx.FunctionProto:
    """From opset 21 on; scale and bias have one value for each channel."""
    stash = attr_int(node, "stash_type", TensorProto.FLOAT)
    return _definition(node, version, attr_int(node, "num_groups", 1), stash)


def instance_normalization(node: ir.Node, version: int) -> onnx.FunctionProto:
    """A group for each channel."""
    source = node.inputs[0]
    return _definition(node, version, 0 if source is None else shape_of(source)[1], TensorProto.FLOAT)


def _definition(node: ir.Node, version: int, groups: int, stash: int) -> onnx.FunctionProto:
    source, dtype = node.inputs[0], node.outputs[0].dtype
    if source is None or dtype is None:
        raise ValueError(f"{node.op_type} lacks its input")
    b, shape = Body(node), list(shape_of(source))
    wide = int(dtype) if dtype == ir.DataType.DOUBLE else stash
    x, scale, bias = (b.input(i) if int(dtype) == wide else b.add("Cast", b.input(i), to=wide) for i in range(3))
    centre, variance = _of_channels(b, x, shape)
    if groups != shape[1]:
        centre, variance = _of_groups(b, centre, variance, shape, groups)
    each = b.ints([1, shape[1], *[1] * (len(shape) - 2)])
    epsilon = helper.make_tensor("epsilon", wide, [], [attr_float(node, "epsilon", EPSILON)])
    deviation = b.add("Sqrt", b.add("Add", variance, b.add("Constant", value=epsilon)))
    plain = _is_all(node, 1, 1)
    factor = b.add("Reciprocal", deviation) if plain else b.add("Div", _reshaped(b, scale, each), deviation)
    result = b.add("Mul", b.add("Sub", x, centre), factor)
    if not _is_all(node, 2, 0):
        result = b.add("Add", result, _reshaped(b, bias, each))
    return b.function(b.add("Cast", result, to=int(dtype)) if int(dtype) != wide else result, version)


def _is_all(node: ir.Node, position: int, number: int) -> bool:
    """Whether an input is a constant of this number alone, as exporters make it up where the model has none."""
    array = constant(input_at(node, position))
    return array is not None and bool((array == number).all())


def _of_channels(b: Body, x: str, shape: list[int]) -> tuple[str, str]:
    """Mean and variance of each channel, [N, C, 1, ...]."""
    if len(shape) == 2:
        return x, b.add("Sub", x, x)
    axes = b.ints(list(range(2, len(shape))))
    centre = b.add("ReduceMean", x, axes)
    difference = b.add("Sub", x, centre)
    return centre, b.add("ReduceMean", b.add("Mul", difference, difference), axes)


def _of_groups(b: Body, centre: str, variance: str, shape: list[int], groups: int) -> tuple[str, str]:
    """Mean and variance of each group, repeated for its channels: [N, C, 1, ...]."""
    parts = b.ints([shape[0], groups, shape[1] // groups])
    channels = b.ints([*shape[:2], *[1] * (len(shape) - 2)])
    axis = b.ints([2])
    centre, variance = _reshaped(b, centre, parts), _reshaped(b, variance, parts)
    mean = b.add("ReduceMean", centre, axis)
    difference = b.add("Sub", centre, mean)
    total = b.add("ReduceMean", b.add("Add", variance, b.add("Mul", difference, difference)), axis)
    mean, total = (_reshaped(b, b.add("Expand", each, parts), channels) for each in (mean, total))
    return mean, total


def _reshaped(b: Body, name: str, shape: str) -> str:
    return b.add("Reshape", name, shape, allowzero=1)


def _grouped(op: Any, x: Any, shape: Any, scale: Any, bias: Any, back: Any) -> Any:
    rows = op.Reshape(x, shape, _outputs=["rows"])
    return op.Reshape(op.InstanceNormalization(rows, scale, bias, _outputs=["normal"]), back, _outputs=["root"])


def _check_groups(context: Any, x: ir.Value, rows: ir.Value, root: ir.Value, **bindings: Any) -> Any:
    full, taken = static_dims(x), static_dims(rows)
    if full is None or taken is None or static_dims(root) != full:
        return refuse("")
    if len(full) < 3 or len(taken) != 3 or taken[0] != full[0] or not taken[1] or full[1] % taken[1]:
        return refuse("its rows are no groups of channels")
    if constant(bindings["scale"]) is None or constant(bindings["bias"]) is None:
        return refuse("its scale or its bias is not constant")
    return True


def _group_normalization(
    op: Any, x: ir.Value, scale: ir.Value, bias: ir.Value, normal: ir.Value, root: ir.Value, **_: Any
) -> Any:
    channels, groups = shape_of(x)[1], shape_of(normal)[1]
    parameters = []
    for what, value in (("scale", scale), ("bias", bias)):
        repeated = np.repeat(np.asarray(constant(value)), channels // groups)
        parameters.append(op.initializer(ir.tensor(repeated), name=f"{root.name}_{what}"))
    epsilon = attr_float(maker(normal), "epsilon", EPSILON)
    return op.GroupNormalization(x, *parameters, num_groups=groups, epsilon=epsilon)


GROUPS: tuple[Rule, ...] = (rule("find-groups", "Reshape", _grouped, _group_normalization, _check_groups),)
"""Reshape(InstanceNormalization(Reshape(x))) -> GroupNormalization(x): as exporters spell it. Needs static shapes."""
