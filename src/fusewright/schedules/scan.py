"""CumSum, CumProd: y[i] = x[0] (+) ... (+) x[i] along one dimension.

Lines along that dimension are independent: where another dimension lies densely in memory, a vector holds one element
of each of several lines.
"""

from __future__ import annotations

from fusewright.errors import InternalError
from fusewright.graph.group import dtype_of, elements, shape_of
from fusewright.kernel.expr import Expr, Load, Op, Var, arg, const, index
from fusewright.kernel.loops import Kernel
from fusewright.kernel.tensor import Source
from fusewright.kernel.vectorize import LANE, Vectorizer, vectorizable
from fusewright.schedules.pointwise import memory_order
from fusewright.schedules.task import Lowered, Task

COMBINE = {"CumSum": ("add", 0), "CumProd": ("mul", 1)}


def lower_scan(task: Task) -> list[Lowered]:
    node = task.group.anchor
    site = task.site(node)
    value, result = node.inputs[0], node.outputs[0]
    axes = site.ints(1)
    if value is None or axes is None:
        raise InternalError("a scan without an input or an axis")
    shape, dtype = shape_of(value), dtype_of(value)
    axis = axes[0] % len(shape)
    kernel = task.kernel("scan")
    source = Source(shape, dtype)
    source.bind(kernel.buffer(dtype, "x"), task.strides_of(value))
    place = task.bind_output(kernel, result)[1]
    name, start = COMBINE[node.op_type]
    line = Line(kernel, source, place, axis, shape[axis], name, start)
    line.exclusive, line.reverse = bool(site.get("exclusive", 0)), bool(site.get("reverse", 0))
    order = [d for d in memory_order(task.strides_of(value), shape) if d != axis]
    units = emit_lines(kernel, line, order, shape)
    return [Lowered(kernel, [value, result], units, flop=2 * elements(shape))]


def emit_lines(kernel: Kernel, line: Line, order: list[int], shape: tuple[int, ...]) -> int:
    """One unit for each vector of lines; returns how many there are."""
    probe = line.source.at(tuple(Var("i64", False, "d") for _ in shape))
    lanes = kernel.lanes if order and vectorizable(probe) else 0
    outer = order[:-1] if lanes else order
    units = 1
    for d in outer:
        units *= shape[d]
    if lanes:
        units *= -(-shape[order[-1]] // lanes)
    with kernel.loop(kernel.hi, "u", start=kernel.lo) as unit:
        idx: list[Expr] = [index(0)] * len(shape)
        rest = unit
        start: Expr = index(0)
        if lanes:
            blocks = kernel.let((arg(shape[order[-1]]) + (lanes - 1)) // lanes, "blocks")
            start = kernel.let(rest % blocks * lanes, "start")
            rest = kernel.let(rest // blocks, "rest")
        for d in reversed(outer):
            idx[d] = kernel.let(rest % arg(shape[d]), f"i{d}")
            rest = kernel.let(rest // arg(shape[d]), "rest")
        if not lanes:
            line.emit(idx, Vectorizer(), False)
        else:
            idx[order[-1]] = start + LANE
            count = kernel.let(arg(shape[order[-1]]) - start, "count")
            full = Op("bool", False, "ge", (count, index(lanes)))
            with kernel.when(full):
                line.emit(idx, Vectorizer(), True)
            with kernel.otherwise():
                line.emit(idx, Vectorizer(count), True)
    return units


class Line:
    """The loop along the scanned dimension."""

    def __init__(
        self, kernel: Kernel, source: Source, place: Source, axis: int, extent: int, combine: str, start: int
    ) -> None:
        self.kernel, self.source, self.place, self.axis = kernel, source, place, axis
        self.extent = arg(extent)
        self.combine, self.start = combine, start
        self.exclusive = self.reverse = False

    def emit(self, idx: list[Expr], vectorize: Vectorizer, vector: bool) -> None:
        kernel, dtype = self.kernel, self.source.dtype
        first = const(self.start, dtype)
        acc = kernel.mutable(Op(dtype, True, "splat", (first,)) if vector else first, "acc")
        with kernel.loop(self.extent, "i") as i:
            at = list(idx)
            at[self.axis] = self.extent - 1 - i if self.reverse else i
            value = vectorize(self.source.at(tuple(at)))
            total = Op(dtype, vector, self.combine, (acc, value))
            if self.exclusive:
                self.store(tuple(at), acc, vectorize, vector)
                kernel.assign(acc, total)
            else:
                kernel.assign(acc, total)
                self.store(tuple(at), acc, vectorize, vector)

    def store(self, at: tuple[Expr, ...], value: Expr, vectorize: Vectorizer, vector: bool) -> None:
        load = self.place.at(at)
        if not isinstance(load, Load) or self.place.buffer is None:
            raise InternalError("an output without memory")
        if vector:
            self.kernel.store_lanes(self.place.buffer, load.index, value, vectorize)
        else:
            self.kernel.store(self.place.buffer, load.index, value)


SCHEDULES = {"scan": lower_scan}
