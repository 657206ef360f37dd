"""out[outer, y, x, n] = sum over taps and k of a[...] * b[...]: matmul and convolution as one loop nest.

A unit of work is one block of rows of one outer index and a share of the column panels. Within a unit, each panel of
the right side stays in cache while all rows of the block pass; where the left side has to be padded, moved or computed
first, the block is staged in the thread's scratch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from fusewright.kernel.expr import SIZES, Buffer, Const, Expr, Load, Op, arg, index, minimum
from fusewright.kernel.loops import Kernel
from fusewright.kernel.tensor import Tensor
from fusewright.kernel.vectorize import LANE, Vectorizer
from fusewright.schedules.blocks import block_rows
from fusewright.schedules.epilogue import sum_along, vector_along
from fusewright.schedules.normal_form import Place, Product
from fusewright.schedules.task import Task
from fusewright.schedules.tile import AHEAD, Left, Right, TapLoop, emit_tile, shares_of_panels, unrolled_steps

ROWS_AHEAD = 24  # steps along k, where the right side lies in rows that are far apart


def emit_product(task: Task, kernel: Kernel, p: Product) -> int:
    """Emit the whole nest; returns the number of units. Sets `p.scratch_bytes`."""
    return _Emitter(task, kernel, p).run()


def emit_rows(task: Task, kernel: Kernel, p: Product, outer: list[Expr], start: Expr, stop: Expr) -> None:
    """Emit what computes rows [start, stop) of x, at least as many as a tile has or none, in loops of the caller's.

    The last tile may repeat rows of the one before: nothing that it reads may be overwritten by the results.
    """
    _Emitter(task, kernel, p, blocked=True, repeats=True).part(outer, start, stop)


@dataclass
class _Emitter:
    task: Task
    kernel: Kernel
    p: Product
    shared: bool = False  # whether threads share the panels of one block
    blocked: bool = False  # whether there are several blocks of rows
    repeats: bool = False  # whether the last tile of a block may repeat rows of the one before

    def __post_init__(self) -> None:
        # a long epilogue is spelled once, in a loop over the rows of the tile; so is each with open extents, whose
        # tails come in several sizes and which is lowered anew for each size
        self.compact = self.p.results.long(self.task.target) or not self.p.fixed
        self.total: Tensor = self.p.anchor
        self.start: Tensor | None = None
        if self.p.inner is emit_tile and self.p.n_dim >= 0:
            self.total, self.start = sum_along(self.p.results, self.p.anchor, self.p.n_dim)
        self.tile_scratch = Buffer("tile", self.p.dtype, "scratch")
        self.block_rows = (0, 0)  # rows of a block, and how many blocks there are

    def ext(self, value: int, fixed: bool | None = None) -> Expr:
        return index(value) if (self.p.fixed if fixed is None else fixed) else arg(value)

    def run(self) -> int:
        p, kernel = self.p, self.kernel
        width = p.tile.vectors * kernel.lanes
        panels = -(-p.n // width)
        block, blocks = self.block_rows = block_rows(p, self.task.target, kernel.lanes)
        shares = shares_of_panels(p.outer_units * blocks, panels, p.threads)
        per_share = -(-panels // shares)
        shares = -(-panels // per_share)
        units = p.outer_units * blocks * shares
        along = p.y if p.y.extent > 1 else p.x

        block_e, blocks_e, shares_e = self.ext(block), self.ext(blocks), self.ext(shares)
        # with open extents the text must not tell whether there happens to be one block or one share
        self.shared, self.blocked = shares > 1 or not p.fixed, blocks > 1 or not p.fixed
        scratch = None
        self.tile_memory()
        if p.staging is not None:
            scratch = kernel.scratch(p.dtype, 0, "stage")
            p.scratch_bytes = (p.staging.elements_for(block) + 2 * kernel.lanes) * SIZES[p.dtype]
            p.scratch_bytes += kernel.scratch_bytes
        staged = ["staged"] if scratch is not None and self.shared else []
        with kernel.kept(*staged) as kept, kernel.loop(kernel.hi, "u", start=kernel.lo) as u:
            rest = u
            share: Expr = index(0)
            if self.shared:
                share, rest = kernel.let(rest % shares_e, "share"), kernel.let(rest // shares_e, "rest")
            group = rest
            at_block: Expr = index(0)
            if self.blocked:
                at_block, rest = kernel.let(rest % blocks_e, "block"), kernel.let(rest // blocks_e, "rest")
            outer: list[Expr] = [index(0)] * len(p.outer)
            for i in range(len(p.outer) - 1, -1, -1):
                if p.outer[i].extent == 1:
                    continue
                size = self.ext(p.outer[i].extent)
                first = all(loop.extent == 1 for loop in p.outer[:i])
                outer[i] = rest if first else kernel.let(rest % size, f"o{i}")
                if not first:
                    rest = kernel.let(rest // size, "rest")
            start = kernel.let(at_block * block_e, "start")
            extent = self.ext(along.extent)
            stop = extent if not self.blocked else kernel.let(minimum(start + block_e, extent), "stop")
            if scratch is not None and p.staging is not None:
                if kept:
                    with kernel.when(Op("bool", False, "ne", (group + 1, kept[0]))):
                        p.staging.fill(kernel, scratch, outer, start, stop)
                        kernel.assign(kept[0], group + 1)
                else:
                    p.staging.fill(kernel, scratch, outer, start, stop)
            source = self.source(scratch, outer, start, stop)
            self.panels(source, outer, start, stop, share, per_share, shares, panels)
        return units

    def part(self, outer: list[Expr], start: Expr, stop: Expr) -> None:
        self.tile_memory()
        p, kernel, height = self.p, self.kernel, self.p.tile.rows
        panels = -(-p.n // (p.tile.vectors * kernel.lanes))
        if p.staging is None:
            self.panels(None, outer, start, stop, index(0), panels, 1, panels)
            return
        scratch = kernel.scratch(p.dtype, p.staging.elements_for(height), "stage")
        with kernel.loop(stop, "strip", start=start, step=height) as strip:
            first = kernel.let(minimum(strip, stop - height), "first")
            p.staging.fill(kernel, scratch, outer, first, first + height)
            source = self.source(scratch, outer, first, first + height)
            self.panels(source, outer, first, first + height, index(0), panels, 1, panels)

    def source(self, scratch: Buffer | None, outer: list[Expr], start: Expr, stop: Expr) -> Buffer | None:
        """The memory that the tiles of a block read: scratch, once it is filled, or what its staging tells."""
        staging = self.p.staging
        if scratch is None or staging is None or staging.source is None:
            return scratch
        return staging.source(self.kernel, scratch, outer, start, stop)

    def tile_memory(self) -> None:
        if self.compact:
            tile = self.p.tile
            self.tile_scratch = self.kernel.scratch(self.p.dtype, tile.rows * tile.vectors * self.kernel.lanes, "tile")

    # -- columns ----------------------------------------------------------------------------------------------
    def panels(
        self,
        scratch: Buffer | None,
        outer: list[Expr],
        start: Expr,
        stop: Expr,
        share: Expr,
        per_share: int,
        shares: int,
        panels: int,
    ) -> None:
        p, kernel = self.p, self.kernel
        lanes, vectors = kernel.lanes, p.tile.vectors
        width = vectors * lanes
        whole = p.n // width
        n_total = self.ext(p.n, p.n_fixed)
        first: Expr = index(0) if not self.shared else kernel.let(share * self.ext(per_share), "p0")
        whole_e = self.ext(whole, p.n_fixed)
        end = whole_e if not self.shared else kernel.let(minimum(first + self.ext(per_share), whole_e), "p1")

        def strip(n0: Expr, count: int, partial: Expr | None, panel: Expr | None = None) -> None:
            """Columns from n0 on; `panel` is where their panel starts, if not there."""
            place = p.right_at(outer, n0) if panel is None else p.right_at(outer, panel) + (n0 - panel)
            self.rows(scratch, outer, start, stop, n0, count, partial, kernel.let(place, "b"))

        if not (p.n_fixed and whole == 0):
            with kernel.loop(end, "p", start=first) as panel:
                strip(kernel.let(panel * width, "n0"), vectors, None)
        if p.n_fixed:
            rest = p.n - whole * width
            if rest:
                count = -(-rest // lanes)
                partial = index(rest % lanes) if rest % lanes else None
                if not self.shared:
                    strip(index(whole * width), count, partial)
                else:
                    with kernel.when(Op("bool", False, "eq", (share, shares_last(shares, self)))):
                        strip(index(whole * width), count, partial)
            return
        tail = kernel.let(whole_e * width, "tail")
        if self.shared:
            tail = kernel.let(
                Op(
                    "i64", False, "select", (Op("bool", False, "eq", (share, shares_last(shares, self))), tail, n_total)
                ),
                "tail",
            )
        vectors_end = kernel.let(n_total - (n_total - tail) % lanes, "whole_vectors")
        with kernel.loop(vectors_end, "n0", start=tail, step=lanes) as n0:
            strip(n0, 1, None, tail)
        with kernel.when(Op("bool", False, "lt", (vectors_end, n_total))):
            strip(vectors_end, 1, kernel.let(n_total - vectors_end, "partial"), tail)

    # -- rows -------------------------------------------------------------------------------------------------
    def rows(
        self,
        scratch: Buffer | None,
        outer: list[Expr],
        start: Expr,
        stop: Expr,
        n0: Expr,
        vectors: int,
        partial: Expr | None,
        base: Expr,
    ) -> None:
        p, kernel = self.p, self.kernel
        few = isinstance(partial, Const) and partial.value <= kernel.lanes // 2
        count = partial if p.right_partial else None
        right = Right(p.right, base, p.right_step, count, self.steps_ahead(vectors), few)
        by_y = p.y.extent > 1
        y_first, y_end = (start, stop) if by_y else (index(0), index(1))
        x_first, x_end = (index(0), self.ext(p.x.extent)) if by_y else (start, stop)
        limit = p.tile.rows
        if p.across:

            def some(x: Expr, count: int) -> None:
                self.tile(scratch, outer, start, start, x, index(0), count, n0, vectors, partial, right)

            self.all_pixels(start, stop, some)
            return
        with kernel.loop(y_end, "y", start=y_first) as y:

            def strip(x: Expr, count: int) -> None:
                self.tile(scratch, outer, y, y_first, x, x_first, count, n0, vectors, partial, right)

            if self.repeats:
                with kernel.loop(x_end, "x", start=x_first, step=limit) as at:
                    strip(kernel.let(minimum(at, x_end - limit), "x"), limit)
                return
            length = x_end - x_first
            if isinstance(length, Const):
                whole = int(length.value) // limit * limit
                if whole:
                    with kernel.loop(whole, "x", step=limit) as x:
                        strip(x, limit)
                if length.value > whole:
                    strip(index(whole), int(length.value) - whole)
                return
            whole_e = kernel.let(x_end - (length % limit), "x_whole")
            with kernel.loop(whole_e, "x", start=x_first, step=limit) as x:
                strip(x, limit)
            if p.fixed:
                rest = p.x.extent % limit  # blocks hold whole tiles, so only the last block has a rest
                if rest:
                    with kernel.when(Op("bool", False, "lt", (whole_e, x_end))):
                        strip(whole_e, rest)
                return
            done = whole_e
            for size in (8, 4, 2, 1):
                if size < limit:
                    until = kernel.let(x_end - ((x_end - done) % size), "x_until") if size > 1 else x_end
                    with kernel.loop(until, "x", start=done, step=size) as x:
                        strip(x, size)
                    done = until

    def all_pixels(self, start: Expr, stop: Expr, strip: Callable[[Expr, int], None]) -> None:
        """`strip(first pixel, how many)` for rows [start, stop) of y, one behind the other."""
        p, kernel, limit = self.p, self.kernel, self.p.tile.rows
        block, blocks = self.block_rows
        pixels = kernel.let((stop - start) * p.x.extent, "pixels")
        whole = kernel.let(pixels - pixels % limit, "whole")
        with kernel.loop(whole, "x", step=limit) as x:
            strip(x, limit)
        left = pixels - whole
        if isinstance(left, Const):
            if left.value:
                strip(whole, int(left.value))
            return
        rows = {block, p.y.extent - (blocks - 1) * block}
        for rest in sorted({each * p.x.extent % limit for each in rows} - {0}):
            with kernel.when(Op("bool", False, "eq", (left, index(rest)))):
                strip(whole, rest)

    def steps_ahead(self, vectors: int) -> int:
        """How far ahead a tile asks for its weights, where these come from beyond the second cache, and several rows
        give it the time; of one row, where they are read as they lie, each step from another page."""
        p = self.p
        if p.dtype == "f32" and p.right_partial and p.tile.rows == 1:
            return ROWS_AHEAD
        packed = p.dtype == "f32" and p.k_fixed and p.n_fixed and not p.right_partial
        if not packed or p.tile.rows == 1 or p.steps * p.n * SIZES[p.dtype] <= self.task.target.l2_bytes // 2:
            return 0
        return AHEAD // (vectors * self.kernel.lanes * SIZES[p.dtype])

    def tile(
        self,
        scratch: Buffer | None,
        outer: list[Expr],
        y: Expr,
        y_first: Expr,
        x: Expr,
        x_first: Expr,
        count: int,
        n0: Expr,
        vectors: int,
        partial: Expr | None,
        right: Right,
    ) -> None:
        p, kernel = self.p, self.kernel
        left = self.left(scratch, outer, y, y_first, x, x_first, count)

        def finish(m: Expr, v: Expr, value: Expr, active: Expr | None) -> None:
            place: list[Expr] = [index(0)] * p.rank
            for i, loop in zip(outer, p.outer, strict=True):
                if loop.dim >= 0:
                    place[loop.dim] = i
            if p.across:
                place[p.y.dim], place[p.x.dim] = y + (x + m) // p.x.extent, (x + m) % p.x.extent
            else:
                if p.y.dim >= 0:
                    place[p.y.dim] = y
                if p.x.dim >= 0:
                    place[p.x.dim] = x + m
            if p.n_dim >= 0:
                place[p.n_dim] = self.column(outer, n0 + v) + LANE
            self.store(tuple(place), value, active)

        def active_of(v: int) -> Expr | None:
            return partial if v == vectors - 1 else None

        inner = p.inner
        if self.start is not None:
            begin = functools.partial(self.begin, self.start, outer, n0)
            inner = functools.partial(inner, start=lambda v: begin(v, active_of(v)))
        unroll = unrolled_steps(self.task.target, vectors, p.k)
        if not self.compact:
            inner(
                kernel, p.dtype, vectors, left, right,
                lambda m, v, value: finish(index(m), index(v * kernel.lanes), value, active_of(v)), unroll,
            )  # fmt: skip
            return
        tile, lanes = self.tile_scratch, kernel.lanes
        width = vectors * lanes
        inner(
            kernel, p.dtype, vectors, left, right,
            lambda m, v, value: kernel.store(tile, index(m * width + v * lanes), value), unroll,
        )  # fmt: skip
        with p.results.apart(kernel, self.task.target), kernel.loop(count, "m") as m:

            def vector(v: Expr, active: Expr | None) -> None:
                finish(m, v, kernel.let(Load(p.dtype, True, tile, m * width + v), "c"), active)

            kernel.vectors(vectors, partial, vector)

    def left(
        self, scratch: Buffer | None, outer: list[Expr], y: Expr, y_first: Expr, x: Expr, x_first: Expr, count: int
    ) -> Left:
        """Where a tile of `count` rows from (y, x) on reads them: what is staged, or the tensor itself."""
        p, kernel = self.p, self.kernel
        rows: list[Expr] = []
        if scratch is not None and p.staging is not None:
            s = p.staging
            in_row = x - x_first if s.by_x else x  # else rows are staged whole
            if s.row_step is not None and not p.fixed:  # a tile of fewer rows may begin inside a strip
                in_strip = kernel.let(in_row % p.tile.rows, "in_strip")
                base = (in_row - in_strip) * s.x_step + in_strip * s.row_step
            elif p.across:
                base, wide = index(0), p.x.extent
                rows = [(x + m) // wide * s.y_step + (x + m) % wide * s.x_step for m in range(count)]
            else:
                base = (y - y_first) * s.y_step + in_row * s.x_step
            buffer, x_step = scratch, s.x_step
            parts = s.reached(kernel, outer, y, x, count) if s.reached is not None else [None for _ in p.taps]
            taps = [
                TapLoop(t.extent, step, *(part or ()))
                for t, step, part in zip(p.taps, s.tap_steps, parts, strict=True)
            ]
        else:
            base = p.left.offset if p.left.offset is not None else index(0)
            for i, loop in zip(outer, p.outer, strict=True):
                if loop.left and loop.extent > 1:
                    base = base + i * self.ext(loop.left)
            x_step = self.ext(p.x.left, p.fixed or (p.k_fixed and p.x.left == p.k))
            base = base + y * self.ext(p.y.left)
            if p.x.wide:
                rows = [self.pixel(x + m) for m in range(count)]
            else:
                base = base + x * x_step
            if p.left.buffer is None:
                raise TypeError("the left side is not bound")
            buffer = p.left.buffer
            taps = [TapLoop(t.extent, self.ext(t.left)) for t in p.taps]
        base = kernel.let(base, "a")
        step = index(p.staging.row_step) if p.staging is not None and p.staging.row_step is not None else x_step
        rows = rows or [index(m) * step for m in range(count)]
        return Left(buffer, base, rows, taps, self.ext(p.k, p.k_fixed))

    def pixel(self, x: Expr) -> Expr:
        """Where the left side of pixel x lies, in rows that do not follow each other."""
        loop = self.p.x
        return x // loop.wide * loop.row + x % loop.wide * loop.left

    def begin(self, start: Tensor, outer: list[Expr], n0: Expr, v: int, active: Expr | None) -> Expr:
        """What the sums of one vector of columns begin with."""
        column = self.column(outer, n0 + v * self.kernel.lanes)
        return vector_along(start, self.p.n_dim, self.p.rank, column, active)

    def column(self, outer: list[Expr], n: Expr) -> Expr:
        """The logical column: grouped convolutions have their group as an outer loop that drives the columns too."""
        for i, loop in zip(outer, self.p.outer, strict=True):
            if loop.dim == -2 and loop.extent > 1:
                n = n + i * self.ext(self.p.n, self.p.n_fixed)
        return n

    def store(self, place: Place, value: Expr, active: Expr | None) -> None:
        p = self.p
        place = place if p.place is None else p.place(place)
        p.results.store(self.kernel, place, [(self.total, value)], Vectorizer(active))


def shares_last(shares: int, emitter: _Emitter) -> Expr:
    return emitter.ext(shares - 1)
