"""What is a convolution, whichever way it is computed?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.group import elements, shape_of
from fusewright.kernel.expr import Expr, all_of, index
from fusewright.kernel.loops import Kernel
from fusewright.kernel.tensor import Tensor
from fusewright.schedules.epilogue import bind_epilogue
from fusewright.schedules.filters import Filters
from fusewright.schedules.geometry import Geometry
from fusewright.schedules.normal_form import Place, Product
from fusewright.schedules.product import emit_product
from fusewright.schedules.prologue import LeftSide
from fusewright.schedules.task import Lowered, Operand, Task


@dataclass(frozen=True)
class Convolution:
    """What is summed: `out` are the extents of the loops (batch, channels, space).

    `place` maps an index of the loops to one of the group's result, where these differ (None: they do not).
    """

    x: ir.Value
    filters: Filters
    geometry: Geometry
    out: tuple[int, ...]
    place: Callable[[Place], Place] | None = None


def in_group(task: Task, value: ir.Value) -> bool:
    """Whether the group computes it."""
    return value.producer() in task.group.nodes


def scaled_input(task: Task, c: Convolution) -> tuple[ir.Value, ir.Value] | None:
    """What the convolution reads as x * s for a scale s of each channel, where both lie in memory: x and s."""
    node = c.x.producer()
    if node is None or not in_group(task, c.x) or (node.domain, node.op_type) != ("", "Mul"):
        return None
    of_channels = (1, shape_of(c.x)[1], *(1 for _ in c.filters.taps))
    for x, scale in (node.inputs[:2], node.inputs[1::-1]):
        if x is None or scale is None or in_group(task, x) or in_group(task, scale):
            continue
        aligned = (1,) * (len(of_channels) - len(shape_of(scale))) + shape_of(scale)
        if aligned == of_channels and shape_of(x) == shape_of(c.x):
            return x, scale
    return None


def loop_taps(
    kernel: Kernel,
    c: Convolution,
    pixel: Sequence[Expr],
    count: int,
    ext: Callable[[int], Expr],
    fill: Callable[[list[Expr], Expr, bool], None],
    where: Sequence[Expr] = (),
    inside: Sequence[Expr] = (),
    tap: Expr | None = None,
) -> None:
    """Loops over the taps of the first `count` dimensions that the result's `pixel` [batch, channel, space...] reads.

    `fill(where, tap, zeros)` emits what is done with one: its place in the input, its number, and whether it reaches
    beyond the input. `ext` spells an extent; `where`, `inside` and `tap` are of the dimensions before.
    """
    g, depth, tap = c.geometry, len(where), index(0) if tap is None else tap
    if depth < count:
        with kernel.loop(c.filters.taps[depth], "t") as t:
            step = pixel[2 + depth] * g.strides[depth] + t * g.dilations[depth] - g.pads_begin[depth]
            at = kernel.let(step, "in")
            size = ext(shape_of(c.x)[2 + depth])
            bounds = [at >= 0, at < size] if g.pads_begin[depth] or g.pads_end[depth] else []
            more = tap * c.filters.taps[depth] + t
            loop_taps(kernel, c, pixel, count, ext, fill, [*where, at], [*inside, *bounds], more)
        return
    condition = all_of(inside)
    if condition is None:
        fill(list(where), tap, False)
        return
    with kernel.when(condition):
        fill(list(where), tap, False)
    with kernel.otherwise():
        fill(list(where), tap, True)


def lower_product(
    task: Task, kernel: Kernel, c: Convolution, product: Product, left: LeftSide, results: Sequence[Tensor], order: str
) -> list[Lowered]:
    """The kernel that `product` is, with filters packed in `order`, and before it the one that packs filters which are
    computed at run time."""
    packed, before = c.filters.packed(task, product.tile.vectors * task.target.lanes, order)
    product.results = bind_epilogue(task, kernel, results)
    operands: list[Operand] = [*left.operands, packed, *product.results.operands]
    units = emit_product(task, kernel, product)
    flop = 2 * elements(c.out) * elements(c.filters.taps) * c.filters.ci // c.filters.joined
    in_place = product.results.read_at(len(left.operands) + 1)
    return [*before, Lowered(kernel, operands, units, flop, product.scratch_bytes, in_place=in_place)]
