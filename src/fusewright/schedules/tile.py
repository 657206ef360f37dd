"""acc[rows][columns] += a[row, k] * b[k, column]: the register tile at the heart of every matmul and convolution.

Rows are single values spread over a vector, columns are vectors. Named accumulators, one spread value shared by the
vectors of its row: few instructions for each multiply-add, and nothing spills (see docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from fusewright.kernel.expr import Buffer, Const, Expr, Load, Op, Var, const, index, known
from fusewright.kernel.loops import CallC, Kernel
from fusewright.schedules.choice import Option
from fusewright.schedules.cost import shares_of
from fusewright.schedules.task import Task
from fusewright.target.target import Target

MAX_ROWS = {  # by vector registers and vectors in a row: accumulators + vectors of b + one spread value must fit
    32: {4: 6, 3: 8, 2: 12, 1: 16},
    16: {3: 3, 2: 6, 1: 10},  # 4x3 would fill all 16: clang spills (47 to 70 GFLOP/s, 6x2: 102)
}
LOADS = {32: 0.75, 16: 1.0}  # what a load costs beside a multiply-add, where there are so many registers
BEHIND = {32: 0.1, 16: 0.5}  # what a vector of b costs in any case: with few registers few rows share it
LONG_SUM = 128  # steps along k from which a loop's own instructions matter
AHEAD = 3072  # bytes of b, from where it is read to what is asked for
PARTS = 8  # units of a thread from which on all threads end at about the same time, though one may be held up
FEWEST_UNITS = 4  # tiles (or rows of a picture) that a thread or a block has at least, where there are several
LATENCY = 8  # independent accumulators that keep two multiply-add units busy
HALVES_COST = 1.05  # what twice as many instructions for the same work cost beside those that were idle


@dataclass(frozen=True)
class TileShape:
    rows: int
    vectors: int


def tile_cost(target: Target, rows: int, vectors: int) -> float:
    """Relative time of one step along k: multiply-adds, or loads, or the latency of too few accumulators."""
    registers = _registers(target)
    spread = 0.1 * rows + BEHIND[registers] * vectors
    return max(rows * vectors, LOADS[registers] * (rows + vectors), LATENCY) + spread


def unrolled_steps(target: Target, vectors: int = 1, steps: int = 0) -> int:
    """Of `steps` along k (0: unknown), how many the inner loop spells out: two save a few instructions, more cost
    compile time and gain nothing.

    With narrower vectors than AVX-512 clang moves the loads of one step across the other and may run out of registers:
    with 6x4 on NEON, with 10x1 on AVX2 (57 GFLOP/s, 83 with one step); not in a long product of two vectors in a row.
    """
    return 2 if target.lanes >= 16 or (target.lanes == 8 and vectors == 2 and steps >= LONG_SUM) else 1


def most_rows(target: Target) -> dict[int, int]:
    """The tallest tile that fits the registers, by vectors in a row."""
    return MAX_ROWS[_registers(target)]


def _registers(target: Target) -> int:
    return 32 if target.vector_registers >= 32 else 16


def tile_costs(
    target: Target, columns: int | None, rows: int | None, threads: int = 1
) -> list[tuple[float, TileShape]]:
    """Tiles for `rows` x `columns` (None: unknown, take what suits long extents), the cheapest first, one for each
    number of vectors; the cost is that of one step along k for all rows and columns (of 8 tiles where unknown), where
    `threads` share them: as if all took as long as the one that has most."""
    found: list[tuple[float, TileShape]] = []
    for vectors, most in most_rows(target).items():
        wanted = -(-columns // target.lanes) if columns is not None else vectors * 8
        if wanted < vectors:
            continue
        best: tuple[float, TileShape] | None = None
        for r in range(min(most, max(rows, 1)), 0, -1) if rows is not None else (most,):
            tile = TileShape(r, vectors)
            cost = _cost(target, tile, rows or 8 * r, wanted, threads if rows is not None else 1)
            cost /= max(rows or 8 * r, 1) * wanted
            if best is None or cost < best[0] - 1e-9:
                best = (cost, tile)
        if best is not None:
            found.append(best)
    scale = (rows or 48) * -(-(columns or 8 * target.lanes) // target.lanes)
    return sorted(((cost * scale, tile) for cost, tile in found), key=lambda f: f[0]) or [(1.0, TileShape(1, 1))]


def _cost(target: Target, tile: TileShape, rows: int, vectors: int, threads: int) -> float:
    """Of one step along k for `rows` by `vectors`: rows are shared if there are enough (`splits_rows`), else panels."""
    panels, rest = divmod(vectors, tile.vectors)
    full, tail = divmod(rows, tile.rows)
    if threads > 1 and splits_rows(tile.rows, rows, threads):
        full, tail = threads * -(-(full + (tail > 0)) // threads), 0  # the last tile may be as dear as a whole one
    elif threads > 1 and panels:
        panels, rest = threads * -(-(panels + (rest > 0)) // threads), 0

    def strip(width: int) -> float:
        return full * tile_cost(target, tile.rows, width) + (tile_cost(target, tail, width) if tail else 0)

    return panels * strip(tile.vectors) + (strip(rest) if rest else 0)


def shares_of_panels(blocks: int, panels: int, threads: int) -> int:
    """Into how many units to cut the panels that pass each of so many blocks of rows: threads take units as they come,
    and keep what they have staged of a block from one unit to the next."""
    return 1 if threads == 1 else max(1, min(panels, -(-PARTS * threads // blocks)))


def splits_rows(unit: int, rows: int, blocks: int) -> bool:
    """Whether rows are so many that `blocks` of them, each of whole units, are about even, and worth a block each."""
    return rows > FEWEST_UNITS * unit * blocks


def choose_tile(target: Target, columns: int | None, rows: int | None) -> TileShape:
    """The cheapest of `tile_costs`."""
    return tile_costs(target, columns, rows)[0][1]


def pick_tile(
    task: Task, work: str, columns: int | None, rows: int | None, steps: int, whole: bool = False
) -> TileShape:
    """The tile for a product of `steps` along k: the cheapest, or the one that was measured to be the best.

    `whole` tells that these rows and columns are all there is, so that they are what threads share.
    """
    threads = 1
    if whole and rows is not None and columns is not None:
        units = -(-rows * columns // task.target.lanes)
        threads = shares_of(units * steps / task.target.fma_rate, task.threads, units)
    ways = tile_costs(task.target, columns, rows, threads)
    by_name = {f"{tile.rows}x{tile.vectors}": (cost * steps, tile) for cost, tile in ways}
    key = f"tile {work} {rows or 'open'}x{steps}x{columns or 'open'}"
    return by_name[task.chooser.pick(key, [Option(name, cost) for name, (cost, _) in by_name.items()]).name][1]


def in_halves(task: Task, columns: int) -> Task:
    """The task with vectors of half the width, where so many fewer lanes are idle behind the last of `columns` that it
    pays, and the processor computes half a vector in half the time."""
    whole, half = task.target.lanes, task.target.lanes // 2
    if not task.target.half_rate or -(-columns // half) * half * HALVES_COST >= -(-columns // whole) * whole:
        return task
    target = replace(task.target, lanes=half, half_rate=False, adds_beside=False, fma_rate=2 * task.target.fma_rate)
    return replace(task, target=target)


@dataclass(frozen=True)
class TapLoop:
    """A reduction loop outside of k: its extent, the step in elements of the left operand, and which part of it adds
    anything (None: from 0, up to the extent)."""

    extent: int
    step: Expr
    first: Expr | None = None
    end: Expr | None = None


@dataclass(frozen=True)
class Left:
    """Where a tile reads its rows: row m starts at `base + rows[m]`. `k` steps of 1 are innermost."""

    buffer: Buffer
    base: Expr
    rows: Sequence[Expr]
    taps: Sequence[TapLoop]
    k: Expr


@dataclass(frozen=True)
class Right:
    """Where a tile reads its columns: `base` for k = 0, `step` elements further for each k (taps follow each other).

    `count` limits the lanes of the last vector when memory ends there (a right side that is not packed). `ahead` asks
    for what will be read so many steps later, which may lie in the next panel. `few` tells that at most half of the
    lanes of the last vector are columns.
    """

    buffer: Buffer
    base: Expr
    step: Expr
    count: Expr | None = None
    ahead: int = 0
    few: bool = False


def emit_tile(
    kernel: Kernel,
    dtype: str,
    vectors: int,
    left: Left,
    right: Right,
    finish: Callable[[int, int, Expr], None],
    unroll: int,
    start: Callable[[int], Expr] | None = None,
) -> None:
    """The accumulators, the loops over taps and k, then `finish(row, vector, value)` for each result vector.

    `unroll` steps of k are spelled out where k is known; sums begin with `start(vector)`, or with 0.
    """
    rows = len(left.rows)
    zero = Op(dtype, True, "splat", (const(0, dtype),))
    first = [zero if start is None else kernel.let(start(v), "start") for v in range(vectors)]
    acc = [[kernel.mutable(first[v], f"c{m}{v}") for v in range(vectors)] for m in range(rows)]
    starts = [kernel.let(r, f"r{m}") for m, r in enumerate(left.rows)]
    emit_taps(kernel, dtype, acc, left, right, starts, unroll, 0, left.base, index(0))
    for m in range(rows):
        for v in range(vectors):
            finish(m, v, acc[m][v])


def emit_taps(
    kernel: Kernel,
    dtype: str,
    acc: list[list[Var]],
    left: Left,
    right: Right,
    starts: list[Expr],
    unroll: int,
    depth: int,
    shift: Expr,
    tap: Expr,
) -> None:
    if depth < len(left.taps):
        loop = left.taps[depth]
        first, end = loop.first or index(0), loop.end or index(loop.extent)
        with kernel.loop(end, "t", start=first) as t:
            at, number = shift + t * loop.step, tap * loop.extent + t
            emit_taps(kernel, dtype, acc, left, right, starts, unroll, depth + 1, at, number)
        return
    a0 = kernel.let(shift, "a0")
    b0 = kernel.let(right.base + tap * left.k * right.step, "b0")
    steps = known(left.k) if isinstance(left.k, Const) else None

    def all_rows(k: Expr) -> None:
        b = []
        for v in range(len(acc[0])):
            place = b0 + k * right.step + v * kernel.lanes
            count = right.count if v == len(acc[0]) - 1 else None
            b.append(kernel.let(Load(dtype, True, right.buffer, place, count), f"b{v}"))
        if right.ahead:
            place = b0 + (k + right.ahead) * right.step
            kernel.emit(CallC("fw_prefetch_l1_f32", (right.buffer, place, index(len(b) * kernel.lanes))))
        for m, row in enumerate(acc):
            place = a0 + starts[m] + k
            if dtype == "f32" and len(row) > 1:
                one: Expr = Load(dtype, True, left.buffer, place, repeat=1)
            else:  # a multiply-add spreads what it alone reads
                one = Op(dtype, True, "splat", (Load(dtype, False, left.buffer, place),))
            a = kernel.let(one, f"a{m}")
            for v, c in enumerate(row):
                kernel.assign(c, Op(dtype, True, "fma", (a, b[v], c)))

    if steps is not None:
        whole = steps // unroll * unroll
        if whole:
            with kernel.loop(whole, "k", step=unroll) as k:
                for u in range(unroll):
                    all_rows(k + u)
        for u in range(whole, steps):
            all_rows(index(u))
        return
    with kernel.loop(left.k, "k") as k:
        all_rows(k)
