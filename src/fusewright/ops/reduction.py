"""What does each reduction, and each normalisation made of reductions, compute?

Half precision is accumulated in float32. Reductions keep their axes as extents of 1; results without them are the same
elements under another shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import fusewright.kernel.expr as E
from fusewright.kernel.expr import Expr, arg
from fusewright.kernel.tensor import (
    Index,
    Moved,
    Reduced,
    Tensor,
    as_tensor,
    cast,
    map_,
    reduce,
    reshape_ones,
    where,
)
from fusewright.ops.opdef import Kind, OpDef, Site

NARROW = {"bool": "i32", "i8": "i32", "u8": "i32", "i16": "i32", "u16": "i32"}
SMALL = {"bool": (0, 1), "i8": (-128, 127), "u8": (0, 255)}
LAST_I32 = 2**31 - 1
MVN_EPSILON = 1e-9  # added to the standard deviation by the function body of MeanVarianceNormalization

Body = Callable[[Tensor, Sequence[int]], Tensor]


def wide(x: Tensor) -> Tensor:
    """In the type in which it is accumulated."""
    return cast(x, NARROW.get(x.dtype, x.dtype))


def integer(value: int, dtype: str) -> Tensor:
    """A number of elements, which the kernel gets when it is called, as a scalar of `dtype`."""
    count = arg(value)

    def element(idx: Index) -> Expr:
        return E.cast(count, dtype)

    return Moved((), dtype, element=element, name="count")


def mean(x: Tensor, axes: Sequence[int]) -> Tensor:
    """The mean over `axes`, kept as extents of 1; integers are divided towards zero."""
    total = reduce("sum", x, axes)
    if not isinstance(total, Reduced):
        return x
    count = 1
    for a in total.axes:
        count *= x.shape[a]
    return total / integer(count, x.dtype)


def within(y: Tensor, dtype: str) -> Tensor:
    """Back in `dtype`; the extreme of nothing, which small types do not hold, becomes their least or greatest value."""
    if dtype in SMALL:
        low, high = SMALL[dtype]
        y = map_("min", map_("max", y, low), high)
    return cast(y, dtype)


def square(x: Tensor) -> Tensor:
    return x * x


def sqrt(x: Tensor) -> Tensor:
    """In double precision for integers."""
    return map_("sqrt", x) if x.dtype in ("f32", "f64") else cast(map_("sqrt", cast(x, "f64")), x.dtype)


def log_sum_exp(x: Tensor, axes: Sequence[int]) -> Tensor:
    """log(sum(exp(x))), taken relative to the maximum where that is finite."""
    top = reduce("max", x, axes)
    top = where(map_("isinf", top), 0.0, top)
    return map_("log", reduce("sum", map_("exp", x - top), axes)) + top


# -- which dimensions does it reduce? ------------------------------------------------------------------------------

Axes = Callable[[Site], tuple[int, ...]]


def operand_rank(site: Site) -> int:
    first = site.inputs[0] if site.inputs else None
    return len(site.shape) if first is None else len(first[1])


def one_axis(default: int) -> Axes:
    """The attribute `axis`."""

    def axes(site: Site) -> tuple[int, ...]:
        rank = operand_rank(site)
        return (int(site.get("axis", default)) % rank,) if rank else ()

    return axes


def last_axes(site: Site) -> tuple[int, ...]:
    """From the attribute `axis` to the end."""
    rank = operand_rank(site)
    return tuple(range(int(site.get("axis", -1)) % rank, rank)) if rank else ()


def spatial_axes(site: Site) -> tuple[int, ...]:
    """All but batch and channels."""
    return tuple(range(2, operand_rank(site)))


def named_axes(site: Site) -> tuple[int, ...]:
    """The attribute `axes` of MeanVarianceNormalization."""
    rank = operand_rank(site)
    return tuple(sorted({int(a) % rank for a in site.get("axes", [0, 2, 3])})) if rank else ()


def reduce_axes(site: Site, rank: int) -> list[int]:
    """The axes of a Reduce operation: an input, an attribute in old opsets, all when none are named."""
    given = site.ints(1)
    if given is None:
        given = site.get("axes")
    if given:
        return [int(a) for a in given]
    return [] if site.get("noop_with_empty_axes", 0) else list(range(rank))


def reducing(name: str, body: Body, is_mean: bool = False) -> OpDef:
    def lower(site: Site, x: Tensor, *_: Tensor | None) -> Tensor:
        axes = reduce_axes(site, len(x.shape))
        return within(reshape_ones(body(wide(x), axes), site.shape), site.dtype)

    def axes_of(site: Site) -> tuple[int, ...]:
        rank = operand_rank(site)
        return tuple(sorted({a % rank for a in reduce_axes(site, rank)})) if rank else ()

    return OpDef(name, Kind.REDUCTION, lower, constants=(1,), axes=axes_of, mean=is_mean)


def spatial(name: str, body: Callable[[Site, Tensor, Sequence[int]], Tensor], is_mean: bool = False) -> OpDef:
    """Global pooling: over all dimensions but batch and channels."""

    def lower(site: Site, x: Tensor) -> Tensor:
        return cast(body(site, wide(x), range(2, len(x.shape))), site.dtype)

    return OpDef(name, Kind.REDUCTION, lower, axes=spatial_axes, mean=is_mean)


def norm(x: Tensor, axes: Sequence[int], p: int) -> Tensor:
    """(sum |x|^p)^(1/p)"""
    if p == 1:
        return reduce("sum", map_("abs", x), axes)
    if p == 2:
        return map_("sqrt", reduce("sum", square(x), axes))
    return map_("pow", reduce("sum", map_("pow", map_("abs", x), float(p)), axes), 1.0 / p)


# -- softmax: less its row's largest, no element is above 0, as exp_low wants it -----------------------------------


def softmax(site: Site, x: Tensor) -> Tensor:
    axes = (int(site.get("axis", -1)),)
    x = wide(x)
    e = map_("exp_low", x - reduce("max", x, axes))
    return cast(e * (1.0 / reduce("sum", e, axes)), site.dtype)  # the sum is at least 1: its reciprocal is harmless


def log_softmax(site: Site, x: Tensor) -> Tensor:
    axes = (int(site.get("axis", -1)),)
    x = wide(x)
    centred = x - reduce("max", x, axes)
    return cast(centred - map_("log", reduce("sum", map_("exp_low", centred), axes)), site.dtype)


# -- where is the extreme? ----------------------------------------------------------------------------------------


def places(shape: tuple[int, ...], axis: int) -> Tensor:
    """The index along `axis` of each element."""

    def element(idx: Index) -> Expr:
        return E.cast(idx[axis], "i32")

    own = tuple(d if i == axis else 1 for i, d in enumerate(shape))
    return Moved(own, "i32", element=element, name="place")


def extreme_place(x: Tensor, kind: str, axis: int, last: bool) -> Tensor:
    """The first (or last) index along `axis` of the maximum or minimum, kept as an extent of 1; NaN is an extreme."""
    x = wide(x)
    hit = map_("eq", x, reduce(kind, x, (axis,)))
    if x.dtype in E.FLOATS:
        hit = map_("or", hit, map_("isnan", x))
    here = places(x.shape, axis)
    return reduce("max", where(hit, here, -1), (axis,)) if last else reduce("min", where(hit, here, LAST_I32), (axis,))


def arg_extreme(name: str, kind: str) -> OpDef:
    def lower(site: Site, x: Tensor) -> Tensor:
        axis = int(site.get("axis", 0)) % max(1, len(x.shape))
        if not x.shape:
            return cast(map_("mul", cast(x, "i64"), 0), "i64")
        found = extreme_place(x, kind, axis, bool(site.get("select_last_index", 0)))
        return cast(reshape_ones(found, site.shape), "i64")

    return OpDef(name, Kind.REDUCTION, lower, axes=one_axis(0))


def hardmax(site: Site, x: Tensor) -> Tensor:
    """1 at the first maximum along the axis, 0 elsewhere."""
    axis = int(site.get("axis", -1)) % len(x.shape)
    hit = map_("eq", places(x.shape, axis), extreme_place(x, "max", axis, False))
    return cast(where(hit, as_tensor(1.0, "f32"), as_tensor(0.0, "f32")), site.dtype)


# -- normalisation ------------------------------------------------------------------------------------------------


def standardize(x: Tensor, axes: Sequence[int], epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """(x - mean) / sqrt(variance + epsilon), the mean, and 1 / sqrt(variance + epsilon), without cancellation."""
    centre = mean(x, axes)
    centred = x - centre
    inverse = 1.0 / map_("sqrt", mean(square(centred), axes) + epsilon)
    return centred * inverse, centre, inverse


def epsilon_of(site: Site) -> float:
    return float(site.get("epsilon", 1e-5))


def layer_normalization(
    site: Site, x: Tensor, scale: Tensor, bias: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    x = wide(x)
    axis = int(site.get("axis", -1)) % len(x.shape)
    y, centre, inverse = standardize(x, range(axis, len(x.shape)), epsilon_of(site))
    y = y * cast(scale, x.dtype)
    if bias is not None:
        y = y + cast(bias, x.dtype)
    stash = [site.dtypes[i] if i < len(site.dtypes) else "f32" for i in (1, 2)]
    return cast(y, site.dtype), cast(centre, stash[0]), cast(inverse, stash[1])


def rms_normalization(site: Site, x: Tensor, scale: Tensor) -> Tensor:
    x = wide(x)
    axis = int(site.get("axis", -1)) % len(x.shape)
    inverse = 1.0 / map_("sqrt", mean(square(x), range(axis, len(x.shape))) + epsilon_of(site))
    return cast(x * inverse * cast(scale, x.dtype), site.dtype)


def per_channel(p: Tensor, x: Tensor) -> Tensor:
    """[C] as an operand of [N, C, ...], in the type of x."""
    return reshape_ones(cast(p, x.dtype), (*p.shape, *(1,) * (len(x.shape) - 2)))


def mean_variance_normalization(site: Site, x: Tensor) -> Tensor:
    x = wide(x)
    axes = site.get("axes", [0, 2, 3])
    centred = x - mean(x, axes)
    return cast(centred / (map_("sqrt", mean(square(centred), axes)) + MVN_EPSILON), site.dtype)


def lp_normalization(site: Site, x: Tensor) -> Tensor:
    """x / norm, and 0 where the norm is 0."""
    x, p = wide(x), int(site.get("p", 2))
    length = norm(x, (int(site.get("axis", -1)),), p)
    length = where(map_("eq", length, 0.0), 1.0, length)
    # a square root is far from both ends of the float range: its reciprocal loses nothing
    return cast(x * (1.0 / length) if p == 2 else x / length, site.dtype)


def batch_normalization(site: Site, x: Tensor, scale: Tensor, bias: Tensor, centre: Tensor, variance: Tensor) -> Tensor:
    x = wide(x)
    if len(x.shape) < 2:
        scale, bias, centre, variance = (reshape_ones(cast(p, x.dtype), ()) for p in (scale, bias, centre, variance))
    else:
        scale, bias, centre, variance = (per_channel(p, x) for p in (scale, bias, centre, variance))
    return cast((x - centre) * (scale / map_("sqrt", variance + epsilon_of(site))) + bias, site.dtype)


def only_inference(site: Site) -> str | None:
    return "training mode" if site.get("training_mode", 0) else None


OPS = (
    reducing("ReduceSum", lambda x, axes: reduce("sum", x, axes)),
    reducing("ReduceMean", mean, is_mean=True),
    reducing("ReduceMax", lambda x, axes: reduce("max", x, axes)),
    reducing("ReduceMin", lambda x, axes: reduce("min", x, axes)),
    reducing("ReduceProd", lambda x, axes: reduce("prod", x, axes)),
    reducing("ReduceL1", lambda x, axes: reduce("sum", map_("abs", x), axes)),
    reducing("ReduceL2", lambda x, axes: sqrt(reduce("sum", square(x), axes))),
    reducing("ReduceSumSquare", lambda x, axes: reduce("sum", square(x), axes)),
    reducing("ReduceLogSum", lambda x, axes: map_("log", reduce("sum", x, axes))),
    reducing("ReduceLogSumExp", log_sum_exp),
    spatial("GlobalAveragePool", lambda site, x, axes: mean(x, axes), is_mean=True),
    spatial("GlobalMaxPool", lambda site, x, axes: reduce("max", x, axes)),
    spatial("GlobalLpPool", lambda site, x, axes: norm(x, axes, int(site.get("p", 2)))),
    OpDef("Softmax", Kind.REDUCTION, softmax, axes=one_axis(-1), softmax=True),
    OpDef("LogSoftmax", Kind.REDUCTION, log_softmax, axes=one_axis(-1)),
    arg_extreme("ArgMax", "max"),
    arg_extreme("ArgMin", "min"),
    OpDef("Hardmax", Kind.REDUCTION, hardmax, axes=one_axis(-1)),
    OpDef("LayerNormalization", Kind.REDUCTION, layer_normalization, axes=last_axes),
    OpDef("RMSNormalization", Kind.REDUCTION, rms_normalization, axes=last_axes),
    OpDef("MeanVarianceNormalization", Kind.REDUCTION, mean_variance_normalization, axes=named_axes),
    OpDef("LpNormalization", Kind.REDUCTION, lp_normalization, axes=one_axis(-1)),
    OpDef("BatchNormalization", Kind.ELEMENTWISE, batch_normalization, supports=only_inference, channels=True),
    OpDef("CumSum", Kind.CUSTOM, constants=(1,), schedule="scan"),
    OpDef("CumProd", Kind.CUSTOM, constants=(1,), schedule="scan"),
)
