"""What does a rule know of a value or a node before any input is there: constants, attributes, shapes?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import onnx_ir as ir

from fusewright.errors import InternalError

Array = npt.NDArray[Any]
Dims = tuple[int | None, ...]
WIDE = (ir.DataType.FLOAT, ir.DataType.DOUBLE)
"""Types with range enough to be scaled later and bits enough for one more rounding; half precision has neither."""


def constant(value: ir.Value | None) -> Array | None:
    """The value's elements when no run can change them; a weight that is also a graph input is not constant."""
    if value is None or value.is_graph_input():
        return None
    tensor = value.const_value
    if tensor is None:
        tensor = ir.convenience.get_const_tensor(value)
    if tensor is None or tensor.dtype == ir.DataType.STRING:
        return None
    array: Array = tensor.numpy()
    return array


def constant_size(value: ir.Value | None) -> int | None:
    """How many elements the constant has, without reading it; None when it is no constant."""
    if value is None or value.is_graph_input():
        return None
    tensor = value.const_value
    if tensor is None:
        tensor = ir.convenience.get_const_tensor(value)
    return None if tensor is None else int(tensor.size)


def constant_ints(value: ir.Value | None) -> list[int] | None:
    """A constant of integers (a shape, axes, pads) as a list."""
    array = constant(value)
    if array is None or array.dtype.kind not in "iu" or array.ndim > 1:
        return None
    return [int(item) for item in array.reshape(-1)]


def dims(value: ir.Value | None) -> Dims | None:
    """The extents as numbers, None for each open one; None when not even the rank is known."""
    if value is None or value.shape is None:
        return None
    return tuple(dim if isinstance(dim, int) else None for dim in value.shape)


def static_dims(value: ir.Value | None) -> tuple[int, ...] | None:
    """The extents when all are known."""
    known = dims(value)
    if known is None or any(dim is None for dim in known):
        return None
    return tuple(dim for dim in known if dim is not None)


def rank(value: ir.Value | None) -> int | None:
    """How many dimensions, when known."""
    return None if value is None or value.shape is None else len(value.shape)


def has_input(node: ir.Node, index: int) -> bool:
    """Whether an optional input is given; an empty one counts as not given."""
    return index < len(node.inputs) and node.inputs[index] is not None


def input_at(node: ir.Node, index: int) -> ir.Value | None:
    """The input, or None when it is empty or left off."""
    return node.inputs[index] if index < len(node.inputs) else None


def output_used(node: ir.Node, index: int) -> bool:
    """Whether anything reads the output, inside the graph or as its result."""
    if index >= len(node.outputs):
        return False
    output = node.outputs[index]
    return bool(output.uses()) or output.is_graph_output()


def attr_int(node: ir.Node, name: str, default: int) -> int:
    """An integer attribute or its default."""
    attr = node.attributes.get(name)
    return default if attr is None else int(attr.as_int())


def attr_float(node: ir.Node, name: str, default: float) -> float:
    """A float attribute or its default."""
    attr = node.attributes.get(name)
    return default if attr is None else float(attr.as_float())


def attr_ints(node: ir.Node, name: str, default: Sequence[int] = ()) -> list[int]:
    """A list attribute or its default."""
    attr = node.attributes.get(name)
    return list(default) if attr is None else [int(item) for item in attr.as_ints()]


def attr_str(node: ir.Node, name: str, default: str) -> str:
    """A string attribute or its default."""
    attr = node.attributes.get(name)
    return default if attr is None else str(attr.as_string())


def producer(value: ir.Value | None, *op_types: str) -> ir.Node | None:
    """The node of the standard domain that makes the value, when its type is one of `op_types`."""
    node = None if value is None else value.producer()
    if node is None or node.domain != "" or node.op_type not in op_types:
        return None
    return node


def maker(value: ir.Value) -> ir.Node:
    """The node that makes a value which a pattern matched as some operation's result."""
    node = value.producer()
    if node is None:
        raise InternalError(f"a pattern matched {value.name!r} as a result, but no node makes it")
    return node
