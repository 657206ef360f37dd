"""One convolution of a chain: which rows it reads and writes, what it costs, and its loops over rows in scratch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import onnx_ir as ir

from fusewright.graph.group import dtype_of, elements, shape_of
from fusewright.kernel.expr import SIZES, Buffer, Expr, Load, Op, Var, index, maximum, minimum
from fusewright.kernel.loops import Kernel
from fusewright.kernel.tensor import Anchor, Source, Tensor, walk
from fusewright.schedules.contract import NO_LOOP, operand_walks
from fusewright.schedules.convolution import Convolution
from fusewright.schedules.depthwise import (
    ChannelConvolution,
    channel_results,
    channel_window,
    is_depthwise,
    pads_vary,
    slides_of,
)
from fusewright.schedules.epilogue import Results, bind_epilogue
from fusewright.schedules.filters import Filters
from fusewright.schedules.geometry import conv_geometry
from fusewright.schedules.normal_form import Loop, Product
from fusewright.schedules.paired import (
    Paired,
    even_tile,
    exact_enough,
    paired,
    relative_error,
    twin_tile,
)
from fusewright.schedules.paired_rows import InMemory, use_pairs
from fusewright.schedules.paired_tile import EXTRA_ROWS
from fusewright.schedules.planes_shape import Shape
from fusewright.schedules.pointwise import merge_axes
from fusewright.schedules.product import emit_rows
from fusewright.schedules.sliding import Slide
from fusewright.schedules.task import Operand, Strides, Task
from fusewright.schedules.tile import HALVES_COST, TileShape, in_halves, pick_tile
from fusewright.schedules.window import emit_window_rows
from fusewright.schedules.winograd_planes import emit_planes
from fusewright.schedules.winograd_ways import planes_shape

DEPTHWISE_SHARE = 0.85  # of the multiply-adds a cycle that a depthwise convolution reaches
STRIDED_SHARE = 0.5  # the same where neighbouring windows share few inputs


@dataclass(eq=False)
class Held:
    """A value of which a thread keeps the rows [begin, end) in scratch: for each row its pixels, for each its channels.

    `origin` is the row that lies at the start of scratch once this unit's rows are made.
    """

    value: ir.Value
    buffer: Buffer
    begin: Var
    end: Var
    origin: Expr = field(default_factory=lambda: index(0))

    @property
    def strides(self) -> Strides:
        _, channels, _, width = shape_of(self.value)
        return (0, 1, width * channels, channels)

    @property
    def start(self) -> Expr:
        """Where row 0 of the image would lie."""
        return index(0) - self.origin * self.strides[2]

    def source(self) -> Source:
        made = Source(shape_of(self.value), self.buffer.dtype, name="held")
        made.buffer, made.strides, made.offset = self.buffer, tuple(index(s) for s in self.strides), self.start
        return made

    def keep(self, kernel: Kernel) -> None:
        """Move the rows from `origin` on that the unit before has made to the start of scratch."""
        row = self.strides[2]
        with kernel.when(Op("bool", False, "gt", (self.end, self.origin))):
            shift = kernel.let((self.origin - self.begin) * row, "shift")
            with kernel.loop(kernel.let((self.end - self.origin) * row, "kept"), "i", step=kernel.lanes) as i:
                kernel.store(self.buffer, i, Load(self.buffer.dtype, True, self.buffer, i + shift))


@dataclass(eq=False)
class Stage:
    """One convolution with its epilogue: `slides` are those of a depthwise one, `planes` tells how one of an image in
    few planes is cut; a pointwise one has neither."""

    task: Task
    x: ir.Value
    w: ir.Value
    out: ir.Value
    raw: Anchor
    results: list[Tensor]
    slides: list[Slide] | None
    varies: bool
    planes: Shape | None = None

    @property
    def pointwise(self) -> bool:
        return self.slides is None and self.planes is None

    @property
    def kind(self) -> str:
        """What its function in C is called."""
        return "pointwise" if self.pointwise else "planes" if self.slides is None else "depthwise"

    @property
    def title(self) -> str:
        if self.planes is not None:
            return "x".join(map(str, shape_of(self.w)[2:])) + f"/{self.planes.y.step} planes {shape_of(self.out)[1]}"
        if self.slides is None:
            return f"1x1 {shape_of(self.out)[1]}"
        return "x".join(f"{s.kernel}" for s in self.slides) + f"/{self.slides[0].stride}"

    @property
    def flop(self) -> int:
        taps = shape_of(self.w)[1:]
        return 2 * elements(shape_of(self.out)) * elements(taps)

    def cycles(self, task: Task) -> float:
        """What it takes with the vectors of `task` where nothing waits for memory."""
        if self.planes is not None:
            return replace(self.planes, target=task.target).cycles
        found = self.pairs(task)
        return self.plain_cycles(task) if found is None else found.cycles

    def pairs(self, task: Task) -> Paired | None:
        """A pointwise one as a product of pairs, where that is better."""
        k, (batch, columns, height, width) = shape_of(self.x)[1], shape_of(self.out)
        if not self.pointwise or not exact_enough(task, task.array_of(self.w), k):
            return None
        found = paired(task.target, batch * height * width, k, columns, True, in_place=True, step=k)
        return found if found is not None and found.cycles < self.plain_cycles(task) else None

    @property
    def error(self) -> float:
        """Of its results, relative to their size, where they are not plain sums of products (else 0)."""
        if self.planes is not None:
            return self.planes.error
        return relative_error(shape_of(self.x)[1]) if self.pairs(self.task) is not None else 0.0

    def plain_cycles(self, task: Task) -> float:
        target, channels = task.target, shape_of(self.out)[1]
        padded = -(-channels // target.lanes) * target.lanes / channels
        share = 1.0
        if self.slides is not None:
            share = DEPTHWISE_SHARE if self.slides[-1].stride == 1 else STRIDED_SHARE
        return self.flop * padded / (2 * target.lanes * target.fma_rate) / share

    def cycles_alone(self, task: Task) -> float:
        """In a kernel of its own, which has the width of vectors that suits it best."""
        own = in_halves(task, shape_of(self.out)[1]) if self.pointwise else task
        return min(self.cycles(task), self.cycles(own) * (1.0 if own is task else HALVES_COST))

    def rows_read(self, rows: int) -> int:
        """How many rows of x at most the stage reads for so many rows of its result."""
        if self.slides is None:
            return rows
        y = self.slides[0]
        return min(y.size, (rows - 1) * y.stride + (y.kernel - 1) * y.dilation + 1)

    def reads(self, start: Expr, stop: Expr) -> tuple[Expr, Expr]:
        """The rows of x that the stage reads for the rows [start, stop) of its result."""
        if self.slides is None:
            return start, stop
        y = self.slides[0]
        reach = (y.kernel - 1) * y.dilation + 1
        return maximum(start * y.stride - y.before, 0), minimum((stop - 1) * y.stride + (reach - y.before), y.size)

    def emit(
        self, kernel: Kernel, n: Expr, start: Expr, stop: Expr, rows: int, source: Held | None, target: Held | None
    ) -> list[Operand]:
        """The rows [start, stop) of image `n`, at most `rows`; returns what the kernel's new pointers are."""
        operands: list[Operand] = []
        if source is None:
            left = Source(shape_of(self.x), dtype_of(self.x), name="a")
            left.bind(kernel.buffer(left.dtype, "a"), self.task.strides_of(self.x))
            strides = self.task.strides_of(self.x)
            operands.append(self.x)
        else:
            left, strides = source.source(), source.strides
        filters = kernel.buffer(left.dtype, "w")
        if target is None:
            bound = bind_epilogue(self.task, kernel, self.results)
        else:
            read = self.task.bind_inputs(kernel, walk(*self.results))
            bound = Results([(self.results[0], target.buffer, target.source())], read)
        if self.planes is not None:
            weights = emit_planes(kernel, self.planes, left, filters, self.raw, bound, n, start, stop)
        elif self.slides is None:
            weights = self.product(kernel, n, start, stop, rows, left, strides, filters, bound)
        else:
            c = ChannelConvolution(self.x, self.w, self.slides, self.varies)
            window, weights = channel_window(self.task, c, left.memory, strides, filters, self.raw, bound)
            window.origin = left.offset
            emit_window_rows(kernel, window, n, start, stop)
        return [*operands, weights, *bound.operands]

    def product(
        self,
        kernel: Kernel,
        n: Expr,
        start: Expr,
        stop: Expr,
        rows: int,
        left: Source,
        strides: Strides,
        filters: Buffer,
        bound: Results,
    ) -> Operand:
        task, (batch, columns, height, width), k = self.task, shape_of(self.out), shape_of(self.x)[1]
        found = self.pairs(task)
        if found is not None:
            tile = (twin_tile if found.twins else even_tile)(rows * width, min(width, found.tile.rows))
        else:
            tile = pick_tile(task, f"conv {left.dtype}", columns, rows * width, k)
            tile = TileShape(min(tile.rows, width), tile.vectors)  # a unit has one row, or none
        step, panel_rows = tile.vectors * kernel.lanes, k if found is None else k + EXTRA_ROWS
        product = Product(
            dtype=left.dtype, outer=[Loop(batch, 0, strides[0])], y=NO_LOOP, x=Loop(height * width, 3, strides[3]),
            taps=[], k=k, n=columns, n_dim=1, rank=4, left=left, tile=tile, right=filters,
            right_at=lambda outer, n0: n0 * panel_rows, right_step=index(step), right_partial=False,
            fixed=True, k_fixed=True, n_fixed=True, threads=1, l2_bytes=0, anchor=self.raw, results=bound,
        )  # fmt: skip
        if found is not None:
            use_pairs(product, InMemory(product), twins=found.twins)
        emit_rows(task, kernel, product, [n], kernel.let(start * width, "x0"), kernel.let(stop * width, "x1"))
        weights, _ = Filters(self.w, 1, k, columns, (1, 1)).packed(task, step, found.order if found else "matrix")
        return weights


def make_stage(task: Task, first: bool, last: bool, outside: bool) -> Stage | str:
    """The stage of a group, or why it is none; `first` and `last` tell that it is known where what it reads and writes
    lies in memory, and that it is the chain's end; `outside` that no group of the chain makes what it reads."""
    node, out = task.group.anchor, task.group.outputs[0]
    x, w = node.inputs[:2]
    if x is None or w is None or task.array_of(w) is None:
        return "its filters are computed at run time"
    shape, shape_w, site = shape_of(x), shape_of(w), task.site(node)
    if len(shape) != 4 or min(shape_of(out)) == 0 or 1 in (*shape[2:], *shape_of(out)[2:]):
        return "it is not a convolution over rows and columns"
    if x.producer() in task.group.nodes:
        return "what it reads is computed in its kernel"
    geometry = conv_geometry(site, shape, shape_w[2:], shape_of(node.outputs[0]))
    slides = slides_of(geometry, shape, shape_w[2:], shape_of(out)) if is_depthwise(node) else None
    plain = all(s == 1 for s in geometry.strides) and not any((*geometry.pads_begin, *geometry.pads_end))
    pointwise, planes = plain and shape_w[1:] == (shape[1], 1, 1), None
    if outside and slides is None and not pointwise:
        filters = Filters(w, int(site.get("group", 1)), shape_w[1], shape_w[0], shape_w[2:])
        planes = planes_shape(task, Convolution(x, filters, geometry, shape_of(out)))
    if slides is None and planes is None and not pointwise:
        return "it is neither pointwise nor depthwise" + (", nor of few planes" if outside else "")
    raw, results = channel_results(task)
    if pointwise:
        walks = operand_walks(task, results, shape_of(out))
        walks += [task.strides_of(v) for v, outside in ((x, first), (out, last)) if outside]
        if len(merge_axes([2, 3], shape_of(out), walks)) > 1:
            return "its rows do not follow each other in memory"
    if first and planes is None and task.strides_of(x)[1] != 1:
        return "channels do not lie side by side in what it reads"
    return Stage(task, x, w, out, raw, results, slides, pads_vary(site), planes)


def row_bytes(value: ir.Value) -> int:
    _, channels, _, width = shape_of(value)
    return channels * width * SIZES[dtype_of(value)]
