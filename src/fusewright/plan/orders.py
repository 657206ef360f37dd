"""In which order of dimensions would a value lie well for what reads it?"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from fusewright.graph.group import Group, elements, shape_of
from fusewright.graph.site import site_of
from fusewright.ops.opdef import Kind, Strides
from fusewright.ops.registry import find

FAR = 32
"""How many operations are looked at between a value and what reads it in the end."""


def row_major(shape: tuple[int, ...]) -> Strides:
    return in_order(shape, tuple(range(len(shape))))


def in_order(shape: tuple[int, ...], order: tuple[int, ...]) -> Strides:
    """Dense strides with the dimensions laid out in `order`, outermost first."""
    strides = [0] * len(shape)
    step = 1
    for d in reversed(order):
        strides[d] = step
        step *= max(shape[d], 1)
    return tuple(strides)


def channels_last(rank: int) -> tuple[int, ...]:
    """N, spatial dimensions, C."""
    return (0, *range(2, rank), 1)


def merge_order(ranked: list[int], rank: int) -> tuple[int, ...]:
    """`ranked` dimensions in that order; the others keep their places."""
    places = [d for d in range(rank) if d in ranked]
    order = list(range(rank))
    for place, d in zip(places, ranked, strict=True):
        order[place] = d
    return tuple(order)


def is_spatial(anchor: ir.Node, value: ir.Value) -> bool:
    """Whether dimension 1 holds channels and the rest space, as in convolution and pooling (not in matmul)."""
    definition = find(anchor.domain, anchor.op_type)
    by_channel = definition is not None and (definition.channels or definition.kind is Kind.WINDOW)
    return by_channel and len(shape_of(value)) >= 3


def order_of_constant(value: ir.Value, group: Group, strides: Strides) -> tuple[int, ...] | None:
    """The order of a group's result with these strides, for a constant as large, that elementwise work alone reads.

    None where that is row-major order, or nothing is to be gained.
    """
    shape, whole = shape_of(value), shape_of(group.outputs[0])
    moving = [d for d, extent in enumerate(shape) if extent != 1]
    ahead = len(whole) - len(shape)
    if len(moving) < 2 or elements(shape) != elements(whole) or shape != whole[ahead:]:
        return None
    for usage in value.uses():
        definition = find(usage.node.domain, usage.node.op_type)
        if definition is None or definition.kind is not Kind.ELEMENTWISE:
            return None
    ranked = sorted(moving, key=lambda d: (-strides[ahead + d], d))
    return None if ranked == moving else merge_order(ranked, len(shape))


def transposed_use(value: ir.Value) -> tuple[int, ...] | None:
    """The order in which the result of the one transposition that reads `value` lies well, if nothing else reads it.

    A transposition is a view whose result walks row-major memory in another order of the same dimensions. It lies well
    in row-major order, or with channels last where convolutions or pooling read it.
    """
    shape = shape_of(value)
    seen = only_view(value, row_major(shape))
    if seen is None:
        return None
    result, walked = seen
    if len(walked) != len(shape):
        return None
    dims = {stride: d for d, stride in enumerate(row_major(shape)) if shape[d] != 1}
    moved = [dims.get(s) for s, d in zip(walked, shape_of(result), strict=True) if d != 1]
    ranked = [d for d in moved if d is not None]
    if len(ranked) != len(dims) or len(moved) != len(ranked) or ranked == sorted(ranked):
        return None
    if read_in_space(result):
        order = [d for d in channels_last(len(shape)) if shape_of(result)[d] != 1]
        ranked = [ranked[sorted(order).index(d)] for d in order]
    elif is_picture(value, row_major(shape)):
        return tuple(range(len(shape)))
    return merge_order(ranked, len(shape))


def read_in_space(value: ir.Value, seen: set[ir.Value] | None = None) -> bool:
    """Whether what reads the value in the end reads it with channels last: convolutions and pooling, or a view that
    turns it so. Elementwise work and concatenations leave it as it lies: what reads theirs counts."""
    seen = set() if seen is None else seen
    seen.add(value)
    if value.is_graph_output() or len(seen) > FAR:
        return False
    return all(_reads_in_space(usage, value, seen) for usage in value.uses())


def _reads_in_space(usage: Any, value: ir.Value, seen: set[ir.Value]) -> bool:
    node, shape = usage.node, shape_of(value)
    if usage.idx == 0 and is_spatial(node, value):
        return True
    definition, result = find(node.domain, node.op_type), node.outputs[0]
    if definition is None or len(shape_of(result)) != len(shape):
        return False
    if definition.alias is not None:
        made = definition.alias(site_of(node), shape, in_order(shape, channels_last(len(shape))))
        return made is not None and len(shape) > 2 and _lies(result, made.strides, tuple(range(len(shape))))
    keeps = definition.kind is Kind.ELEMENTWISE or definition.joins is not None
    return keeps and (result in seen or read_in_space(result, seen))


def _lies(value: ir.Value, strides: Strides, order: tuple[int, ...]) -> bool:
    """Whether a value with these strides lies densely in that order."""
    wanted = in_order(shape_of(value), order)
    return all(a == b for a, b, extent in zip(strides, wanted, shape_of(value), strict=True) if extent != 1)


def leaves_next(value: ir.Value) -> bool:
    """Whether the value is only moved once more, to a graph output: that is row-major."""
    readers = [usage.node for usage in value.uses()]
    moved = [find(node.domain, node.op_type) for node in readers if node.outputs[0].is_graph_output()]
    return len(readers) == 1 and any(d is not None and d.kind is Kind.MOVEMENT for d in moved)


def only_view(value: ir.Value, strides: Strides) -> tuple[ir.Value, Strides] | None:
    """The result of the view that alone reads a value with these strides, and its strides; None where there is none, or
    it needs a copy."""
    if len(value.uses()) != 1 or value.is_graph_output():
        return None
    usage = next(iter(value.uses()))
    definition = find(usage.node.domain, usage.node.op_type)
    if definition is None or definition.alias is None or usage.idx != 0:
        return None
    made = definition.alias(site_of(usage.node), shape_of(value), strides)
    return None if made is None else (usage.node.outputs[0], made.strides)


def is_picture(value: ir.Value, strides: Strides) -> bool:
    """Whether the value lies with channels last where it is read so, behind views that nothing else reads."""
    while (seen := only_view(value, strides)) is not None:
        value, strides = seen
        if _lies(value, strides, channels_last(len(shape_of(value)))) and read_in_space(value):
            return True
    return False
