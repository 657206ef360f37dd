"""Which tensors come from no tensor at all? Constant fills, ranges, identity matrices."""

from __future__ import annotations

from fusewright.kernel import expr as E
from fusewright.kernel.expr import Expr, arg, const, index, select
from fusewright.kernel.tensor import Index, Moved, Tensor
from fusewright.ops.opdef import Kind, OpDef, Site


def constant_of_shape(site: Site, *_: Tensor | None) -> Tensor:
    fill = site.get("value")
    value = 0 if fill is None else fill.numpy().reshape(-1)[0].item()
    return Moved(site.shape, site.dtype, element=lambda idx: const(value, site.dtype), name="fill")


def eye_like(site: Site, *_: Tensor) -> Tensor:
    k = int(site.get("k"))

    def element(idx: Index) -> Expr:
        return select(E.binary("eq", idx[1], idx[0] + arg(k)), const(1, site.dtype), const(0, site.dtype))

    return Moved(site.shape, site.dtype, element=element, name="eye")


def range_(site: Site, start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    """start + i delta; where the limit is computed at run time, inference has refused the model already."""
    dtype = site.dtype

    def element(idx: Index) -> Expr:
        first, step = (t.at((index(0),) * len(t.shape)) for t in (start, delta))
        return first + E.cast(idx[0], dtype) * step

    return Moved(site.shape, dtype, element=element, sources=(start, delta), name="range")


OPS = (
    OpDef("ConstantOfShape", Kind.MOVEMENT, constant_of_shape, constants=(0,)),
    OpDef("EyeLike", Kind.MOVEMENT, eye_like),
    OpDef("Range", Kind.MOVEMENT, range_),
)
