"""Which element does an index read from memory pick? Gathers, one-hot rows, reversed sequences.

Negative indices count from the end; others outside of the tensor are the user's error and read its nearest element.
"""

from __future__ import annotations

from fusewright.kernel import expr as E
from fusewright.kernel.expr import Expr, arg, index, select
from fusewright.kernel.tensor import Index, Moved, Tensor
from fusewright.ops.movement import clamp, ge, lt, replaced, safe
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


def tensor_scatter(site: Site, past: Tensor, update: Tensor, writes: Tensor | None = None) -> Tensor:
    """The cache `past` with `update` written along `axis` from `writes[batch]` on; circular ones begin again."""
    axis = int(site.get("axis")) % len(past.shape)
    extent, count = past.shape[axis], update.shape[axis]
    circular = site.get("mode") == "circular"

    def element(idx: Index) -> Expr:
        at = idx[axis]
        if writes is not None:
            at = at - E.cast(writes.at((idx[0],)), "i64")
        if circular:
            at = select(lt(at, index(0)), at + arg(extent), at)
        inside = E.op("and", ge(at, index(0)), lt(at, arg(count)))
        return select(inside, update.at(replaced(idx, axis, clamp(at, count))), past.at(idx))

    sources = (past, update) if writes is None else (past, update, writes)
    return Moved(site.shape, past.dtype, element=element, sources=sources, name="tensor_scatter")


OPS = (
    OpDef("Gather", Kind.MOVEMENT, gather),
    OpDef("GatherElements", Kind.MOVEMENT, gather_elements),
    OpDef("GatherND", Kind.MOVEMENT, gather_nd),
    OpDef("OneHot", Kind.MOVEMENT, one_hot),
    OpDef("ReverseSequence", Kind.MOVEMENT, reverse_sequence),
    OpDef("TensorScatter", Kind.MOVEMENT, tensor_scatter),
    OpDef("ScatterElements", Kind.CUSTOM, schedule="scatter_elements"),
    OpDef("ScatterND", Kind.CUSTOM, schedule="scatter_nd"),
    OpDef("TopK", Kind.CUSTOM, constants=(1,), schedule="topk"),
)
