"""Where does each value live? A root (one piece of memory) and the strides in which its elements lie there."""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx_ir as ir

from fusewright.graph.group import Group, dtype_of, elements, shape_of
from fusewright.graph.site import site_of
from fusewright.kernel.expr import SIZES
from fusewright.ops.alias import order_after_reshape
from fusewright.ops.opdef import Kind, Strides
from fusewright.ops.registry import find
from fusewright.plan.program import Space


@dataclass(eq=False)
class Root:
    """One piece of memory; `first` and `last` are the calls between which it must be kept (arena only)."""

    space: Space
    bytes: int
    index: int = 0
    offset: int = 0
    first: int = -1
    last: int = -1


@dataclass(frozen=True)
class Storage:
    """Strides and offset in elements."""

    root: Root
    strides: Strides
    offset: int = 0


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


@dataclass
class StorageMap:
    """Chooses the memory order of every value as groups are visited in execution order."""

    storages: dict[ir.Value, Storage] = field(default_factory=dict)

    def order_for(self, group: Group, value: ir.Value) -> tuple[int, ...]:
        """The order of dimensions in which a group's result is laid out.

        Convolutions and pooling: channels last. A result that is only transposed: so that the transposition is free.
        Others: as the largest operand of the same rank lies, so that vectors stay vectors.
        """
        shape = shape_of(value)
        rank = len(shape)
        wanted = transposed_use(value)
        if wanted is not None:
            return wanted
        if group.kind in (Kind.CONTRACTION.value, Kind.WINDOW.value) and is_spatial(group.anchor, value):
            return channels_last(rank)
        if group.kind == Kind.VIEW.value:  # a view that needs a copy after all
            source = group.inputs[0]
            if source in self.storages:
                order = order_after_reshape(shape_of(source), self.storages[source].strides, shape)
                if order is not None:
                    return order
        if group.kind in (Kind.ELEMENTWISE.value, Kind.REDUCTION.value, Kind.MOVEMENT.value, Kind.CUSTOM.value):
            best, size = None, 0
            for v in group.inputs:
                if v in self.storages and len(shape_of(v)) == rank and elements(shape_of(v)) > size:
                    best, size = v, elements(shape_of(v))
            if best is not None:
                strides, extents = self.storages[best].strides, shape_of(best)
                # extents of 1 have no place in memory: they stay where row-major order has them
                moving = [d for d in range(rank) if extents[d] != 1]
                if all(extents[d] == 1 for d in range(rank) if d not in moving and shape[d] != 1):
                    ranked = sorted(moving, key=lambda d: (-strides[d], d))
                    return merge_order(ranked, rank)
        return tuple(range(rank))

    def place(self, value: ir.Value, root: Root, order: tuple[int, ...]) -> None:
        self.storages[value] = Storage(root, in_order(shape_of(value), order))


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


def transposed_use(value: ir.Value) -> tuple[int, ...] | None:
    """The order in which the result of the one transposition that reads `value` lies well, if nothing else reads it.

    A transposition is a view whose result walks row-major memory in another order of the same dimensions. It lies well
    in row-major order, or with channels last where convolutions or pooling read it.
    """
    uses = list(value.uses())
    if len(uses) != 1 or value.is_graph_output():
        return None
    node = uses[0].node
    definition = find(node.domain, node.op_type)
    if definition is None or definition.alias is None or uses[0].idx != 0:
        return None
    shape = shape_of(value)
    made = definition.alias(site_of(node), shape, row_major(shape))
    if made is None or len(made.strides) != len(shape):
        return None
    dims = {stride: d for d, stride in enumerate(row_major(shape)) if shape[d] != 1}
    result = node.outputs[0]
    moved = [dims.get(s) for s, d in zip(made.strides, shape_of(result), strict=True) if d != 1]
    ranked = [d for d in moved if d is not None]
    if len(ranked) != len(dims) or len(moved) != len(ranked) or ranked == sorted(ranked):
        return None
    if read_in_space(result):
        order = [d for d in channels_last(len(shape)) if shape_of(result)[d] != 1]
        ranked = [ranked[sorted(order).index(d)] for d in order]
    elif is_picture(value, row_major(shape)):
        return tuple(range(len(shape)))
    return merge_order(ranked, len(shape))


def read_in_space(value: ir.Value) -> bool:
    """Whether convolutions and pooling alone read the value."""
    return not value.is_graph_output() and all(u.idx == 0 and is_spatial(u.node, value) for u in value.uses())


def is_picture(value: ir.Value, strides: Strides) -> bool:
    """Whether convolutions or pooling read the value with channels last, behind views that nothing else reads."""
    while not read_in_space(value):
        uses = list(value.uses())
        if len(uses) != 1 or value.is_graph_output():
            return False
        node = uses[0].node
        definition = find(node.domain, node.op_type)
        if definition is None or definition.alias is None or uses[0].idx != 0:
            return False
        made = definition.alias(site_of(node), shape_of(value), strides)
        if made is None:
            return False
        value, strides = node.outputs[0], made.strides
    shape = shape_of(value)
    wanted = in_order(shape, channels_last(len(shape)))
    return all(a == b for a, b, extent in zip(strides, wanted, shape, strict=True) if extent != 1)


def byte_size(value: ir.Value) -> int:
    return elements(shape_of(value)) * SIZES[dtype_of(value)]
