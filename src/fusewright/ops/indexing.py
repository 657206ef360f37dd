"""Which element does an index read from memory pick? Gathers, one-hot rows, reversed sequences.

Negative indices count from the end; others outside of the tensor are the user's error and read its nearest element.
"""

from __future__ import annotations

from fusewright.kernel import expr as E
from fusewright.kernel.expr import Expr, arg, index, select
from fusewright.kernel.tensor import Index, Moved, Tensor
from fusewright.ops.movement import clamp, lt, replaced, safe
from fusewright.ops.opdef import Kind, OpDef, Site


def wrapped(i: Expr, extent: int) -> Expr:
    """A run-time index as a position within [0, extent)."""
    i = E.cast(i, "i64")
    return clamp(select(lt(i, index(0)), i + arg(extent), i), extent)


def gather(site: Site, x: Tensor, indices: Tensor) -> Tensor:
    axis = int(site.get("axis")) % len(x.shape)
    count = len(indices.shape)

    def element(idx: Index) -> Expr:
        at = wrapped(indices.at(idx[axis : axis + count]), x.shape[axis])
        return safe_at(x, (*idx[:axis], at, *idx[axis + count :]))

    return Moved(site.shape, x.dtype, element=element, sources=(x, indices), name="gather")


def gather_elements(site: Site, x: Tensor, indices: Tensor) -> Tensor:
    axis = int(site.get("axis")) % len(x.shape)

    def element(idx: Index) -> Expr:
        return safe_at(x, replaced(idx, axis, wrapped(indices.at(idx), x.shape[axis])))

    return Moved(site.shape, x.dtype, element=element, sources=(x, indices), name="gather_elements")


def gather_nd(site: Site, x: Tensor, indices: Tensor) -> Tensor:
    batch = int(site.get("batch_dims"))
    depth = indices.shape[-1]
    outer = len(indices.shape) - 1

    def element(idx: Index) -> Expr:
        found = [wrapped(indices.at((*idx[:outer], index(k))), x.shape[batch + k]) for k in range(depth)]
        return safe_at(x, (*idx[:batch], *found, *idx[outer:]))

    return Moved(site.shape, x.dtype, element=element, sources=(x, indices), name="gather_nd")


def safe_at(x: Tensor, idx: Index) -> Expr:
    """The element at an index that is safe unless x is empty."""
    return safe(x, idx) if 0 in x.shape else x.at(idx)


def one_hot(site: Site, indices: Tensor, depth: Tensor, values: Tensor) -> Tensor:
    rank = len(site.shape)
    axis = int(site.get("axis")) % rank
    extent = site.shape[axis]

    def element(idx: Index) -> Expr:
        i = E.cast(indices.at((*idx[:axis], *idx[axis + 1 :])), "i64")
        i = select(lt(i, index(0)), i + arg(extent), i)
        hot = E.binary("eq", i, idx[axis])
        return select(hot, values.at((index(1),)), values.at((index(0),)))

    return Moved(site.shape, values.dtype, element=element, sources=(indices, values), name="one_hot")


def reverse_sequence(site: Site, x: Tensor, lengths: Tensor) -> Tensor:
    time, batch = int(site.get("time_axis")), int(site.get("batch_axis"))

    def element(idx: Index) -> Expr:
        length = E.cast(lengths.at((idx[batch],)), "i64")
        at = select(lt(idx[time], length), length - 1 - idx[time], idx[time])
        return x.at(replaced(idx, time, clamp(at, x.shape[time])))

    return Moved(site.shape, x.dtype, element=element, sources=(x, lengths), name="reverse_sequence")


OPS = (
    OpDef("Gather", Kind.MOVEMENT, gather),
    OpDef("GatherElements", Kind.MOVEMENT, gather_elements),
    OpDef("GatherND", Kind.MOVEMENT, gather_nd),
    OpDef("OneHot", Kind.MOVEMENT, one_hot),
    OpDef("ReverseSequence", Kind.MOVEMENT, reverse_sequence),
)
