"""y = op(x) that computes nothing -> x. Which nodes are that, decided by looking at one node alone?

Each function answers for one operation: the value that stands for the node's first output, or None. They look only
at constants, attributes and the shapes already known, so that one walk over a model costs milliseconds. x + 0.0 is
kept, since -0.0 + 0.0 is +0.0 and 1/(-0.0) shows it; x + -0.0, x - 0.0, x * 1 and x / 1 are exact for all x. A Clip
without bounds is kept: ONNX lets it turn infinities into the largest finite number.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from fusewright.rules.known import (
    attr_int,
    attr_ints,
    attr_str,
    constant,
    constant_ints,
    constant_size,
    dims,
    has_input,
    input_at,
    output_used,
    rank,
    static_dims,
)

MAX_NEUTRAL_ELEMENTS = 4096
"""Larger constants are not searched for being all ones or zeros; the walk must stay short."""

TO_THE_END = 2**31 - 1
"""Exporters write "up to the end" of a Slice as this number or more."""


def same_shape(x: ir.Value | None, y: ir.Value) -> bool:
    """Whether both shapes are fully known and equal."""
    known = static_dims(x)
    return known is not None and known == static_dims(y)


def _x(node: ir.Node) -> ir.Value | None:
    return input_at(node, 0)


def _if(condition: bool, node: ir.Node) -> ir.Value | None:
    return _x(node) if condition else None


def _get_element(node: ir.Node) -> ir.Value | None:
    value = _x(node)
    return _if(value is not None and isinstance(value.type, ir.TensorType), node)


def _only_input(node: ir.Node) -> ir.Value | None:
    return _if(len(node.inputs) == 1, node)


def _dropout(node: ir.Node) -> ir.Value | None:
    if output_used(node, 1):
        return None
    if has_input(node, 2):
        training = constant(node.inputs[2])
        if training is None or training.any():
            return None
    return _x(node)


def _cast(node: ir.Node) -> ir.Value | None:
    x = _x(node)
    return _if(x is not None and x.dtype is not None and x.dtype == attr_int(node, "to", 0), node)


def _cast_like(node: ir.Node) -> ir.Value | None:
    x, like = _x(node), input_at(node, 1)
    known = x is not None and like is not None and x.dtype is not None
    return _if(known and x.dtype == like.dtype, node)  # type: ignore[union-attr] # known says that both are there


def _pad(node: ir.Node) -> ir.Value | None:
    pads = constant_ints(input_at(node, 1))
    return _if(pads is not None and not any(pads), node)


def _reshape(node: ir.Node) -> ir.Value | None:
    """Entries that copy (0), repeat a known extent, or are the one inferred (-1) leave every dimension as it is."""
    x, extents = _x(node), dims(_x(node))
    if same_shape(x, node.outputs[0]):
        return x
    target = constant_ints(input_at(node, 1))
    if target is None or extents is None or len(target) != len(extents) or target.count(-1) > 1:
        return None
    if -1 in target and any(extent == 0 for extent in extents):
        return None
    copies = not attr_int(node, "allowzero", 0)
    same = (t == -1 or (t == 0 and copies) or t == extent for t, extent in zip(target, extents, strict=True))
    return _if(all(same), node)


def _flatten(node: ir.Node) -> ir.Value | None:
    return _if(rank(_x(node)) == 2 and attr_int(node, "axis", 1) in (1, -1), node)


def _unsqueeze(node: ir.Node) -> ir.Value | None:
    return _if(constant_ints(input_at(node, 1)) == [], node)


def _transpose(node: ir.Node) -> ir.Value | None:
    x = _x(node)
    perm = attr_ints(node, "perm") if "perm" in node.attributes else list(range(rank(x) or 9))[::-1]
    return _if(perm == sorted(perm), node)


def _slice(node: ir.Node) -> ir.Value | None:
    """Each sliced axis starts at 0, has step 1 and ends at or after the last element."""
    x = _x(node)
    starts, ends = constant_ints(input_at(node, 1)), constant_ints(input_at(node, 2))
    if starts is None or ends is None or any(starts):
        return None
    if has_input(node, 4):
        steps = constant_ints(node.inputs[4])
        if steps is None or any(step != 1 for step in steps):
            return None
    if all(end >= TO_THE_END for end in ends):
        return x
    extents = dims(x)
    axes = constant_ints(node.inputs[3]) if has_input(node, 3) else list(range(len(ends)))
    if axes is None or extents is None:
        return None
    lengths = [extents[axis] for axis in axes]
    covered = all(length is not None and end >= length for end, length in zip(ends, lengths, strict=True))
    return _if(covered, node)


def _expand(node: ir.Node) -> ir.Value | None:
    x, extents = _x(node), dims(_x(node))
    if same_shape(x, node.outputs[0]):
        return x
    target = constant_ints(input_at(node, 1))
    if target is None or extents is None or len(target) > len(extents):
        return _if(target == [], node)
    tail = extents[len(extents) - len(target) :]
    return _if(all(t in (1, extent) for t, extent in zip(target, tail, strict=True)), node)


def _tile(node: ir.Node) -> ir.Value | None:
    repeats = constant_ints(input_at(node, 1))
    return _if(repeats is not None and all(repeat == 1 for repeat in repeats), node)


def _split(node: ir.Node) -> ir.Value | None:
    return _if(len(node.outputs) == 1, node)


def _reduce(node: ir.Node) -> ir.Value | None:
    """No axes and "no axes means none"."""
    none = not has_input(node, 1) or constant_size(node.inputs[1]) == 0
    return _if(none and attr_int(node, "noop_with_empty_axes", 0) == 1, node)


def _resize(node: ir.Node) -> ir.Value | None:
    """Every coordinate maps to itself when nothing is scaled or cropped."""
    if attr_str(node, "coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        return None
    if has_input(node, 3):
        return _if(same_shape(_x(node), node.outputs[0]), node)
    scales = constant(input_at(node, 2))
    return _if(scales is not None and scales.size > 0 and bool((scales == 1).all()), node)


def _block_of_one(node: ir.Node) -> ir.Value | None:
    return _if(attr_int(node, "blocksize", 0) == 1, node)


def _pool(node: ir.Node) -> ir.Value | None:
    """A window of one element that moves by one."""
    ones = [*attr_ints(node, "kernel_shape", [0]), *attr_ints(node, "strides")]
    return _if(all(n == 1 for n in ones) and not any(attr_ints(node, "pads")) and not output_used(node, 1), node)


def _neutral(x: ir.Value | None, other: ir.Value | None, y: ir.Value, number: float) -> bool:
    """Whether `other` is `number` throughout, sign of zero included, and cannot raise the shape of x."""
    size = constant_size(other)
    if x is None or other is None or size is None or not 0 < size <= MAX_NEUTRAL_ELEMENTS:
        return False
    array, extents = constant(other), dims(x)
    if array is None or array.dtype.kind in "bc" or not (array == number).all():
        return False
    if number == 0 and array.dtype.kind not in "iu" and not (np.signbit(array) == np.signbit(number)).all():
        return False
    if array.ndim == 0:
        return True
    if extents is None or array.ndim > len(extents):
        return False
    tail = extents[len(extents) - array.ndim :]
    return all(n in (1, extent) for n, extent in zip(array.shape, tail, strict=True))


def _second_neutral(number: float) -> Callable[[ir.Node], ir.Value | None]:
    return lambda node: _if(_neutral(_x(node), input_at(node, 1), node.outputs[0], number), node)


def _either_neutral(number: float) -> Callable[[ir.Node], ir.Value | None]:
    def decide(node: ir.Node) -> ir.Value | None:
        first, second = input_at(node, 0), input_at(node, 1)
        if _neutral(first, second, node.outputs[0], number):
            return first
        return second if _neutral(second, first, node.outputs[0], number) else None

    return decide


NO_OPS: dict[str, Callable[[ir.Node], ir.Value | None]] = {
    "Identity": _x,
    "OptionalGetElement": _get_element,
    "Dropout": _dropout,
    "Cast": _cast,
    "CastLike": _cast_like,
    "Pad": _pad,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Concat": _only_input,
    "Sum": _only_input,
    "Max": _only_input,
    "Min": _only_input,
    "Mean": _only_input,
    "Slice": _slice,
    "Expand": _expand,
    "Tile": _tile,
    "Split": _split,
    "ReduceSum": _reduce,
    "ReduceMean": _reduce,
    "ReduceMax": _reduce,
    "ReduceMin": _reduce,
    "ReduceProd": _reduce,
    "Resize": _resize,
    "DepthToSpace": _block_of_one,
    "SpaceToDepth": _block_of_one,
    "AveragePool": _pool,
    "MaxPool": _pool,
    "Mul": _either_neutral(1),
    "Div": _second_neutral(1),
    "Pow": _second_neutral(1),
    "Add": _either_neutral(-0.0),
    "Sub": _second_neutral(0.0),
}
