"""Regions of interest -> grids of equal size: each bin is the mean (or the maximum) of bilinear samples within it."""

from __future__ import annotations

from fusewright.graph.group import elements, shape_of
from fusewright.kernel import expr as E
from fusewright.kernel.expr import Expr, Load, Op, arg, const, index, select
from fusewright.kernel.loops import Kernel
from fusewright.kernel.tensor import Tensor
from fusewright.ops.movement import clamp
from fusewright.schedules.scatter import decompose
from fusewright.schedules.task import Lowered, Task

MOST_SAMPLES = 1 << 12
"""Samples of one bin along one axis: what a region of absurd size is cut to."""


def lower_roi_align(task: Task) -> list[Lowered]:
    node, result = task.group.anchor, task.group.outputs[0]
    site = task.site(node)
    values = [v for v in node.inputs if v is not None]
    kernel = task.kernel("roi_align")
    x, rois, batches = (task.tensor(v) for v in values)
    operands = task.bind_inputs(kernel, [x, rois, batches])
    _, place = task.bind_output(kernel, result)
    operands.append(result)
    shape = shape_of(result)
    wide = "f64" if x.dtype == "f64" else "f32"
    maximum = site.get("mode") == "max"
    with kernel.loop(kernel.hi, "u", start=kernel.lo) as unit:
        n, c, *bins = decompose(kernel, unit, shape, "i")
        batch = kernel.let(clamp(E.cast(batches.at((n,)), "i64"), x.shape[0]), "batch")
        half_pixel = site.get("coordinate_transformation_mode") == "half_pixel"
        steps: list[tuple[Expr, Expr, Expr]] = []  # for each axis: first sample, distance, count
        for d in (0, 1):
            scale, offset = float(site.get("spatial_scale")), 0.5 if half_pixel else 0.0
            low, high = (E.cast(rois.at((n, index(k))), wide) * scale - offset for k in (1 - d, 3 - d))
            extent = high - low if half_pixel else E.maximum(high - low, 1.0)
            size = kernel.let(E.binary("div", extent, E.cast(arg(shape[2 + d]), wide)), "size")
            ratio = int(site.get("sampling_ratio"))
            count: Expr = index(ratio)
            if ratio <= 0:
                asked = E.minimum(E.maximum(E.op("ceil", size), 0.0), float(MOST_SAMPLES))
                count = kernel.let(E.cast(asked, "i64"), "count")
            step = kernel.let(E.binary("div", size, E.cast(E.maximum(count, index(1)), wide)), "step")
            first = kernel.let(low + E.cast(bins[d], wide) * size + step * 0.5, "first")
            steps.append((first, step, count))
        total = kernel.mutable(const(0, wide), "total")
        (y0, dy, ny), (x0, dx, nx) = steps
        with kernel.loop(ny, "sy") as sy:
            y = kernel.let(y0 + E.cast(sy, wide) * dy, "y")
            with kernel.loop(nx, "sx") as sx:
                at = kernel.let(x0 + E.cast(sx, wide) * dx, "x")
                terms = [kernel.let(t, "t") for t in _samples(x, (batch, c), (y, at), wide)]
                if maximum:
                    best = E.maximum(E.maximum(terms[0], terms[1]), E.maximum(terms[2], terms[3]))
                    begin = Op("bool", False, "eq", (sy + sx, index(0)))
                    kernel.assign(total, select(begin, best, E.maximum(total, best)))
                else:
                    kernel.assign(total, total + (terms[0] + terms[1] + terms[2] + terms[3]))
        value: Expr = total
        if not maximum:
            value = E.binary("div", total, E.cast(E.maximum(ny * nx, index(1)), wide))
        _store(kernel, place, (n, c, *bins), E.cast(value, x.dtype))
    return [Lowered(kernel, operands, elements(shape), flop=elements(shape) * 40)]


def _samples(x: Tensor, outer: tuple[Expr, Expr], point: tuple[Expr, Expr], wide: str) -> list[Expr]:
    """The four neighbours of a point with their weights; 0 where the point lies more than one element outside."""
    sides: list[tuple[tuple[Expr, Expr], tuple[Expr, Expr]]] = []
    inside: Expr | None = None
    for at, extent in zip(point, x.shape[2:], strict=True):
        length = E.cast(arg(extent), wide)
        within = E.op("and", at >= -1.0, at <= length)
        inside = within if inside is None else E.op("and", inside, within)
        held = E.minimum(E.maximum(select(within, at, 0), 0.0), length - 1.0)
        low = E.cast(E.op("floor", held), "i64")
        share = held - E.op("floor", held)
        sides.append(((clamp(low, extent), 1.0 - share), (clamp(low + 1, extent), share)))
    assert inside is not None
    terms = []
    for row, row_share in sides[0]:
        for column, column_share in sides[1]:
            value = E.cast(x.at((*outer, row, column)), wide) * (row_share * column_share)
            terms.append(select(inside, value, 0))
    return terms


def _store(kernel: Kernel, place: Tensor, idx: tuple[Expr, ...], value: Expr) -> None:
    target = place.at(idx)
    assert isinstance(target, Load)
    kernel.store(target.buffer, target.index, value)


SCHEDULES = {"roi_align": lower_roi_align}
