"""Which values at the edge of a graph are copied to another order of memory?

A caller's arrays are row-major: of a picture each channel is a plane. Kernels read and write the channels of a pixel
as vectors, and would gather or scatter each element of a plane by itself: a copy that turns blocks in registers costs
less.
"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from fusewright.graph.group import dtype_of, elements, shape_of
from fusewright.ops.opdef import Kind, Strides
from fusewright.ops.registry import declared
from fusewright.plan.orders import channels_last, is_spatial
from fusewright.schedules.pointwise import NARROW


def order_of_input(value: ir.Value, open_extents: bool) -> tuple[int, ...] | None:
    """The order in which a graph's input lies well for what reads it; None where that is row-major order.

    Few channels are read as planes. With `open_extents` only filters tell how many there are.
    """
    shape = shape_of(value)
    if len(shape) < 3 or not elements(shape) or dtype_of(value) != "f32" or shape[1] <= NARROW:
        return None
    readers = list(value.uses())
    in_windows = [_in_windows(usage, value, open_extents) for usage in readers]
    others = [usage for usage, seen in zip(readers, in_windows, strict=True) if not seen]
    if value.is_graph_output() or not any(in_windows) or not all(_elementwise(usage, value) for usage in others):
        return None
    return channels_last(len(shape))


def _in_windows(usage: Any, value: ir.Value, with_filters: bool) -> bool:
    """Whether a convolution (or pooling, unless `with_filters`) reads the value, or elementwise work on it."""
    definition = declared(usage.node.domain, usage.node.op_type)
    if definition.kind in (Kind.CONTRACTION, Kind.WINDOW):
        return usage.idx == 0 and is_spatial(usage.node, value) and (definition.channels or not with_filters)
    result = usage.node.outputs[0]
    return _elementwise(usage, value) and any(_in_windows(later, result, with_filters) for later in result.uses())


def _elementwise(usage: Any, value: ir.Value) -> bool:
    kind = declared(usage.node.domain, usage.node.op_type).kind
    return kind is Kind.ELEMENTWISE and shape_of(usage.node.outputs[0]) == shape_of(value)


def leaves_turned(value: ir.Value, made: Strides, wanted: Strides) -> bool:
    """Whether a value is better made with strides `made` and copied than made with strides `wanted`."""
    shape = shape_of(value)
    moving = [d for d, extent in enumerate(shape) if extent != 1]
    if len(moving) < 2 or dtype_of(value) != "f32":
        return False
    near, there = (min(moving, key=lambda d: strides[d]) for strides in (made, wanted))
    return near != there and shape[near] > NARROW
