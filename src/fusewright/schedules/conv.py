"""Conv -> the normal form of `schedules.product`: taps and input channels are its k, output channels its columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import onnx_ir as ir

from fusewright.graph.group import dtype_of, elements, shape_of
from fusewright.kernel.expr import Expr, index
from fusewright.kernel.tensor import Anchor, Source, Tensor
from fusewright.schedules.choice import Option
from fusewright.schedules.contract import NO_LOOP, epilogue_walks, operand_walks
from fusewright.schedules.convolution import Convolution, in_group, lower_product, scaled_input
from fusewright.schedules.depthwise import is_depthwise, lower_depthwise
from fusewright.schedules.epilogue import bias_along, epilogue
from fusewright.schedules.filters import Filters
from fusewright.schedules.geometry import conv_geometry
from fusewright.schedules.normal_form import Loop, Product, Tap
from fusewright.schedules.paired_conv import pairs
from fusewright.schedules.pointwise import Axis, merge_axes
from fusewright.schedules.prologue import left_side, pixel_staging
from fusewright.schedules.staging import conv_staging
from fusewright.schedules.task import Lowered, Task, Way
from fusewright.schedules.tile import in_halves, pick_tile, tile_costs
from fusewright.schedules.winograd_ways import OPEN_PIXELS, direct_cycles, of_planes, ways, work_of

COMPUTED = 4.0  # cycles of a vector of the left side that is computed and staged
ACROSS = 1.08  # what tiles across rows must gain at least
FEWER = 4  # times as many numbers as the filters has an input whose scaling is moved to these


def lower_conv(task: Task) -> list[Lowered]:
    node = task.group.anchor
    if is_depthwise(node):
        return lower_depthwise(task)
    site = task.site(node)
    x, w = node.inputs[:2]
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if x is None or w is None:
        raise ValueError("Conv needs an input and filters")
    shape_w, out_shape = shape_of(w), shape_of(node.outputs[0])
    groups = int(site.get("group", 1))
    whole, task = task, in_halves(task, shape_w[0] // groups)
    joined = groups_together(task, w, groups, shape_w[0] // groups)
    filters = Filters(
        w, groups // joined, shape_w[1] * joined, shape_w[0] // groups * joined, shape_w[2:], joined=joined
    )  # fmt: skip
    geometry = conv_geometry(site, shape_of(x), shape_w[2:], out_shape)
    c = Convolution(x, filters, geometry, out_shape)
    fewer = [*ways(task, c, bias), *of_planes(task, c)]
    paired, other = pairs(whole, c, bias), with_scaled_filters(task, c)
    if not fewer and not paired and other is None:
        return convolve(task, c, bias)
    cycles, extra = direct_cycles(task, c), 0.0
    if in_group(task, x):
        staged = OPEN_PIXELS * shape_of(x)[1] if task.open_extents else elements(shape_of(x))
        extra = COMPUTED * staged / task.target.lanes
    own = [Way(Option("direct", cycles + extra), partial(convolve, task, c, bias)), *fewer]
    if other is not None:
        own.append(Way(Option("scaled filters", cycles), partial(convolve, task, other, bias)))
    per_vector = whole.target.fma_rate / task.target.fma_rate  # cycles count vectors of a task's width
    own = [replace(way, option=replace(way.option, cycles=way.option.cycles * per_vector)) for way in own]
    return task.choose(work_of(task, c), [*own, *paired])


def groups_together(task: Task, w: ir.Value, groups: int, columns: int) -> int:
    """How many groups of few columns fill a vector: as many multiply-adds, half of them by zeros where it is two, but
    whole vectors are staged and stored, and sums are longer."""
    together = task.target.lanes // columns
    if task.array_of(w) is None or dtype_of(w) not in ("f32", "f64"):
        return 1
    return next((n for n in range(together, 1, -1) if groups % n == 0 and groups > n), 1)


def with_scaled_filters(task: Task, c: Convolution) -> Convolution | None:
    """conv(x * s, w) as conv(x, w * s) for a scale s of each channel, as squeeze-and-excite gives it: filters are few
    numbers, and x is read from where it lies. None where it is another product, or too small to gain."""
    f, scaled = c.filters, scaled_input(task, c)
    if scaled is None or f.groups > 1 or task.array_of(f.value) is None or dtype_of(c.x) not in ("f32", "f64"):
        return None
    few = FEWER * elements(shape_of(f.value)) < elements(shape_of(c.x))
    # the kernels of open extents must not depend on those that are here
    x, scale = scaled
    return replace(c, x=x, filters=replace(f, scale=scale)) if few or task.open_extents else None


def convolve(task: Task, c: Convolution, bias: ir.Value | None) -> list[Lowered]:
    """The kernel of one convolution, and before it the one that packs filters which are computed at run time."""
    shape_x, geometry, kernel_shape = shape_of(c.x), c.geometry, c.filters.taps
    groups, ci, co = c.filters.groups, c.filters.ci, c.filters.co
    rank = len(c.out)
    spatial = rank - 2
    dtype = dtype_of(c.x)
    raw = Anchor(shape_of(task.group.anchor.outputs[0]), dtype)
    tensor: Tensor = raw if bias is None else raw + bias_along(task.tensor(bias), 1, rank)
    results = epilogue(task, tensor)

    fixed = not task.open_extents
    kernel = task.kernel("conv")
    left = left_side(task, kernel, c.x)
    strides_x = left.strides
    right = kernel.buffer(dtype, "w")
    pads_free = not any(geometry.pads_begin) and not any(geometry.pads_end)
    staged = not pads_free or (strides_x[1] != 1 and ci > 1) or left.computed
    x_dim = rank - 1
    pointwise = all(k == 1 for k in kernel_shape)
    # rows of the result: batch, then space; those that all sides walk alike become one
    walk_left = [strides_x[0], 0, *(s * st for s, st in zip(strides_x[2:], geometry.strides, strict=True))]
    dims = [d for d in range(rank) if d != 1 and c.out[d] != 1]
    by_pixel = left.computed and pads_free and groups == 1 and all(s == 1 for s in geometry.strides)
    flat = pointwise and c.place is None and (not staged or by_pixel)
    if flat:
        walks = operand_walks(task, [left.tensor], c.out) if left.computed else [tuple(walk_left)]
        axes = merge_axes(dims, c.out, [*walks, *epilogue_walks(task, results, c.out)])
    else:
        axes = [Axis(d, c.out[d]) for d in range(rank) if d != 1 and (c.out[d] != 1 or d in (x_dim, x_dim - 1))]
        axes = [a for a in axes if a.dim >= 2 or a.extent != 1]
    loops = [Loop(a.extent, a.dim, walk_left[a.dim]) for a in axes]
    if fixed and flat and not staged and dims == [2, 3] and len(loops) == 2:
        one = len(merge_axes(dims, c.out, epilogue_walks(task, results, c.out))) == 1
        if one and goes_across(task, co, *c.out[2:]):
            y, x = loops
            loops = [Loop(y.extent * x.extent, x.dim, x.left, wide=x.extent, row=y.left)]
    x_loop = loops.pop() if loops else NO_LOOP
    rows = bool(loops) and not (flat and staged) and (loops[-1].dim >= 2 or (pointwise and not staged))
    y_loop = loops.pop() if rows else NO_LOOP
    outer = [*loops, Loop(groups, -2, ci * strides_x[1], 1)] if groups > 1 else loops

    x_step = ci if staged else strides_x[x_dim]
    merge_x = geometry.dilations[-1] == 1 and (x_step == ci or kernel_shape[-1] == 1)
    k = ci * kernel_shape[-1] if merge_x else ci
    tap_dims = list(range(spatial - 1)) + ([] if merge_x else [spatial - 1])
    taps = [Tap(kernel_shape[d], strides_x[2 + d] * geometry.dilations[d]) for d in tap_dims]

    filters = elements(tuple(kernel_shape)) * ci
    across = fixed and staged and not flat and spatial == 2 and goes_across(task, co, y_loop.extent, x_loop.extent)
    pixels = x_loop.extent * (y_loop.extent if across else 1)
    tile = pick_tile(task, f"conv {dtype}", co, pixels if fixed else None, filters)
    width = tile.vectors * task.target.lanes
    per_group = -(-co // width) * filters * width

    def right_at(outer_index: Sequence[Expr], n0: Expr) -> Expr:
        place = n0 * filters
        if groups > 1:
            place = place + outer_index[-1] * per_group
        return place

    in_memory = left.tensor if isinstance(left.tensor, Source) else Source(shape_x, dtype, name="a")
    product = Product(
        dtype=dtype, outer=outer, y=y_loop, x=x_loop, taps=taps, k=k, n=co, n_dim=1, rank=rank, left=in_memory,
        tile=tile, right=right, right_at=right_at, right_step=index(width), right_partial=False,
        fixed=fixed, k_fixed=True, n_fixed=True, threads=task.threads, l2_bytes=task.target.l2_bytes, anchor=raw,
        across=across, place=c.place,
    )  # fmt: skip
    if staged and flat:
        product.staging = pixel_staging(product, left.tensor, ci)
    elif staged:
        product.staging = conv_staging(strides_x, product, left.tensor, geometry, groups, ci, kernel_shape, merge_x)
    return lower_product(task, kernel, c, product, left, results, "matrix")


def goes_across(task: Task, columns: int, y: int, x: int) -> bool:
    """Whether tiles that go across rows y of x pixels, which do not follow each other, are better by more than it costs
    to find each pixel: steps of two to rows of seven."""
    apart, across = (tile_costs(task.target, columns, rows)[0][0] for rows in (x, y * x))
    return y > 1 and across * ACROSS < apart * y


SCHEDULES: Mapping[str, Callable[[Task], list[Lowered]]] = {"conv": lower_conv}
