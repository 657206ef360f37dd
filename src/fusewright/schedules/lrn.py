"""LRN over channels that lie side by side: squares in scratch with zeros around them, then sums of shifted vectors.

Each sum is `size` loads one element apart; the border of zeros stands for the channels that are not there. Channels
that lie apart need neither: vectors run along another dimension, and whole vectors of channels are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fusewright.graph.group import dtype_of, elements, shape_of
from fusewright.kernel.expr import Expr, Load, arg, const, index
from fusewright.kernel.tensor import Source
from fusewright.kernel.vectorize import Vectorizer
from fusewright.ops.sampling import response
from fusewright.schedules.pointwise import lower_pointwise, memory_order, merge_axes
from fusewright.schedules.scatter import decompose
from fusewright.schedules.task import Lowered, Task

FLOP_EACH = 16  # two roots and a division among them


def lower_lrn(task: Task) -> list[Lowered]:
    node = task.group.anchor
    value, result = node.inputs[0], node.outputs[0]
    if value is None:
        raise ValueError("LRN needs an operand")
    shape, dtype, site = shape_of(value), dtype_of(value), task.site(node)
    walks = [task.strides_of(value), task.strides_of(result)]
    if dtype not in ("f32", "f64") or shape[1] == 1 or any(w[1] != 1 for w in walks):
        return lower_pointwise(task)
    size, channels = int(site.get("size")), arg(shape[1])
    before, after = (size - 1) // 2, size // 2
    kernel = task.kernel("lrn")
    x = Source(shape, dtype, name="x")
    x.bind(kernel.buffer(dtype, "x"), walks[0])
    y = task.bind_output(kernel, result)[1]
    squares = kernel.scratch(dtype, before + shape[1] + after, "squares")
    for border, start in ((before, index(0)), (after, channels + before)):
        for offset in range(border):
            kernel.store(squares, start + offset, const(0, dtype))
    axes = merge_axes([d for d in memory_order(walks[1], shape) if d != 1], shape, walks)
    with kernel.loop(kernel.hi, "u", start=kernel.lo) as unit:
        idx: list[Expr] = [index(0) for _ in shape]
        for axis, i in zip(axes, decompose(kernel, unit, [a.extent for a in axes], "i"), strict=True):
            idx[axis.dim] = i

        def square(channel: Expr, vectorize: Vectorizer) -> None:
            one = x.at((idx[0], channel, *idx[2:]))
            kernel.store_lanes(squares, channel + before, one * one, vectorize)

        def respond(channel: Expr, vectorize: Vectorizer) -> None:
            place = (idx[0], channel, *idx[2:])
            total: Expr = Load(dtype, False, squares, channel)
            for k in range(1, size):
                total = total + Load(dtype, False, squares, channel + k)
            kernel.store_lanes(y.memory, y.position(place), response(site, x.at(place), total), vectorize)

        kernel.vector_loop(channels, square)
        kernel.vector_loop(channels, respond)
    units = elements(shape) // shape[1]
    return [Lowered(kernel, [value, result], units, flop=FLOP_EACH * elements(shape), in_place=(0,))]


SCHEDULES: Mapping[str, Callable[[Task], list[Lowered]]] = {"lrn": lower_lrn}
