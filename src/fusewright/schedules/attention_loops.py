"""How does a unit of attention loop? See `schedules.attention`, which chooses the blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fusewright.kernel.expr import SIZES, Const, Expr, Load, Op, arg, const, index, is_const, minimum, op, select
from fusewright.kernel.loops import CallC, Kernel
from fusewright.kernel.tensor import Anchor, Source, Tensor
from fusewright.kernel.vectorize import LANE, Vectorizer, lane_guard, substitute
from fusewright.schedules.epilogue import Results, above
from fusewright.schedules.task import Task
from fusewright.schedules.tile import Left, Right, TileShape, emit_tile, unrolled_steps


@dataclass(frozen=True)
class Blocks:
    """Extents: `rows` of a unit, `keys` of a block, `columns` of a packed row of values; the tile of both products."""

    rows: int
    keys: int
    columns: int
    tile: TileShape
    single: bool  # all keys are one block


@dataclass
class Attention:
    """Emits the kernel. `q`, `k`, `v` have the batch dimensions of the scores (some walked with steps of 0)."""

    task: Task
    kernel: Kernel
    blocks: Blocks
    raw: Anchor
    scores: Tensor
    weighted: Anchor
    results: Results
    guard: float | None
    q: Source
    k: Source
    v: Source

    def __post_init__(self) -> None:
        self.fixed = not self.task.open_extents
        self.dtype, self.lanes = self.raw.dtype, self.kernel.lanes
        *self.batch, rows, keys = self.raw.shape
        self.height, self.vectors = self.blocks.tile.rows, self.blocks.tile.vectors
        self.width = self.vectors * self.lanes
        self.rows, self.keys = self.ext(rows), self.ext(keys)
        self.depth, self.columns = self.ext(self.q.shape[-1]), self.ext(self.v.shape[-1])
        self.unit_rows, self.block_keys = self.ext(self.blocks.rows), self.ext(self.blocks.keys)
        self.value_step = self.ext(self.blocks.columns)
        self.changing = above([self.scores], [self.raw])
        self.scratch_bytes = 0
        self.unroll = unrolled_steps(self.task.target)

    def ext(self, value: int) -> Expr:
        return index(value) if self.fixed else arg(value)

    def make_scratch(self) -> None:
        """Most of it in one piece, as sizes that run-time extents reach are not spelled; its parts lie at `at_...`."""
        kernel, b = self.kernel, self.blocks
        self.row_values = kernel.scratch(self.dtype, self.height, "sums")  # of each row of the tile: 1 / sum
        self.decay = kernel.scratch(self.dtype, self.height, "decay")  # what the rows' earlier sums are scaled by
        self.tile = kernel.scratch(self.dtype, self.height * self.width, "tile")
        depth, keys = self.q.shape[-1], b.keys
        sizes = [self.height * keys, keys * depth, keys * b.columns]
        sizes += [] if b.single else [b.rows, b.rows, b.rows * b.columns]
        places: list[Expr] = []
        total = 0
        for size in sizes:
            places.append(self.ext(total))
            total += -(-size // self.lanes) * self.lanes
        self.near = kernel.scratch(self.dtype, 0, "near")
        self.scratch_bytes = kernel.scratch_bytes + total * SIZES[self.dtype]
        self.at_scores, self.at_keys, self.at_values, *more = places
        if more:
            self.at_maximum, self.at_sum, self.at_total = more

    def emit(self) -> int:
        kernel, b = self.kernel, self.blocks
        self.make_scratch()
        parts = -(-self.raw.shape[-2] // b.rows)
        units = parts
        with kernel.loop(kernel.hi, "u", start=kernel.lo) as u:
            rest = u
            first: Expr = index(0)
            if parts > 1 or not self.fixed:
                first = kernel.let(rest % self.ext(parts) * self.unit_rows, "first")
                rest = kernel.let(rest // self.ext(parts), "head")
            end = self.rows
            if parts > 1 or not self.fixed:
                end = kernel.let(minimum(first + self.unit_rows, self.rows), "end")
            self.at = self.position(rest)
            for extent in self.batch:
                units *= extent
            if not b.single:
                self.reset(end - first)
            with kernel.loop(self.keys, "j", start=0, step=self.block_keys) as j:
                count = self.keys if b.single else kernel.let(minimum(self.block_keys, self.keys - j), "keys")
                self.pack_keys(j, count)
                self.pack_values(j, count)
                with kernel.loop(end, "i", start=first, step=self.height) as i:
                    self.strip(i, i - first, end, j, count)
            if not b.single:
                with kernel.loop(end, "i", start=first) as i:
                    self.finish_row(i, i - first)
        return units

    def position(self, unit: Expr) -> tuple[Expr, ...]:
        """The index of a unit in the batch dimensions."""
        at: list[Expr] = [index(0)] * len(self.batch)
        moving = [d for d, extent in enumerate(self.batch) if extent != 1]
        for d in reversed(moving[1:]):
            at[d] = self.kernel.let(unit % self.ext(self.batch[d]), f"o{d}")
            unit = self.kernel.let(unit // self.ext(self.batch[d]), "rest")
        if moving:
            at[moving[0]] = unit
        return tuple(at)

    # -- packing ----------------------------------------------------------------------------------------------
    def pack_keys(self, j: Expr, count: Expr) -> None:
        """k[d, j + key] -> keys[key / width][d][key % width], zeros behind the last one of a vector."""
        kernel = self.kernel
        turned = is_const(self.k.strides[-2], 1) and not is_const(self.k.strides[-1], 1) and self.dtype == "f32"

        def pack(at: Expr, vectorize: Vectorizer) -> None:
            key = first_lane(at)
            panel = self.at_keys + key // self.width * (self.depth * self.width) + key % self.width
            place = kernel.let(panel, "place")
            if turned:
                rows = index(self.lanes) if vectorize.count is None else vectorize.count
                first = self.k.position((*self.at, index(0), j + key))
                args = (self.k.memory, first, self.k.strides[-1], rows, self.depth, self.near, place, index(self.width))
                kernel.emit(CallC("fw_transpose_f32", args))
                return
            with kernel.loop(self.depth, "d") as d:
                value = vectorize(self.k.at((*self.at, d, j + at)))
                kernel.store(self.near, place + d * self.width, value)

        kernel.vector_loop(count, pack, name="key")

    def pack_values(self, j: Expr, count: Expr) -> None:
        """v[j + key, n] -> values[key][n]"""
        kernel = self.kernel
        with kernel.loop(count, "key") as key:
            place = kernel.let(self.at_values + key * self.value_step, "place")

            def pack(at: Expr, vectorize: Vectorizer) -> None:
                kernel.store_lanes(self.near, place + at, self.v.at((*self.at, j + key, at)), vectorize)

            kernel.vector_loop(self.columns, pack)

    # -- one tile of rows -------------------------------------------------------------------------------------
    def strip(self, i: Expr, local: Expr, end: Expr, j: Expr, keys: Expr) -> None:
        kernel, height = self.kernel, self.height
        even = self.fixed and self.blocks.rows % height == 0 and self.raw.shape[-2] % height == 0
        count = index(height) if even else kernel.let(minimum(end - i, index(height)), "count")
        base = kernel.let(self.q.position((*self.at, i, index(0))), "a")
        step = self.q.strides[-2]
        rows = [kernel.let(minimum(index(m), count - 1) * step if m else index(0), f"r{m}") for m in range(height)]
        left = Left(self.q.memory, base, rows, [], self.depth)

        def scores(n0: Expr, vectors: int) -> None:
            panel = self.at_keys + n0 // self.width * (self.depth * self.width) + n0 % self.width

            def keep(m: int, v: int, value: Expr) -> None:
                kernel.store(self.near, self.at_scores + n0 + self.block_keys * m + v * self.lanes, value)

            right = Right(self.near, kernel.let(panel, "b"), index(self.width))
            emit_tile(kernel, self.dtype, vectors, left, right, keep, self.unroll)

        self.over_columns(keys, scores)
        with kernel.loop(count, "m") as m:
            self.softmax_row(i + m, local + m, m, j, keys)

        tops = [index(m) * self.block_keys for m in range(height)]
        weights = Left(self.near, self.at_scores, tops, [], keys)

        def values(n0: Expr, vectors: int) -> None:
            right = Right(self.near, kernel.let(self.at_values + n0, "b"), self.value_step)
            if self.blocks.single:
                self.direct(weights, right, i, n0, vectors, count)
            else:
                self.add_up(weights, right, local, n0, vectors)

        self.over_columns(self.columns, values)

    def over_columns(self, extent: Expr, body: Callable[[Expr, int], None]) -> None:
        """`body(first column, vectors)` over [0, extent): whole tiles, then what is left (one by one if it is open)."""
        kernel, width, lanes = self.kernel, self.width, self.lanes
        if isinstance(extent, Const):
            whole, rest = int(extent.value) // width * width, int(extent.value) % width
            if whole:
                with kernel.loop(whole, "n0", step=width) as n0:
                    body(n0, self.vectors)
            if rest:
                body(index(whole), -(-rest // lanes))
            return
        whole_e = kernel.let(extent - extent % width, "whole")
        with kernel.loop(whole_e, "n0", step=width) as n0:
            body(n0, self.vectors)
        with kernel.loop(extent, "n0", start=whole_e, step=lanes) as n0:
            body(n0, 1)

    def softmax_row(self, i: Expr, local: Expr, m: Expr, j: Expr, keys: Expr) -> None:
        """scores of row i -> their exponentials beside the row's maximum, in place; the row's sum."""
        kernel, dtype = self.kernel, self.dtype
        row = kernel.let(self.at_scores + m * self.block_keys, "row")
        low, zero = (as_vector(const(value, dtype)) for value in (float("-inf"), 0))
        largest, total = kernel.mutable(low, "largest"), kernel.mutable(zero, "total")

        def score(at: Expr, vectorize: Vectorizer) -> None:
            value: Expr = Load(dtype, False, self.near, row + at)
            if self.scores is not self.raw:
                for tensor in self.changing:
                    tensor.forget()
                self.raw.bound = lambda _, value=value: value
                value = self.scores.at((*self.at, i, j + at))
            vector = kernel.let(as_vector(vectorize(value)), "s")
            if self.scores is not self.raw:
                kernel.store(self.near, row + first_lane(at), vector)
            vector = active(vector, vectorize, low)
            kernel.assign(largest, select(vector > largest, vector, largest))  # NaN is passed over: the sum shows it

        kernel.vector_loop(keys, score)
        top: Expr = kernel.let(Op(dtype, False, "hmax", (largest,)), "top")
        earlier: Expr | None = None
        if not self.blocks.single:
            earlier = kernel.let(Load(dtype, False, self.near, self.at_maximum + local), "earlier")
            top = kernel.let(op("max", earlier, top), "top")
            kernel.store(self.near, self.at_maximum + local, top)
            lowest = op("eq", top, const(float("-inf"), dtype))  # nothing to see yet: all exponentials are to be 0
            top = kernel.let(select(lowest, const(0, dtype), top), "top")

        def exponential(at: Expr, vectorize: Vectorizer) -> None:
            e = kernel.let(op("exp_low", Load(dtype, True, self.near, row + first_lane(at)) - top), "e")
            kernel.store(self.near, row + first_lane(at), e)
            kernel.assign(total, op("add", total, active(e, vectorize, const(0, dtype))))

        kernel.vector_loop(keys, exponential)
        seen = kernel.let(Op(dtype, False, "hsum", (total,)), "sum")
        if earlier is None:
            kernel.store(self.row_values, m, self.reciprocal(seen))
            return
        decay = kernel.let(op("exp_low", earlier - top), "decay")
        kernel.store(self.decay, m, decay)
        before = Load(dtype, False, self.near, self.at_sum + local)
        kernel.store(self.near, self.at_sum + local, before * decay + seen)

    def reciprocal(self, total: Expr) -> Expr:
        """What a row is scaled by. A sum is 1 at least; it is 0 or NaN where Softmax gives NaN: 0 marks such a row if
        there is a guard."""
        scale = op("div", const(1, self.dtype), total)
        return scale if self.guard is None else select(total > 0, scale, const(0, self.dtype))

    # -- results ----------------------------------------------------------------------------------------------
    def direct(self, weights: Left, right: Right, i: Expr, n0: Expr, vectors: int, count: Expr) -> None:
        """All keys are one block: results are ready."""
        kernel, span = self.kernel, vectors * self.lanes
        emit_tile(
            kernel, self.dtype, vectors, weights, right,
            lambda m, v, value: kernel.store(self.tile, index(m * span + v * self.lanes), value), self.unroll,
        )  # fmt: skip
        with kernel.loop(count, "m") as m:
            scale = kernel.let(Load(self.dtype, False, self.row_values, m), "scale")
            for v in range(vectors):
                value = Load(self.dtype, True, self.tile, m * span + v * self.lanes)
                self.store(i + m, n0 + v * self.lanes, value, scale, v == vectors - 1)

    def add_up(self, weights: Left, right: Right, local: Expr, n0: Expr, vectors: int) -> None:
        """The block's part of the sums, on top of what was added up before."""
        kernel = self.kernel

        def add(m: int, v: int, value: Expr) -> None:
            place = self.at_total + (local + m) * self.value_step + n0 + v * self.lanes
            decay = Load(self.dtype, False, self.decay, index(m))
            before = Load(self.dtype, True, self.near, place)
            kernel.store(self.near, place, Op(self.dtype, True, "fma", (before, decay, value)))

        emit_tile(kernel, self.dtype, vectors, weights, right, add, self.unroll)

    def reset(self, rows: Expr) -> None:
        """No maximum, no sum, no result yet."""
        kernel = self.kernel
        with kernel.loop(rows, "i") as i:
            kernel.store(self.near, self.at_maximum + i, const(float("-inf"), self.dtype))
            kernel.store(self.near, self.at_sum + i, const(0, self.dtype))
        zero = Op(self.dtype, True, "splat", (const(0, self.dtype),))
        with kernel.loop(rows * self.value_step, "n", step=self.lanes) as n:
            kernel.store(self.near, self.at_total + n, zero)

    def finish_row(self, i: Expr, local: Expr) -> None:
        kernel = self.kernel
        scale = kernel.let(self.reciprocal(Load(self.dtype, False, self.near, self.at_sum + local)), "scale")
        row = kernel.let(self.at_total + local * self.value_step, "row")
        with kernel.loop(self.columns, "n0", step=self.lanes) as n0:
            self.store(i, n0, Load(self.dtype, True, self.near, row + n0), scale, True)

    def store(self, i: Expr, n0: Expr, value: Expr, scale: Expr, last: bool) -> None:
        """One vector of results; the last one of a row may have fewer lanes."""
        kernel = self.kernel
        value = value * scale
        if self.guard is not None:
            value = select(scale > 0, value, self.guard)
        partial: Expr | None = None
        if last and not self.fixed:
            partial = kernel.let(minimum(index(self.lanes), self.columns - n0), "lanes")
        elif last and self.v.shape[-1] % self.lanes:
            whole = isinstance(n0, Const) and int(n0.value) + self.lanes <= self.v.shape[-1]
            partial = None if whole else minimum(index(self.lanes), self.columns - n0)
        place = (*self.at, i, n0 + LANE)
        self.results.store(kernel, place, [(self.weighted, kernel.let(value, "y"))], Vectorizer(partial))


def first_lane(at: Expr) -> Expr:
    return substitute(at, LANE, index(0))


def as_vector(value: Expr) -> Expr:
    return value if value.vec else Op(value.dtype, True, "splat", (value,))


def active(value: Expr, vectorize: Vectorizer, otherwise: Expr) -> Expr:
    """`value` in the lanes that exist."""
    return value if vectorize.count is None else select(lane_guard(vectorize.count), value, otherwise)
