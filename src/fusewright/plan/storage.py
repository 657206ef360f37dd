"""Where does each value live? A root (one piece of memory) and the strides in which its elements lie there."""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx_ir as ir

from fusewright.graph.group import Group, dtype_of, elements, shape_of
from fusewright.kernel.expr import SIZES
from fusewright.ops.alias import order_after_reshape
from fusewright.ops.opdef import Kind, Strides
from fusewright.plan.orders import channels_last, in_order, is_spatial, leaves_next, merge_order, transposed_use
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
        if group.kind == Kind.MOVEMENT.value and leaves_next(value):
            return tuple(range(rank))
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


def byte_size(value: ir.Value) -> int:
    return elements(shape_of(value)) * SIZES[dtype_of(value)]
