"""Where does each element of a moved tensor come from? Index maps, with the sizes as run-time integers.

Every load must be safe: an index that may leave its tensor is clamped first, and the value chosen afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from fusewright.kernel.expr import Expr, Op, all_of, arg, binary, const, index, maximum, minimum, select
from fusewright.kernel.tensor import Index, Mapped, Moved, Tensor
from fusewright.ops.opdef import Alias, Kind, OpDef, Site, Strides


def lt(a: Expr, b: Expr) -> Expr:
    return Op("bool", a.vec or b.vec, "lt", (a, b))


def ge(a: Expr, b: Expr) -> Expr:
    return Op("bool", a.vec or b.vec, "ge", (a, b))


def clamp(i: Expr, extent: int) -> Expr:
    """The nearest index within [0, extent)."""
    return index(0) if extent == 1 else maximum(minimum(i, arg(extent - 1)), index(0))


def safe(x: Tensor, idx: Sequence[Expr]) -> Expr:
    """The element of x nearest to `idx`; 0 where x has none."""
    if 0 in x.shape:
        return const(0, x.dtype)
    return x.at(tuple(clamp(i, d) for i, d in zip(idx, x.shape, strict=True)))


def replaced(idx: Index, dim: int, by: Expr) -> Index:
    return (*idx[:dim], by, *idx[dim + 1 :])


def shifted(x: Tensor, shape: tuple[int, ...], dim: int, start: int) -> Tensor:
    """x from `start` on along `dim`."""

    def element(idx: Index) -> Expr:
        return x.at(replaced(idx, dim, idx[dim] + arg(start)))

    return Moved(shape, x.dtype, element=element, sources=(x,), name="slice")


def slice_(site: Site, x: Tensor, *_: Tensor | None) -> Tensor:
    ranges = slice_ranges(site, x.shape)

    def element(idx: Index) -> Expr:
        inner = list(idx)
        for d, r in ranges.items():
            if x.shape[d] != 1:
                inner[d] = idx[d] * r.step + arg(r.start)  # steps are spelled: 1 keeps vectors whole
        return x.at(tuple(inner))

    return Moved(site.shape, x.dtype, element=element, sources=(x,), name="slice")


def slice_ranges(site: Site, shape: Sequence[int]) -> dict[int, range]:
    """The indices along each dimension that a Slice names."""
    rank = len(shape)
    starts, ends = site.ints(1) or [], site.ints(2) or []
    axes = site.ints(3) or list(range(len(starts)))
    steps = site.ints(4) or [1] * len(starts)
    return {a % rank: range(shape[a])[slice(s, e, p)] for a, s, e, p in zip(axes, starts, ends, steps, strict=True)}


def slice_window(site: Site, shape: Sequence[int], strides: Strides) -> tuple[Alias, ...] | None:
    """A part of the operand's memory, unless elements are left out between (they would be read one by one)."""
    ranges = slice_ranges(site, shape)
    if any(r.step != 1 for r in ranges.values()):
        return None
    return (Alias(tuple(strides), sum(r.start * strides[d] for d, r in ranges.items())),)


def split(site: Site, x: Tensor, *_: Tensor | None) -> tuple[Tensor, ...]:
    axis = int(site.get("axis", 0)) % len(x.shape)
    start, parts = 0, []
    for shape in site.shapes:
        parts.append(shifted(x, shape, axis, start))
        start += shape[axis]
    return tuple(parts)


def split_windows(site: Site, shape: Sequence[int], strides: Strides) -> tuple[Alias, ...]:
    """Neighbouring parts of the operand's memory."""
    axis = int(site.get("axis", 0)) % len(shape)
    start, parts = 0, []
    for part in site.shapes:
        parts.append(Alias(tuple(strides), start * strides[axis]))
        start += part[axis]
    return tuple(parts)


def pad(site: Site, x: Tensor, pads: None = None, fill: Tensor | None = None, *_: Tensor | None) -> Tensor:
    rank = len(x.shape)
    given = site.ints(1) or []
    axes = site.ints(3)
    dims = list(range(rank)) if axes is None else [a % rank for a in axes]
    before = {d: given[k] for k, d in enumerate(dims)}
    after = {d: given[k + len(dims)] for k, d in enumerate(dims)}
    moved = [d for d in range(rank) if before.get(d, 0) or after.get(d, 0)]
    mode = site.get("mode")

    def element(idx: Index) -> Expr:
        inner = list(idx)
        inside: list[Expr] = []
        for d in moved:
            at = idx[d] - arg(before[d])
            extent = x.shape[d]
            if mode == "constant":
                if before[d] > 0:
                    inside.append(ge(at, index(0)))
                if after[d] > 0:
                    inside.append(lt(at, arg(extent)))
            inner[d] = clamp(_fold_back(mode, at, extent, max(before[d], after[d])), extent)
        if mode == "constant":
            value = const(0, x.dtype) if fill is None else fill.at((index(0),) * len(fill.shape))
            if 0 in x.shape:
                return value
            condition = all_of(inside)
            return x.at(tuple(inner)) if condition is None else select(condition, x.at(tuple(inner)), value)
        return safe(x, inner)

    sources = (x,) if fill is None else (x, fill)
    return Moved(site.shape, x.dtype, element=element, sources=sources, name="pad")


def _fold_back(mode: str, at: Expr, extent: int, furthest: int) -> Expr:
    """Where a padding of `mode` takes the element `at`, up to `furthest` outside of [0, extent)."""
    if mode == "wrap" and extent > 0:
        return (at + arg(extent * -(-furthest // extent))) % arg(extent)
    if mode == "reflect" and extent > 1:
        period = 2 * (extent - 1)
        if furthest >= extent:  # it bounces more than once
            at = (at + arg(period * -(-furthest // period))) % arg(period)
        at = maximum(at, index(0) - at)
        return minimum(at, arg(period) - at)
    return at


def pad_supported(site: Site) -> str | None:
    mode = site.get("mode")
    return None if mode in ("constant", "edge", "reflect", "wrap") else f"mode {mode!r} is not known"


def expand(site: Site, x: Tensor, *_: Tensor | None) -> Tensor:
    return Mapped(site.shape, x.dtype, fn=lambda v: v, args=(x,), name="expand")


def depth_to_space(site: Site, x: Tensor) -> Tensor:
    block = int(site.get("blocksize"))
    depth = site.shape[1]
    column_first = site.get("mode") == "DCR"

    def element(idx: Index) -> Expr:
        n, c, h, w = idx
        part = (h % index(block)) * block + w % index(block)
        channel = part * arg(depth) + c if column_first else c * (block * block) + part
        return x.at((n, channel, h // index(block), w // index(block)))

    return Moved(site.shape, x.dtype, element=element, sources=(x,), name="depth_to_space")


def space_to_depth(site: Site, x: Tensor) -> Tensor:
    block = int(site.get("blocksize"))
    depth = x.shape[1]
    column_first = site.get("mode", "DCR") == "DCR"

    def element(idx: Index) -> Expr:
        n, c, h, w = idx
        if column_first:
            part, channel = c // arg(depth), c % arg(depth)
        else:
            part, channel = c % index(block**2), c // index(block**2)
        return x.at((n, channel, h * block + part // index(block), w * block + part % index(block)))

    return Moved(site.shape, x.dtype, element=element, sources=(x,), name="space_to_depth")


def trilu(site: Site, x: Tensor, *_: Tensor | None) -> Tensor:
    k = (site.ints(1) or [0])[0]
    upper = bool(site.get("upper"))

    def element(idx: Index) -> Expr:
        edge = idx[-2] + arg(k)
        return select(binary("ge" if upper else "le", idx[-1], edge), x.at(idx), 0)

    return Moved(site.shape, x.dtype, element=element, sources=(x,), name="trilu")


def center_crop_pad(site: Site, x: Tensor, *_: Tensor | None) -> Tensor:
    def element(idx: Index) -> Expr:
        inner = list(idx)
        inside: list[Expr] = []
        for d, (have, wanted) in enumerate(zip(x.shape, site.shape, strict=True)):
            if wanted < have:
                inner[d] = idx[d] + arg((have - wanted) // 2)
            elif wanted > have:
                at = idx[d] - arg((wanted - have) // 2)
                inside += [ge(at, index(0)), lt(at, arg(have))]
                inner[d] = clamp(at, have)
        condition = all_of(inside)
        value = const(0, x.dtype) if 0 in x.shape else x.at(tuple(inner))
        return value if condition is None else select(condition, value, 0)

    return Moved(site.shape, x.dtype, element=element, sources=(x,), name="center_crop_pad")


def concat_axis(site: Site) -> int:
    return int(site.get("axis")) % len(site.shape)


OPS = (
    OpDef("Slice", Kind.MOVEMENT, slice_, constants=(1, 2, 3, 4), windows=slice_window),
    OpDef("Split", Kind.MOVEMENT, split, constants=(1,), windows=split_windows),
    OpDef("Pad", Kind.MOVEMENT, pad, constants=(1, 3), supports=pad_supported),
    OpDef("Expand", Kind.MOVEMENT, expand, constants=(1,)),
    OpDef("DepthToSpace", Kind.MOVEMENT, depth_to_space),
    OpDef("SpaceToDepth", Kind.MOVEMENT, space_to_depth),
    OpDef("Trilu", Kind.MOVEMENT, trilu, constants=(1,)),
    OpDef("CenterCropPad", Kind.MOVEMENT, center_crop_pad, constants=(1,)),
    OpDef("Concat", Kind.CUSTOM, schedule="concat", joins=concat_axis),
)
