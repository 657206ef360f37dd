"""Which operations only look at the same elements under other dimensions? They need no kernel where memory allows."""

from __future__ import annotations

from fusewright.kernel.expr import Expr, arg, index
from fusewright.kernel.tensor import Index, Moved, Tensor, reshape_ones
from fusewright.ops import alias
from fusewright.ops.opdef import Kind, OpDef, Site


def reshape(site: Site, x: Tensor, *_: Tensor | None) -> Tensor:
    """The element form: the place in row-major order under the new extents, taken apart under the old ones; where some
    dimensions hold the same elements as others, apart from the rest."""
    shape = site.shape
    if [d for d in shape if d != 1] == [d for d in x.shape if d != 1]:
        return reshape_ones(x, shape)
    everything = [(list(range(len(x.shape))), list(range(len(shape))))]
    runs = alias.matched_runs(x.shape, shape) or everything

    def element(idx: Index) -> Expr:
        inner: list[Expr] = [index(0)] * len(x.shape)
        for old, new in runs:
            place: Expr = idx[new[0]]
            for d in new[1:]:
                place = place * arg(shape[d]) + idx[d]
            for k in reversed(old[1:]):
                size = arg(x.shape[k])
                inner[k] = place % size
                place = place // size
            inner[old[0]] = place
        return x.at(tuple(inner))

    return Moved(shape, x.dtype, element=element, sources=(x,), name="reshape")


def transpose(site: Site, x: Tensor) -> Tensor:
    order = tuple(int(d) for d in site.get("perm") or reversed(range(len(x.shape))))

    def element(idx: Index) -> Expr:
        inner: list[Expr] = [index(0)] * len(order)
        for i, d in zip(idx, order, strict=True):
            inner[d] = i
        return x.at(tuple(inner))

    return Moved(site.shape, x.dtype, element=element, sources=(x,), name="transpose")


def identity(site: Site, x: Tensor) -> Tensor:
    return x


OPS = (
    OpDef("Reshape", Kind.VIEW, reshape, constants=(1,), alias=alias.reshaped),
    OpDef("Flatten", Kind.VIEW, reshape, alias=alias.reshaped),
    OpDef("Squeeze", Kind.VIEW, reshape, constants=(1,), alias=alias.reshaped),
    OpDef("Unsqueeze", Kind.VIEW, reshape, constants=(1,), alias=alias.reshaped),
    OpDef("Transpose", Kind.VIEW, transpose, alias=alias.transposed, permutes=True),
    OpDef("Identity", Kind.VIEW, identity, alias=alias.same),
)
