"""y[n, c, o] = combine over taps k of x[n, c, o * stride + k * dilation - pad]: each channel by itself over a window.

Values lie channels last, so vectors run over channels. A tile is several neighbouring pixels of one row: an input
vector that is loaded serves every pixel whose window holds it. Rows of the filter that lie in the padding are cut off
by the limits of the tap loops, columns at compile time (fixed extents) or pixel by pixel at the borders (open ones).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby

from fusewright.kernel.expr import (
    Buffer,
    Const,
    Expr,
    Op,
    arg,
    cast,
    const,
    index,
    is_const,
    maximum,
    minimum,
)
from fusewright.kernel.loops import Kernel
from fusewright.kernel.tensor import Index
from fusewright.kernel.vectorize import Vectorizer
from fusewright.schedules.sliding import Lanes, Slide, Window

TILE_TAPS = 128  # pixels times taps of a row that are spelled out: more costs compile time and the instruction cache
UNROLLED_TAPS = 16  # a longer row of the filter is a loop
BORDER_TILES = 4  # kinds of clipped tiles in a row that are spelled out


@dataclass(eq=False)
class _Row:
    """One row of the output: its index, where its input starts, and the tap ranges of the dimensions above x."""

    n: Expr
    block: Expr
    ys: list[Expr]
    base: Expr
    firsts: list[Expr]
    taps: list[tuple[Expr, Expr]]
    count: Expr | None


def emit_window(kernel: Kernel, w: Window) -> int:
    """Emit the loops; returns the number of units (batch x channel blocks x rows)."""
    return _Emitter(kernel, w).run()


def ceil_div(x: Expr, by: int) -> Expr:
    """x / by rounded up, for x >= 0."""
    return x if by == 1 else (x + (by - 1)) // index(by)


def emit_window_rows(kernel: Kernel, w: Window, n: Expr, start: Expr, stop: Expr) -> None:
    """Emit what computes the rows [start, stop) of image `n`, all channels, in loops of the caller's."""
    emitter = _Emitter(kernel, w)
    blocks = -(-w.channels // w.block)
    with kernel.loop(blocks, "block") as block, kernel.loop(stop, "y", start=start) as y:
        emitter.columns(emitter.row(n, block, [y]), blocks)


@dataclass(eq=False)
class _Emitter:
    kernel: Kernel
    w: Window

    def ext(self, value: int) -> Expr:
        return index(value) if self.w.fixed else arg(value)

    def pad(self, value: int) -> Expr:
        return arg(value) if self.w.varies and not self.w.fixed else index(value)

    def step(self, dim: int) -> Expr:
        """The step of a dimension; that of x is the channels where these lie dense, and fixed with them."""
        step = self.w.strides[dim]
        dense = self.w.channels_fixed and dim == len(self.w.strides) - 1 and step == self.w.channels
        return index(step) if self.w.fixed or dense or step == 1 else arg(step)

    def run(self) -> int:
        w, kernel = self.w, self.kernel
        blocks = -(-w.channels // w.block) if w.channels_fixed else 1
        extents = [self.ext(w.batch), index(blocks), *(self.ext(s.out) for s in w.slides[:-1])]
        units = w.batch * blocks
        for s in w.slides[:-1]:
            units *= s.out
        with kernel.loop(kernel.hi, "u", start=kernel.lo) as u:
            where: list[Expr] = [index(0)] * len(extents)
            rest = u
            for i in range(len(extents) - 1, -1, -1):
                if is_const(extents[i], 1):
                    continue
                where[i] = kernel.let(rest % extents[i], f"o{i}")
                rest = kernel.let(rest // extents[i], "rest")
            row = self.row(where[0], where[1], where[2:])
            self.columns(row, blocks)
        return units

    # -- rows -------------------------------------------------------------------------------------------------
    def row(self, n: Expr, block: Expr, ys: list[Expr]) -> _Row:
        w, kernel = self.w, self.kernel
        base = n * self.step(0)
        if w.origin is not None:
            base = w.origin + base
        firsts, taps = [], []
        count: Expr | None = None
        for d, (s, y) in enumerate(zip(w.slides, ys, strict=False)):
            first = kernel.let(y * s.stride - self.pad(s.before), "first")
            base = base + first * self.step(2 + d)
            low, high = self.tap_range(s, first)
            firsts.append(first)
            taps.append((low, high))
            if w.rule.mean:
                number = high - low if w.rule.mean == "inside" else self.padded_taps(s, first)
                count = number if count is None else count * number
        count = kernel.let(count, "count") if count is not None else index(1) if w.rule.mean else None
        return _Row(n, block, ys, kernel.let(base, "base"), firsts, taps, count)

    def tap_range(self, s: Slide, first: Expr) -> tuple[Expr, Expr]:
        """The taps [low, high) of a window from `first` that lie in the input."""
        kernel = self.kernel
        if (self.w.fixed or (s.before == s.after == 0 and not self.w.varies)) and s.inside == (0, s.out):
            return index(0), index(s.kernel)
        low = minimum(ceil_div(maximum(index(0) - first, 0), s.dilation), s.kernel)
        high = minimum(ceil_div(maximum(self.ext(s.size) - first, 0), s.dilation), s.kernel)
        low = kernel.let(low, "k_low")
        return low, kernel.let(maximum(high, low), "k_high")

    def padded_taps(self, s: Slide, first: Expr) -> Expr:
        """How many taps lie before the end of the padding (rounded-up extents let windows reach beyond it)."""
        end = self.ext(s.size) + self.pad(s.after)
        return minimum(ceil_div(maximum(end - first, 0), s.dilation), s.kernel)

    # -- columns ----------------------------------------------------------------------------------------------
    def columns(self, row: _Row, blocks: int) -> None:
        w = self.w
        s = w.slides[-1]
        if w.results.means:
            self.channel_loop(row, blocks, lambda lanes: self.begin_means(row, lanes))
        unrolled = s.kernel <= UNROLLED_TAPS
        if w.fixed and unrolled:
            runs = self.static_tiles(s)
            if runs is not None:
                for start, stop, count, pattern in runs:
                    self.tiles(row, blocks, index(start), index(stop), count, pattern, asks=start == 0)
                return
        low, high = s.inside
        whole = tuple(range(s.kernel)) if unrolled else None
        self.tiles(row, blocks, index(0), self.ext(low), 1, None)
        done: Expr = self.ext(low)
        size = self.tile_pixels(s)
        while size >= 1:
            end = high - (high - low) % size
            self.tiles(row, blocks, done, self.ext(end), size, (whole,) * size if whole else None)
            done, low = self.ext(end), end
            size //= 2
        self.tiles(row, blocks, done, self.ext(s.out), 1, None)

    def tile_pixels(self, s: Slide) -> int:
        pixels = self.w.pixels
        while pixels > 1 and pixels * s.kernel > TILE_TAPS:
            pixels //= 2
        return pixels

    def static_tiles(self, s: Slide) -> list[tuple[int, int, int, tuple[tuple[int, ...], ...]]] | None:
        """Runs of tiles (start, stop, pixels, taps of each pixel) that are clipped alike; None if they are too many."""
        most = self.tile_pixels(s)
        tiles = -(-s.out // most)
        count = -(-s.out // tiles)
        starts = list(range(0, s.out, count))
        shapes = [(min(count, s.out - x), tuple(s.taps(x + m) for m in range(min(count, s.out - x)))) for x in starts]
        runs = []
        at = 0
        for (pixels, pattern), same in groupby(shapes):
            width = len(list(same)) * pixels
            runs.append((at, at + width, pixels, pattern))
            at += width
        return runs if len(runs) <= BORDER_TILES else None

    def tiles(
        self,
        row: _Row,
        blocks: int,
        start: Expr,
        stop: Expr,
        count: int,
        pattern: tuple[tuple[int, ...], ...] | None,
        asks: bool = False,
    ) -> None:
        """Tiles of `count` pixels over [start, stop); without a pattern the columns' limits are computed. Those that
        `asks` ask for the weights of the next block of channels: once a row is enough."""
        if isinstance(start, Const) and isinstance(stop, Const) and start.value >= stop.value:
            return
        s = self.w.slides[-1]
        with self.kernel.loop(stop, "x", start=start, step=count) as x:
            first = self.kernel.let(x * s.stride - self.pad(s.before), "first_x")
            limits = self.tap_range(s, first) if pattern is None else (index(0), index(0))
            shared: dict[int, Expr] = {}
            scales = [
                self.scale(row, first + m * s.stride, None if pattern is None else pattern[m], limits, shared)
                for m in range(count)
            ]

            def body(lanes: Lanes) -> None:
                self.tile(row, lanes, x, first, pattern or ((),) * count, limits, scales, asks and blocks > 1)

            self.channel_loop(row, blocks, body)

    def scale(
        self,
        row: _Row,
        first: Expr,
        taps: tuple[int, ...] | None,
        limits: tuple[Expr, Expr],
        shared: dict[int, Expr],
    ) -> Expr | None:
        """1 / number of taps that the mean of one pixel divides by; pixels of a tile with equal numbers share it."""
        if row.count is None:
            return None
        s = self.w.slides[-1]
        if taps is not None and (self.w.rule.mean == "inside" or len(taps) == s.kernel):
            if len(taps) not in shared:
                shared[len(taps)] = self.reciprocal(row.count * len(taps))
            return shared[len(taps)]
        if self.w.rule.mean == "padded":
            return self.reciprocal(row.count * self.padded_taps(s, first))
        return self.reciprocal(row.count * (limits[1] - limits[0]))

    def reciprocal(self, count: Expr) -> Expr:
        if isinstance(count, Const):
            return const(1 / count.value if count.value else 0.0, self.w.source.dtype)
        one = const(1, self.w.source.dtype)
        return self.kernel.let(Op(self.w.source.dtype, False, "div", (one, cast(count, self.w.source.dtype))), "scale")

    # -- channels ---------------------------------------------------------------------------------------------
    def channel_loop(self, row: _Row, blocks: int, body: Callable[[Lanes], None]) -> None:
        """Run `body` for every vector of the unit's channels, the last of which may be partial."""
        w, kernel = self.w, self.kernel
        total = index(w.channels) if w.channels_fixed else arg(w.channels)
        start: Expr = index(0)
        stop: Expr = total
        if blocks > 1:
            start = kernel.let(row.block * w.block, "c0")
            stop = kernel.let(minimum(start + w.block, total), "c1")
        if not w.vector:
            with kernel.loop(stop, "c", start=start) as c:
                body(Lanes(row.n, c, None))
            return
        lanes = kernel.lanes
        whole = total - total % lanes
        whole = whole if isinstance(whole, Const) else kernel.let(whole, "whole")
        end = kernel.let(minimum(start + w.block, whole), "c_end") if blocks > 1 else whole
        with kernel.loop(end, "c", start=start, step=lanes) as c:
            body(Lanes(row.n, c, Vectorizer()))
        rest = total - whole
        if isinstance(rest, Const) and rest.value == 0:
            return
        if isinstance(rest, Const) and blocks == 1:
            body(Lanes(row.n, whole, Vectorizer(rest)))
            return
        with kernel.when(Op("bool", False, "lt", (end, stop))):
            body(Lanes(row.n, whole, Vectorizer(kernel.let(rest, "rest"))))

    # -- tiles ------------------------------------------------------------------------------------------------
    def tile(
        self,
        row: _Row,
        lanes: Lanes,
        x: Expr,
        first: Expr,
        pattern: Sequence[tuple[int, ...]],
        limits: tuple[Expr, Expr],
        scales: Sequence[Expr | None],
        asks: bool,
    ) -> None:
        """The states of the tile's pixels, the loops over taps, the results."""
        w, kernel = self.w, self.kernel
        rule, s = w.rule, w.slides[-1]
        count = len(pattern)
        starts = [lanes.spread(const(v, t)) for t, v in rule.states]
        if rule.start is not None:
            starts[0] = kernel.let(lanes.spread(rule.start(lanes)), "start")
        states = [[kernel.mutable(v, f"s{m}") for v in starts] for m in range(count)]
        step_x, step_c = self.step(len(w.strides) - 1), self.step(1)
        at = row.base + first * step_x
        tap: Expr = index(0)
        inner: list[Expr] = []
        with ExitStack() as loops:
            for d, (low, high) in enumerate(row.taps):
                k = loops.enter_context(kernel.loop(high, "k", start=low))
                at = at + k * (self.step(2 + d) * w.slides[d].dilation)
                tap = tap * w.slides[d].kernel + k
                inner.append(row.firsts[d] + k * w.slides[d].dilation)
            at = kernel.let(at, "at")
            tap = kernel.let(tap * s.kernel, "tap")
            if asks and rule.ask is not None:
                rule.ask(kernel, lanes, tap)

            def visit(m: int, column: Expr, weight: Expr | None, value: Expr) -> None:
                new = rule.combine(states[m], value, weight, lambda: self.position([*inner, first + column]))
                for state, result in reversed(list(zip(states[m], new, strict=True))):
                    kernel.assign(state, result)

            def read(column: Expr) -> Expr:
                return kernel.let(lanes.load(w.source, at + column * step_x, step_c), "v")

            def weight(k: Expr) -> Expr | None:
                return None if rule.weight is None else kernel.let(rule.weight(lanes, tap + k), "w")

            if any(pattern):
                self.unrolled_taps(s, pattern, weight, read, visit)
            else:
                with kernel.loop(limits[1], "kx", start=limits[0]) as kx:
                    tap_weight = weight(kx)
                    for m in range(count):
                        column = kx * s.dilation + m * s.stride
                        visit(m, column, tap_weight, read(column))
        self.finish(row, lanes, x, states, scales)

    def unrolled_taps(
        self,
        s: Slide,
        pattern: Sequence[tuple[int, ...]],
        weight: Callable[[Expr], Expr | None],
        read: Callable[[Expr], Expr],
        visit: Callable[[int, Expr, Expr | None, Expr], None],
    ) -> None:
        """Column by column, so that each input vector is loaded once for all pixels whose windows hold it."""
        weights: dict[int, Expr | None] = {}
        columns = sorted({m * s.stride + k * s.dilation for m, taps in enumerate(pattern) for k in taps})
        for column in columns:
            value = read(index(column))
            for m, taps in enumerate(pattern):
                for k in taps:
                    if m * s.stride + k * s.dilation == column:
                        if k not in weights:
                            weights[k] = weight(index(k))
                        visit(m, index(column), weights[k], value)

    def position(self, place: Sequence[Expr]) -> Expr:
        """The flat spatial position of an input element."""
        pairs = list(zip(place, self.w.slides, strict=True))
        if self.w.rule.columns_first:
            pairs.reverse()
        flat: Expr = index(0)
        for i, s in pairs:
            flat = flat * self.ext(s.size) + i
        return flat

    def finish(
        self, row: _Row, lanes: Lanes, x: Expr, states: Sequence[Sequence[Expr]], scales: Sequence[Expr | None]
    ) -> None:
        w = self.w
        sums: list[Expr] = []
        for m, (state, scale) in enumerate(zip(states, scales, strict=True)):
            values = w.rule.finish(state, scale, lanes)
            named = [self.kernel.let(lanes.spread(v), "y") for v in values]
            place: Index = (row.n, lanes.channel(), *row.ys, x + m)
            place = place if w.place is None else w.place(place)
            made = w.results.store(self.kernel, place, list(zip(w.anchors, named, strict=True)), lanes.fresh())
            sums = [self.kernel.let(a + b, "sum") for a, b in zip(sums, made, strict=True)] if sums else made
        if sums:
            self.add_to_means(row, lanes, sums)

    def begin_means(self, row: _Row, lanes: Lanes) -> None:
        for _, buffer, target in self.w.results.means:
            self.store_mean(buffer, target.position(self.row_place(row, lanes)), const(0, buffer.dtype), lanes)

    def add_to_means(self, row: _Row, lanes: Lanes, sums: Sequence[Expr]) -> None:
        """What the pixels of one tile add to the means of their row."""
        share = lanes.spread(self.reciprocal(self.ext(self.w.slides[-1].out)))
        for (_, buffer, target), total in zip(self.w.results.means, sums, strict=True):
            place, vectorize = self.row_place(row, lanes), lanes.fresh()
            old = target.at(place) if vectorize is None else vectorize(target.at(place))
            mean = Op(total.dtype, total.vec, "fma", (total, share, old))
            self.store_mean(buffer, target.position(place), mean, lanes)

    def row_place(self, row: _Row, lanes: Lanes) -> Index:
        return (row.n, lanes.channel(), *row.ys, index(0))

    def store_mean(self, buffer: Buffer, at: Expr, value: Expr, lanes: Lanes) -> None:
        vectorize = lanes.fresh()
        if vectorize is None:
            self.kernel.store(buffer, at, value)
        else:
            self.kernel.store_lanes(buffer, at, value, vectorize)
