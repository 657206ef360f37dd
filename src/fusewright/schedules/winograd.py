"""y = conv(x, w) by fewer products: pieces of the image -> transformed, one small product a position, and back.

The output is cut into tiles of m x m pixels, of which each needs n x n inputs (`schedules.bilinear`, one algorithm for
each spatial dimension). A unit of work is a block of tiles and a share of the panels of output channels:

    inputs of the block   -> v[position][tile][channel]           read once, pads and borders as zeros
    v, weights of a panel -> m[position][tile][column of a panel] a product for each position
    m                     -> the tile's pixels, and the epilogue on them

v and m lie in the thread's scratch. Tiles are counted through all images, so that nothing depends on open extents.
An infinity or NaN in the input reaches all pixels of the tiles that read it, as NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import onnx_ir as ir

from fusewright.graph.group import dtype_of, elements
from fusewright.kernel.expr import Buffer, Const, Expr, Load, Op, arg, const, index, minimum
from fusewright.kernel.loops import CallC, Kernel
from fusewright.kernel.tensor import Anchor, Source, Tensor
from fusewright.kernel.vectorize import LANE, Vectorizer
from fusewright.schedules.convolution import Convolution
from fusewright.schedules.epilogue import Results, bias_along, bind_epilogue, epilogue
from fusewright.schedules.pack import PIECE
from fusewright.schedules.paired_tile import EXTRA_ROWS, emit_pairs, in_pieces, rows_ahead, staged_elements
from fusewright.schedules.prologue import left_side
from fusewright.schedules.task import Lowered, Operand, Pack, Task
from fusewright.schedules.tile import Left, Right, emit_tile, shares_of_panels, unrolled_steps
from fusewright.schedules.winograd_sums import emit_sums
from fusewright.schedules.winograd_tiling import PANEL, Tiling, pack_filters, pack_filters_in_pairs, sides, tiles_of


def lower_winograd(task: Task, c: Convolution, bias: ir.Value | None, tiling: Tiling) -> list[Lowered]:
    """The kernel of a convolution with constant filters, steps of 1, one group, and at most two dimensions."""
    dtype = dtype_of(c.x)
    raw = Anchor(c.out, dtype)
    tensor: Tensor = raw if bias is None else raw + bias_along(task.tensor(bias), 1, len(c.out))
    results = epilogue(task, tensor)
    kernel = task.kernel("winograd")
    left = left_side(task, kernel, c.x)
    weights = kernel.buffer(dtype, "w")
    bound = bind_epilogue(task, kernel, results)
    width = (PANEL if tiling.pairs else tiling.registers.vectors) * task.target.lanes
    order, make = ("winograd pairs", pack_filters_in_pairs) if tiling.pairs else ("winograd", pack_filters)
    pack = Pack(
        c.filters.value, f"{order} {tiling.y.m} {tiling.x.m} {width}", lambda w: make(tiling.y, tiling.x, width, w)
    )
    emitter = _Emitter(task, kernel, c, tiling, left.tensor, weights, raw, bound)
    units = emitter.run()
    flop = 2 * elements(c.out) * elements(c.filters.taps) * c.filters.ci
    operands: list[Operand] = [*left.operands, pack, *bound.operands]
    in_place = bound.read_at(len(left.operands) + 1)
    return [Lowered(kernel, operands, units, flop, kernel.scratch_bytes, in_place=in_place)]


@dataclass
class _Place:
    """Of one tile: its image, its first row and column of the output."""

    n: Expr
    y: Expr
    x: Expr


@dataclass
class _Emitter:
    task: Task
    kernel: Kernel
    c: Convolution
    tiling: Tiling
    left: Tensor
    weights: Buffer
    anchor: Anchor
    results: Results
    fixed: bool = field(init=False)
    apart: bool = field(init=False)  # whether pixels of a tile lie in scratch before the epilogue, not of a row

    def __post_init__(self) -> None:
        t, lanes, dtype = self.tiling, self.kernel.lanes, self.anchor.dtype
        self.fixed = not self.task.open_extents
        self.y, self.x = sides(self.c)
        self.ci, self.co = self.c.filters.ci, self.c.filters.co
        self.width = (PANEL if t.pairs else t.registers.vectors) * lanes
        self.row = -(-self.ci // lanes) * lanes  # of v: whole vectors
        # one line of the cache more than a power of two: positions of one tile are written and read together
        self.v_step = (1 if t.pairs else t.block) * self.row + lanes
        self.m_step = t.block * self.width + lanes
        self.v = self.kernel.scratch(dtype, t.positions * self.v_step, "v")
        if t.pairs:  # v is of one tile, whose rows are balanced at once
            self.line = staged_elements(self.ci)
            self.stage = self.kernel.scratch(dtype, t.positions * t.block * self.line, "stage")
        self.m = self.kernel.scratch(dtype, t.positions * self.m_step, "m")
        self.half = self.kernel.scratch(dtype, t.positions * lanes, "half")  # between the passes along y and x
        self.apart = self.results.fills_registers(self.task.target)
        self.pixels = self.kernel.scratch(dtype, (t.y.m if self.apart else 1) * t.x.m * lanes, "pixels")
        self.patch = self.kernel.scratch(dtype, t.positions * self.row, "patch")

    def ext(self, value: int) -> Expr:
        return index(value) if self.fixed else arg(value)

    def run(self) -> int:
        """Emit the loops; returns the number of units."""
        kernel, block, threads = self.kernel, self.tiling.block, self.task.threads
        total = tiles_of(self.c, self.tiling.y, self.tiling.x)
        blocks, panels = -(-total // block), -(-self.co // self.width)
        shares = shares_of_panels(blocks, panels, threads)
        per_share = -(-panels // shares)
        shares = -(-panels // per_share)
        shared = shares > 1 or not self.fixed
        with kernel.kept(*(["done"] if shared else [])) as kept, kernel.loop(kernel.hi, "u", start=kernel.lo) as u:
            share: Expr = index(0)
            at: Expr = u
            if shared:
                share, at = kernel.let(u % self.ext(shares), "share"), kernel.let(u // self.ext(shares), "at")
            start = kernel.let(at * block, "start")
            count: Expr = index(min(total, block))
            if blocks > 1 or not self.fixed:
                count = kernel.let(minimum(self.ext(total) - start, block), "count")
            if not kept:
                self.transform_inputs(start, count)
            else:
                with kernel.when(Op("bool", False, "ne", (at + 1, kept[0]))):
                    self.transform_inputs(start, count)
                    kernel.assign(kept[0], at + 1)
            self.panels(start, count, share, per_share, shares, total)
        return blocks * shares

    def tile_place(self, tile: Expr) -> _Place:
        """Where tile number `tile` lies in the output."""
        kernel = self.kernel
        tiles_x, tiles_y = -(-self.x.out // self.tiling.x.m), -(-self.y.out // self.tiling.y.m)
        row = kernel.let(tile // self.ext(tiles_x), "row") if tiles_x > 1 or not self.fixed else tile
        x = kernel.let((tile - row * self.ext(tiles_x)) * self.tiling.x.m, "x")
        n = kernel.let(row // self.ext(tiles_y), "n")
        y = kernel.let((row - n * self.ext(tiles_y)) * self.tiling.y.m, "y")
        return _Place(n, y, x)

    # -- inputs -----------------------------------------------------------------------------------------------
    def transform_inputs(self, start: Expr, count: Expr) -> None:
        kernel, left, ny, nx = self.kernel, self.left, self.tiling.y.n, self.tiling.x.n
        with kernel.loop(count, "t") as t:
            place = self.tile_place(start + t)
            y, x = kernel.let(place.y - self.y.pad, "in_y"), kernel.let(place.x - self.x.pad, "in_x")
            if not isinstance(left, Source):
                self.copy_patch(place.n, y, x)
                self.transform(t, self.patch, index(0), index(nx * self.row), index(self.row))
                self.balance(t)
                return
            inside = _all(y >= 0, y < self.ext(self.y.size - ny + 1), x >= 0, x < self.ext(self.x.size - nx + 1))
            with kernel.when(inside):
                first = kernel.let(left.position(self.input_place(place.n, index(0), y, x)), "first")
                y_step = left.strides[-2] if len(self.c.out) == 4 else index(0)
                self.transform(t, left.memory, first, y_step, self.x_step(left))
            with kernel.otherwise():
                self.copy_patch(place.n, y, x)
                self.transform(t, self.patch, index(0), index(nx * self.row), index(self.row))
            self.balance(t)

    def balance(self, t: Expr) -> None:
        """v[position][channel] of tile `t` -> stage[position][strip][piece of the channels][tile of the strip]."""
        if not self.tiling.pairs:
            return
        kernel, height = self.kernel, self.tiling.registers.rows
        of_strip = kernel.let(t % height, "of_strip")
        to = kernel.let((t - of_strip) * self.line + of_strip * PIECE, "to")
        with kernel.loop(self.tiling.positions, "position") as position:
            at = to + position * (self.tiling.block * self.line)
            args = (self.v, position * self.v_step, index(self.ci), self.stage, at, index(height * PIECE))
            kernel.emit(CallC("fw_balance_f32", args))

    def x_step(self, left: Source) -> Expr:
        """From pixel to pixel: fixed by the channels, where these lie side by side with nothing between."""
        strides = self.task.strides_of(self.c.x)
        return index(self.ci) if strides[-1] == self.ci else left.strides[-1]

    def input_place(self, n: Expr, channel: Expr, y: Expr, x: Expr) -> tuple[Expr, ...]:
        return (n, channel, y, x) if len(self.c.out) == 4 else (n, channel, x)

    def copy_patch(self, n: Expr, y: Expr, x: Expr) -> None:
        """What one tile reads, zeros where that is outside of the input."""
        kernel, left = self.kernel, self.left
        with kernel.loop(self.tiling.y.n, "i") as i, kernel.loop(self.tiling.x.n, "j") as j:
            in_y, in_x = kernel.let(y + i, "py"), kernel.let(x + j, "px")
            at = kernel.let((i * self.tiling.x.n + j) * self.row, "at")
            inside = _all(in_y >= 0, in_y < self.ext(self.y.size), in_x >= 0, in_x < self.ext(self.x.size))

            def copy(lane: Expr, vectorize: Vectorizer) -> None:
                element = left.at(self.input_place(n, lane, in_y, in_x))
                kernel.store_lanes(self.patch, at + lane, element, vectorize)

            def clear(lane: Expr, vectorize: Vectorizer) -> None:
                kernel.store_lanes(self.patch, at + lane, const(0, self.patch.dtype), vectorize)

            with kernel.when(inside):
                kernel.vector_loop(index(self.ci), copy)
            with kernel.otherwise():
                kernel.vector_loop(index(self.ci), clear)

    def transform(self, t: Expr, source: Buffer, first: Expr, y_step: Expr, x_step: Expr) -> None:
        """source[first + i * y_step + j * x_step + channel] -> v[i, j][t][channel]."""
        kernel, y, x, lanes = self.kernel, self.tiling.y, self.tiling.x, self.kernel.lanes
        to = index(0) if self.tiling.pairs else kernel.let(t * self.row, "to")

        def vector(lane: Expr, vectorize: Vectorizer) -> None:
            with kernel.loop(x.n, "j") as j:
                at = kernel.let(first + j * x_step, "at")
                loads = [Load(source.dtype, False, source, at + i * y_step + lane) for i in range(y.n)]
                made = emit_sums(kernel, y.input, [kernel.let(vectorize(d), "d") for d in loads])
                for i, value in enumerate(made):
                    kernel.store(self.half, (j + i * x.n) * lanes, value)
            with kernel.loop(y.n, "row") as row:
                made = emit_sums(kernel, x.input, self.halves(row, x.n))
                for column, value in enumerate(made):
                    at = to + _base(lane) + (row * x.n + column) * self.v_step
                    kernel.store(self.v, at, value)

        kernel.vector_loop(index(self.ci), vector)

    def halves(self, i: Expr, count: int) -> list[Expr]:
        """Row `i` of what the first pass left."""
        kernel, lanes, dtype = self.kernel, self.kernel.lanes, self.half.dtype
        return [kernel.let(Load(dtype, True, self.half, (i * count + j) * lanes), "d") for j in range(count)]

    # -- products ---------------------------------------------------------------------------------------------
    def panels(self, start: Expr, count: Expr, share: Expr, per_share: int, shares: int, total: int) -> None:
        """All columns of the share; the last panel may be narrower."""
        kernel, lanes = self.kernel, self.kernel.lanes
        vectors = self.width // lanes
        whole, rest = divmod(self.co, self.width)
        shared = shares > 1 or not self.fixed
        first = kernel.let(share * self.ext(per_share), "p0") if shared else index(0)
        end = kernel.let(minimum(first + self.ext(per_share), whole), "p1") if shared else index(whole)
        if whole:
            with kernel.loop(end, "p", start=first) as p:
                self.panel(start, count, p, vectors, None, total)
        if rest:
            partial = index(rest % lanes) if rest % lanes else None
            if not shared:
                self.panel(start, count, index(whole), -(-rest // lanes), partial, total)
            else:
                with kernel.when(Op("bool", False, "eq", (share, self.ext(shares - 1)))):
                    self.panel(start, count, index(whole), -(-rest // lanes), partial, total)

    def panel(self, start: Expr, count: Expr, p: Expr, vectors: int, partial: Expr | None, total: int) -> None:
        kernel, tiling = self.kernel, self.tiling
        matrix = (self.ci + (EXTRA_ROWS if tiling.pairs else 0)) * self.width
        first = kernel.let(p * (tiling.positions * matrix), "w0")
        with kernel.loop(tiling.positions, "position") as position:
            w = kernel.let(first + position * matrix, "b")
            v = kernel.let(position * (tiling.block * self.line if tiling.pairs else self.v_step), "v0")
            m = kernel.let(position * self.m_step, "m0")
            (self.products_in_pairs if tiling.pairs else self.products)(count, w, v, m, vectors, total)
        n0 = kernel.let(p * self.width, "n0")
        with kernel.loop(count, "t") as t:
            self.transform_outputs(t, self.tile_place(start + t), n0, vectors, partial)

    def products(self, count: Expr, w: Expr, v: Expr, m: Expr, vectors: int, total: int) -> None:
        """m[t][column] = v[t] w, for the tiles of the block; with open extents up to a whole register tile."""
        kernel = self.kernel

        def strip(t: Expr, rows: int) -> None:
            at = kernel.let(v + t * self.row, "a")
            to = kernel.let(m + t * self.width, "to")
            left = Left(self.v, at, [index(r * self.row) for r in range(rows)], [], index(self.ci))

            def finish(r: int, column: int, value: Expr) -> None:
                kernel.store(self.m, to + (r * self.width + column * kernel.lanes), value)

            right = Right(self.weights, w, index(self.width))
            unroll = unrolled_steps(self.task.target, vectors, self.ci)
            emit_tile(kernel, self.anchor.dtype, vectors, left, right, finish, unroll)

        self.strips(count, strip, total)

    def products_in_pairs(self, count: Expr, w: Expr, v: Expr, m: Expr, vectors: int, total: int) -> None:
        """The same, one vector of columns after the other."""
        kernel, lanes, height = self.kernel, self.kernel.lanes, self.tiling.registers.rows
        ahead, strips = rows_ahead(self.tiling.block // height), in_pieces(height, self.ci)
        with kernel.loop(vectors, "column") as column:
            b = kernel.let(w + column * ((self.ci + EXTRA_ROWS) * lanes), "b")
            c = kernel.let(m + column * lanes, "m")

            def strip(t: Expr, rows: int) -> None:
                at = kernel.let(v + t * self.line, "a")
                to = kernel.let(c + t * self.width, "to")
                left = Left(self.stage, at, [index(r * PIECE) for r in range(rows)], [], index(self.ci))

                def finish(r: int, _: int, value: Expr) -> None:
                    kernel.store(self.m, to + r * self.width, value)

                right = Right(self.weights, b, index(lanes))
                emit_pairs(strips, ahead, kernel, self.anchor.dtype, 1, left, right, finish, 1, t // height)

            self.strips(count, strip, total)

    def strips(self, count: Expr, strip: Callable[[Expr, int], None], total: int) -> None:
        """The tiles of a block, as many at once as a register tile has rows, then the rest."""
        kernel, limit = self.kernel, self.tiling.registers.rows
        if not self.fixed:
            with kernel.loop(count, "t", step=limit) as t:
                strip(t, limit)
            return
        if isinstance(count, Const):
            whole: Expr = index(int(count.value) // limit * limit)
            rest = int(count.value) % limit
        else:
            whole, rest = kernel.let(count - count % limit, "whole"), total % limit  # blocks are whole but the last
        if not (isinstance(whole, Const) and whole.value == 0):
            with kernel.loop(whole, "t", step=limit) as t:
                strip(t, limit)
        if rest and isinstance(whole, Const):
            strip(whole, rest)
        elif rest:
            with kernel.when(whole < count):
                strip(whole, rest)

    # -- outputs ----------------------------------------------------------------------------------------------
    def transform_outputs(self, t: Expr, place: _Place, n0: Expr, vectors: int, partial: Expr | None) -> None:
        """m[i, j][t] -> the pixels of one tile that lie in the output."""
        kernel, y, x, lanes = self.kernel, self.tiling.y, self.tiling.x, self.kernel.lanes
        rows: Expr = index(y.m)
        columns: Expr = index(x.m)
        if self.y.out % y.m or not self.fixed:
            rows = kernel.let(minimum(self.ext(self.y.out) - place.y, y.m), "rows")
        if self.x.out % x.m or not self.fixed:
            columns = kernel.let(minimum(self.ext(self.x.out) - place.x, x.m), "columns")

        def vector(v: Expr, active: Expr | None) -> None:
            at = kernel.let(t * self.width + v, "at")
            with kernel.loop(x.n, "j") as j:
                places = [at + (j + i * x.n) * self.m_step for i in range(y.n)]
                column = [kernel.let(Load(self.m.dtype, True, self.m, p), "d") for p in places]
                for i, value in enumerate(emit_sums(kernel, y.output, column)):
                    kernel.store(self.half, (j + i * x.n) * lanes, value)
            with kernel.loop(rows, "row") as row:
                for k, value in enumerate(emit_sums(kernel, x.output, self.halves(row, x.n))):
                    kernel.store(self.pixels, self.pixel(row, k), value)
                if not self.apart:
                    store(v, active, row)
            if self.apart:
                with self.results.apart(kernel, self.task.target), kernel.loop(rows, "row") as row:
                    store(v, active, row)

        def store(v: Expr, active: Expr | None, row: Expr) -> None:
            with kernel.loop(columns, "column") as column:
                value = kernel.let(Load(self.pixels.dtype, True, self.pixels, self.pixel(row, column)), "c")
                where = self.input_place(place.n, n0 + v + LANE, place.y + row, place.x + column)
                self.results.store(kernel, where, [(self.anchor, value)], Vectorizer(active))

        kernel.vectors(vectors, partial, vector)

    def pixel(self, row: Expr, column: Expr | int) -> Expr:
        """Where scratch holds a pixel of a tile before the epilogue: with one row at a time, or all."""
        first = row * self.tiling.x.m if self.apart else index(0)
        return (first + column) * self.kernel.lanes


def _all(*conditions: Expr) -> Expr:
    result = conditions[0]
    for c in conditions[1:]:
        result = Op("bool", False, "and", (result, c))
    return result


def _base(lane: Expr) -> Expr:
    """The position of lane 0 of a vector."""
    return lane.args[0] if isinstance(lane, Op) and lane.args[1] is LANE else index(0)
