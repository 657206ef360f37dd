"""y = conv(x, w) by fewer products, of an image in few planes, as first layers read it.

The output is cut into tiles of m x m pixels as in `schedules.winograd`. But where channels are few, there is little to
sum up for a position, so that its sums need not lie in memory: they are made in registers, for some tiles at once, and
added there to the pixels that they belong to. A unit of work is a row of tiles; scratch holds what these read of each
row of the image, transformed along y:

    stage[row][channel][array][along x]

The arrays of a row are every s-th of its elements, from each of the first s on (s is the filter's step), with zeros
around them, and sums of neighbours in one of these. Positions that read the same sums some pixels apart share an array.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from fusewright.graph.group import dtype_of, elements
from fusewright.kernel.expr import Buffer, Expr, Load, Op, Var, const, index, minimum
from fusewright.kernel.loops import CallC, Kernel
from fusewright.kernel.tensor import Anchor, Source
from fusewright.kernel.vectorize import LANE, Vectorizer
from fusewright.schedules.bilinear import identity
from fusewright.schedules.convolution import Convolution
from fusewright.schedules.depthwise import channel_results
from fusewright.schedules.epilogue import Results, bind_epilogue, sum_along, vector_along
from fusewright.schedules.planes_shape import Shape, Sum
from fusewright.schedules.prologue import left_side
from fusewright.schedules.staging import clear
from fusewright.schedules.task import Lowered, Operand, Pack, Task
from fusewright.schedules.winograd_sums import emit_sums
from fusewright.schedules.winograd_tiling import pack_filters


def lower_planes(task: Task, c: Convolution, shape: Shape) -> list[Lowered]:
    """The kernel of a convolution with constant filters, one group, and two spatial dimensions."""
    dtype = dtype_of(c.x)
    raw, results = channel_results(task)
    kernel = task.kernel("winograd")
    left = left_side(task, kernel, c.x)
    if not isinstance(left.tensor, Source):
        raise TypeError("planes of what is computed here are nowhere")
    weights = kernel.buffer(dtype, "w")
    bound = bind_epilogue(task, kernel, results)
    with kernel.loop(kernel.hi, "u", start=kernel.lo) as u:
        n = kernel.let(u // shape.rows, "n") if c.out[0] > 1 else index(0)
        y = kernel.let((u - n * shape.rows) * shape.y.m, "y")
        stop = kernel.let(minimum(y + shape.y.m, shape.down.out), "stop")
        pack = emit_planes(kernel, shape, left.tensor, weights, raw, bound, n, y, stop)
    flop = 2 * elements(c.out) * elements(c.filters.taps) * c.filters.ci
    operands: list[Operand] = [*left.operands, pack, *bound.operands]
    # a row that is not wanted is written to the place of another
    in_place = bound.read_at(len(left.operands) + 1) if c.out[2] % shape.y.m == 0 else ()
    return [Lowered(kernel, operands, c.out[0] * shape.rows, flop, kernel.scratch_bytes, in_place=in_place)]


def emit_planes(
    kernel: Kernel,
    shape: Shape,
    left: Source,
    weights: Buffer,
    anchor: Anchor,
    results: Results,
    n: Expr,
    start: Expr,
    stop: Expr,
) -> Operand:
    """Emit what computes rows [start, stop) of image `n`; returns what `weights` is."""
    emitter, width = _Emitter(kernel, shape, left, weights, anchor, results), kernel.lanes
    with kernel.loop(stop, "y", start=start, step=shape.y.m) as y:
        emitter.row(n, y, stop)
    return Pack(
        shape.c.filters.value,
        f"winograd {shape.y.m}/{shape.y.step} {shape.x.m}/{shape.x.step} {width}",
        lambda w: pack_filters(shape.y, shape.x, width, w),
    )


@dataclass(frozen=True)
class _Tiles:
    """`count` tiles side by side of image `n`, from row `y` and column `x` on, of whose pixels so many `rows` and
    `columns` are wanted."""

    n: Expr
    y: Expr
    rows: Expr
    x: Expr
    count: int
    columns: int


class _Emitter:
    def __init__(
        self, kernel: Kernel, shape: Shape, left: Source, weights: Buffer, anchor: Anchor, results: Results
    ) -> None:
        self.kernel, self.shape, self.left, self.weights, self.results = kernel, shape, left, weights, results
        self.dtype, self.ci = anchor.dtype, shape.c.filters.ci
        self.total, self.start = sum_along(results, anchor, 1)
        self.stage = kernel.scratch(self.dtype, shape.y.n * self.ci * shape.line, "stage")
        self.tile: Buffer | None = None  # of a long epilogue, which is spelled once
        if results.long(shape.target):
            self.tile = kernel.scratch(self.dtype, shape.y.m * shape.x.m * shape.together * kernel.lanes, "tile")

    def row(self, n: Expr, y: Expr, stop: Expr) -> None:
        """The tiles whose first row is `y`; rows from `stop` on are not stored."""
        kernel, shape = self.kernel, self.shape
        last = shape.across.out - (shape.tiles - 1) * shape.x.m  # columns of the last tile
        whole = (shape.tiles if last == shape.x.m else shape.tiles - 1) // shape.together * shape.together
        rows = kernel.let(minimum(stop - y, shape.y.m), "rows")
        first = kernel.let(y * shape.y.step - shape.down.pad, "in_y")
        self.stage_rows(n, first)
        if whole:
            with kernel.loop(whole, "tile", step=shape.together) as tile:
                x = kernel.let(tile * shape.x.m, "x")
                self.ask(n, first + shape.y.n, x, shape.together * shape.x.m)
                self.panels(_Tiles(n, y, rows, x, shape.together, shape.together * shape.x.m))
        if shape.tiles > whole:
            x = index(whole * shape.x.m)
            self.panels(_Tiles(n, y, rows, x, shape.tiles - whole, shape.across.out - whole * shape.x.m))

    # -- inputs -----------------------------------------------------------------------------------------------
    def line(self, row: Expr, channel: Expr) -> Expr:
        """Where the line of a row and a channel begins."""
        return (row * self.ci + channel) * self.shape.line

    def stage_rows(self, n: Expr, first: Expr) -> None:
        """The lines of the rows from `first` on that a row of tiles reads."""
        kernel, shape = self.kernel, self.shape
        arrays = list(shape.arrays.items())
        phases, sums = [own for _, own in arrays[: shape.x.step]], arrays[shape.x.step :]
        with kernel.loop(shape.y.n, "row") as row:
            in_y = kernel.let(first + row, "in")
            with kernel.loop(self.ci, "channel") as channel:
                at = kernel.let(self.line(row, channel), "at")
                with kernel.when(Op("bool", False, "and", (in_y >= 0, in_y < shape.down.size))):
                    self.split(at, (n, channel, in_y), phases)
                with kernel.otherwise():
                    for place, length in phases:
                        clear(kernel, self.stage, at + place, index(length))
        if shape.y.input != identity(shape.y.n):
            with kernel.loop(self.ci, "channel") as channel:
                for place, length in phases:
                    self.along_y(self.line(index(0), channel) + place, length)
        with kernel.loop(shape.y.n * self.ci, "line") as line:
            at = kernel.let(line * shape.line, "at")
            for one, (place, length) in sums:
                self.along_x(one, at + phases[one.phase][0], at + place, length)

    def ask(self, n: Expr, first: Expr, x: Expr, columns: int) -> None:
        """Ask for a part of the rows, from `first` on, that the next row of tiles reads besides: they are as many short
        runs, which would be waited for."""
        kernel, step = self.kernel, self.shape.x.step
        with kernel.loop(self.shape.y.m * self.shape.y.step, "row") as row:
            in_y = kernel.let(minimum(first + row, self.shape.down.size - 1), "in")
            with kernel.loop(self.ci, "channel") as channel:
                at = self.left.position((n, channel, in_y, x * step))
                kernel.emit(CallC("fw_prefetch_l1_f32", (self.left.memory, at, index(columns * step))))

    def split(self, at: Expr, row: tuple[Expr, ...], phases: Sequence[tuple[int, int]]) -> None:
        """A row of the image -> its phases, with zeros where they reach beyond it."""
        kernel, step, side = self.kernel, self.shape.x.step, self.shape.across
        inside = [range(-(-(side.pad - p) // step), -(-(side.size + side.pad - p) // step)) for p in range(step)]
        inside = [range(max(i.start, 0), min(i.stop, length)) for i, (_, length) in zip(inside, phases, strict=True)]
        both = range(max(i.start for i in inside), min(i.stop for i in inside))

        def copy(p: int, j: Expr) -> None:
            value = self.left.at((*row, j * step + (p - side.pad)))
            kernel.store(self.stage, at + phases[p][0] + j, value)

        if both:
            with kernel.loop(both.stop, "j", start=both.start) as j:  # the C compiler takes the phases apart by vectors
                for p in range(step):
                    copy(p, j)
        for p, (place, length) in enumerate(phases):
            for i in range(length):
                if i not in inside[p]:
                    kernel.store(self.stage, at + (place + i), const(0, self.dtype))
                elif i not in both:
                    copy(p, index(i))

    def along_y(self, first: Expr, length: int) -> None:
        """Sums of the rows of a channel take their places; `first` is that of an array of row 0."""
        kernel, y, step = self.kernel, self.shape.y, self.ci * self.shape.line
        rows = identity(y.n)

        def vector(lane: Expr, vectorize: Vectorizer) -> None:
            loads = [Load(self.dtype, False, self.stage, first + i * step + lane) for i in range(y.n)]
            made = emit_sums(kernel, y.input, [kernel.let(vectorize(d), "d") for d in loads])
            made = [kernel.let(value, "s") for value in made]
            for i, value in enumerate(made):
                if y.input[i] != rows[i]:
                    kernel.store_lanes(self.stage, first + i * step + lane, value, vectorize)

        kernel.vector_loop(index(length), vector)

    def along_x(self, one: Sum, source: Expr, to: Expr, length: int) -> None:
        """Sums of neighbours."""
        kernel = self.kernel

        def vector(lane: Expr, vectorize: Vectorizer) -> None:
            places = [source + i + lane for i in range(len(one.coefficients))]
            loads = [kernel.let(vectorize(Load(self.dtype, False, self.stage, at)), "d") for at in places]
            (value,) = emit_sums(kernel, (one.coefficients,), loads)
            kernel.store_lanes(self.stage, to + lane, value, vectorize)

        kernel.vector_loop(index(length), vector)

    # -- products and pixels ----------------------------------------------------------------------------------
    def panels(self, tiles: _Tiles) -> None:
        """All columns of some tiles: their pixels are written from front to back."""
        kernel, lanes = self.kernel, self.kernel.lanes
        whole, rest = divmod(self.shape.c.out[1], lanes)
        if whole:
            with kernel.loop(whole, "p") as p:
                self.panel(tiles, p, None)
        if rest:
            self.panel(tiles, index(whole), index(rest))

    def panel(self, tiles: _Tiles, p: Expr, active: Expr | None) -> None:
        """A vector of columns, `active` of them (None: all)."""
        kernel, shape, lanes, count = self.kernel, self.shape, self.kernel.lanes, range(tiles.count)
        n0 = kernel.let(p * lanes, "n0")
        w = kernel.let(p * (shape.y.n * shape.x.n * self.ci * lanes), "w0")
        start = self.begin(n0, active)
        of_tile = [(i, j) for i in range(shape.y.m) for j in range(shape.x.m)]
        pixels = {(i, j, t): kernel.mutable(start, f"y{i}{j}{t}") for t in count for i, j in of_tile}
        for a, b in shape.positions:
            array, shift = shape.reads[b]
            at = tiles.x + (a * self.ci * shape.line + shape.arrays[array][0] + shift)
            filters = w + (a * shape.x.n + b) * self.ci * lanes
            to = shape.pixels(a, b)
            if list(to.values()) == [1]:  # of one pixel alone
                ((i, j),) = to
                self.products([pixels[i, j, t] for t in count], at, filters)
                continue
            own = kernel.let(Load(self.dtype, True, self.weights, filters), "w")
            sums = [kernel.mutable(self.element(at, t) * own, f"s{t}") for t in count]
            self.products(sums, at, filters, 1)
            for (i, j), factor in to.items():
                for t, value in enumerate(sums):
                    (added,) = emit_sums(kernel, ((Fraction(1), factor),), [pixels[i, j, t], value])
                    kernel.assign(pixels[i, j, t], self.now(added))
        self.store(tiles, n0, active, {(i, t * shape.x.m + j): value for (i, j, t), value in pixels.items()})

    def begin(self, n0: Expr, active: Expr | None) -> Expr:
        """What the sums of a vector of columns begin with."""
        if self.start is None:
            return self.zero
        return self.kernel.let(vector_along(self.start, 1, 4, n0, active), "start")

    @property
    def zero(self) -> Expr:
        return Op(self.dtype, True, "splat", (const(0, self.dtype),))

    def products(self, sums: Sequence[Var], at: Expr, filters: Expr, first: int = 0) -> None:
        """sums[t] += what tile t reads of each channel from `first` on, times the filters for it."""
        kernel, dtype = self.kernel, self.dtype
        if first < self.ci:
            with kernel.loop(self.ci, "c", start=first) as c:
                w = kernel.let(Load(dtype, True, self.weights, filters + c * kernel.lanes), "w")
                place = kernel.let(at + c * self.shape.line, "at")
                for t, value in enumerate(sums):
                    kernel.assign(value, Op(dtype, True, "fma", (self.element(place, t), w, value)))
        for value in sums:
            kernel.assign(value, self.now(value))

    def now(self, value: Expr) -> Expr:
        """`value`, computed where it stands: a C compiler that puts off the sums of a pixel runs out of registers."""
        return Op(self.dtype, True, "now", (value,))

    def element(self, at: Expr, tile: int) -> Expr:
        """What a tile reads, spread over a vector."""
        one = Load(self.dtype, False, self.stage, at + tile * self.shape.x.m)
        return Op(self.dtype, True, "splat", (one,))

    def store(self, tiles: _Tiles, n0: Expr, active: Expr | None, pixels: dict[tuple[int, int], Var]) -> None:
        """The pixels (row, column) of some tiles that are wanted."""
        kernel, shape, lanes = self.kernel, self.shape, self.kernel.lanes

        def result(row: Expr, column: Expr, value: Expr) -> None:
            place = (tiles.n, n0 + LANE, tiles.y + row, tiles.x + column)
            self.results.store(kernel, place, [(self.total, value)], Vectorizer(active))

        if self.tile is not None:
            width = tiles.count * shape.x.m
            for (row, column), value in pixels.items():
                kernel.store(self.tile, index((row * width + column) * lanes), value)
            with self.results.apart(kernel, shape.target), kernel.loop(tiles.rows, "row") as i:
                with kernel.loop(tiles.columns, "column") as j:
                    at = kernel.let((i * width + j) * lanes, "at")
                    result(i, j, kernel.let(Load(self.dtype, True, self.tile, at), "c"))
            return
        for row in range(shape.y.m - 1, -1, -1):
            # no branch: a C compiler would move what is summed up for the row into it. What is not wanted goes to the
            # place of a row that is, before that
            place = kernel.let(minimum(index(row), tiles.rows - 1), "row") if row else index(0)
            for column in range(tiles.columns):
                result(place, index(column), pixels[row, column])
