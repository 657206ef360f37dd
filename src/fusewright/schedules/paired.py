"""a b + a' b' = (a + b') (a' + b) - a a' - b b': products with fewer multiplications, where additions cost nothing.

This is Winograd's inner product ("A New Algorithm for Inner Product", 1968). What is subtracted belongs to a row or to
a column alone: the former is summed up once a row, where the row is staged, the latter is packed with the weights. One
multiplication and two additions take the place of two multiply-adds. A processor whose units for additions stand beside
those for multiplications (`Target.adds_beside`) does four of each for six steps along k, of which four are paired and
two are not: in two thirds of the time, or 0.67 to 0.70 as measured, whatever the rows of a tile.

The sums of a row are as large as the row's square, so rows and columns are scaled, by powers of two, to about the same
size; then errors stay near those of the plain product, relative to the sizes of the row and the column (Brent, 1970;
Higham, "Accuracy and Stability of Numerical Algorithms", 23.2.1). Every other pair is -(a - b') (a' - b) + a a' + b b',
so that what is subtracted does not add up where all elements of a row are positive, as behind a ReLU; sums begin with
it. A NaN stays where it belongs; an infinity makes its whole row NaN.

Where at most half of a vector of columns is left behind the whole ones, two rows share it (`twins`): their elements are
staged in turns, so that one load spreads both of them, and each of these columns stands twice in its panel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from fusewright.kernel.expr import SIZES, Buffer, Expr, Load, Op, arg, index, known, minimum, select
from fusewright.kernel.loops import CallC, Kernel
from fusewright.schedules.choice import Option
from fusewright.schedules.normal_form import Loop, Product, Staging
from fusewright.schedules.pack import PIECE, STEPS, pairs_of, scales_of
from fusewright.schedules.task import Task
from fusewright.schedules.tile import Left, Right, TileShape, tile_costs
from fusewright.target.target import Target

MAX_ROWS = 20  # accumulators beside six vectors of b, two sums, and what an epilogue keeps; from 21 on clang may spill
OPEN_TILE = 16  # rows of a tile for extents that are open
OPEN_ROWS = 48  # that open extents are taken for
FEWEST_ROWS = 7  # less wait for the vectors of b
EXTRA_ROWS = 2  # of a packed panel: what is subtracted, and the scales
EXTRA = 2  # elements of a staged row: what is subtracted, and its scale undone
ROOT_ERROR = 2.5e-8  # the error of a sum of k products is this times the root of k, as measured on networks
FEWEST_AHEAD = 2  # rows of the next panel that a turn asks for
LARGEST = 1e12  # of weights: their squares must be far from the largest number
# Cycles, measured on Zen 4:
STEP = 0.67  # of a step along k for a row of a tile
SINGLE = 1.05  # of one of the steps that are left at the end
FINISH = 3.0  # of a row of a tile, beside the plain product
STAGE_ROW = 14.0
STAGE_VECTOR = 4.5
TWINS = 0.55  # of a vector of columns that two rows share
STAGE_TWINS = 1.2  # of two rows in turns, beside one after the other


@dataclass(frozen=True)
class Paired:
    """The register tile, and its cycles for all rows and columns."""

    tile: TileShape
    cycles: float
    twins: bool = False

    @property
    def order(self) -> str:
        """In which the right side is packed (`pack.ORDERS`)."""
        return "twins" if self.twins else "pairs"


def paired(
    target: Target,
    rows: int,
    k: int,
    columns: int,
    known: bool,
    stage: float = 1.0,
    threads: int = 1,
    in_place: bool = False,
) -> Paired | None:
    """The product of `rows` rows (about so many, if they are not known) and [k, columns] in this way; None where there
    is no use for it. `stage` is what it costs to bring a row to scratch, beside that of a row that lies in memory;
    `in_place` tells that rows are read where they lie, so that two can be at once."""
    if not target.adds_beside or k < STEPS or rows < FEWEST_ROWS:
        return None
    twins = in_place and known and 0 < columns % target.lanes <= target.lanes // 2
    tile = (twin_tile if twins else even_tile)(rows, MAX_ROWS, threads) if known else TileShape(OPEN_TILE, 1)
    strips = -(-rows // tile.rows)
    panels = columns // target.lanes + TWINS if twins else -(-columns // target.lanes)
    along = STEP * (k - k % STEPS) + SINGLE * (k % STEPS) + FINISH
    staging = (STAGE_ROW + STAGE_VECTOR * -(-k // target.lanes) * stage) * (STAGE_TWINS if twins else 1.0)
    return Paired(tile, tile.rows * strips * panels * along + rows * staging, twins)


def even_tile(rows: int, most: int, threads: int = 1) -> TileShape:
    """The tile for strips of at most `most` rows, all about as high, and as many for each thread if they stay high."""
    strips = -(-rows // most)
    even = -(-strips // threads) * threads
    return TileShape(-(-rows // (even if rows >= FEWEST_ROWS * even else strips)), 1)


def twin_tile(rows: int, most: int, threads: int = 1) -> TileShape:
    """The same for an even number of rows: the one that repeats or lacks the fewest, and of these the highest."""
    share = -(-rows // threads)
    most = min(most, share + share % 2)
    heights = range(most // 2 * 2, most // 2, -2)
    return TileShape(min(heights, key=lambda height: -(-share // height) * height), 1)


def relative_error(k: int) -> float:
    """The root of the mean squared error by that of the results, about, for rows and columns of any kind."""
    return ROOT_ERROR * math.sqrt(k)


def exact_enough(task: Task, weights: np.ndarray | None, k: int) -> bool:
    """Whether these weights [any shape], known and float32, may be multiplied in this way."""
    if weights is None or weights.dtype != np.float32 or relative_error(k) > task.chooser.error_limit:
        return False
    return bool(np.abs(weights).max(initial=0) < LARGEST)  # not so for NaN


def pick_paired(
    task: Task, work: str, weights: np.ndarray | None, rows: int | None, k: int, columns: int
) -> TileShape | None:
    """The tile for this way to multiply `rows` rows (None: open), where it is better than the plain product."""
    if not exact_enough(task, weights, k):
        return None
    found = paired(task.target, rows or OPEN_ROWS, k, columns, rows is not None, threads=task.threads)
    if found is None:
        return None
    plain = Option("plain", tile_costs(task.target, columns, rows)[0][0] * k)
    pairs = option(found, k)
    chosen = task.chooser.pick(f"{work} {rows or 'open'}x{k}x{columns}", [plain, pairs])
    return found.tile if chosen is pairs else None


def option(found: Paired, k: int, how: str = "") -> Option:
    return Option(f"pairs {found.tile.rows}x1{how}", found.cycles, f"relative error {relative_error(k):.1e}")


def staged_elements(k: int) -> int:
    """Elements of scratch for a row: whole pieces."""
    return -(-(k + EXTRA) // PIECE) * PIECE


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[..., rows, K] by [..., K, columns] in float32 as `emit_pairs` multiplies; for the sizes of errors."""
    k = a.shape[-1]
    pairs = pairs_of(k)
    (a, of_rows), (b, of_columns) = _balanced(a, -1), _balanced(b, -2)
    before = np.zeros((*a.shape[:-1], b.shape[-1]), np.float32)
    total = before.copy()
    for i, (own, other) in enumerate(pairs):
        sign = np.float32(1 - 2 * (i % 2))
        row, row_other = a[..., own, None], a[..., other, None]
        column, column_other = b[..., None, own, :], b[..., None, other, :]
        before -= sign * (row * row_other + column * column_other)
        total += sign * (row + sign * column_other) * (row_other + sign * column)
    paired_steps = {step for pair in pairs for step in pair}
    single = [step for step in range(k) if step not in paired_steps]
    made: np.ndarray = (before + total + a[..., single] @ b[..., single, :]) * (of_rows * of_columns)
    return made


def _balanced(x: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """x by the power of two that is about its size along `axis`, and that power, in float32."""
    power = scales_of(x.astype(np.float64), axis)
    return (x / power).astype(np.float32), power.astype(np.float32)


Line = Callable[[Kernel, Sequence[Expr], Expr], tuple[Buffer, Expr]]


@dataclass(frozen=True)
class Overlapping:
    """Rows that lie in one another, once `fill(kernel, scratch, start, outer indices, first, end)` has brought those of
    a block to scratch from `start` on: the one `n` behind the first begins `at(n)` further; they take `elements(n)`."""

    fill: Callable[[Kernel, Buffer, Expr, Sequence[Expr], Expr, Expr], None]
    at: Callable[[Expr], Expr]
    elements: Callable[[int], int]


def use_pairs(product: Product, rows: Line | Overlapping, factors: Buffer | None = None, twins: bool = False) -> None:
    """Make `product`, whose right side is packed by `pack_pairs`, one of this kind.

    `rows(kernel, outer indices, row)` tells where the row lies, with its steps along k side by side; it may emit what
    brings it there, but not for `twins`. Its elements are multiplied by `factors`, if there are such. Scratch holds
    [strip][piece of k][row of the strip][PIECE], as a tile reads it, or [strip][piece of k][two rows][PIECE][2].
    """
    k, height = product.k, product.tile.rows
    row_elements = staged_elements(k)

    def fill(kernel: Kernel, scratch: Buffer, outer: Sequence[Expr], first: Expr, end: Expr) -> None:
        start: Expr = index(0)
        if isinstance(rows, Overlapping):
            strips = (end - first + (height - 1)) // index(height)
            start = kernel.let(strips * (height * row_elements), "behind")
            rows.fill(kernel, scratch, start, outer, first, end)
        with kernel.loop(end, "strip", start=first, step=height) as strip:
            stop = kernel.let(minimum(strip + height, end), "stop")
            with kernel.loop(stop, "row", start=strip, step=2 if twins else 1) as row:
                at = kernel.let((strip - first) * row_elements + (row - strip) * PIECE, "at")
                second: list[Expr] = []
                if isinstance(rows, Overlapping):
                    source, place = scratch, start + rows.at(row - first)
                else:
                    source, place = rows(kernel, outer, row)
                    if twins:
                        second = [rows(kernel, outer, minimum(row + 1, stop - 1))[1]]
                kind = ("_twins" if twins else "") + ("_scaled" if factors is not None else "")
                read = (source, place, *second, *(() if factors is None else (factors,)))
                kernel.emit(CallC(f"fw_balance{kind}_f32", (*read, index(k), scratch, at, index(height * PIECE))))

    def elements_for(count: int) -> int:
        more = rows.elements(count) if isinstance(rows, Overlapping) else 0
        return -(-count // height) * height * row_elements + more

    outer = math.prod(loop.extent for loop in product.outer)
    room = product.l2_bytes // 2 // SIZES[product.dtype]
    # of rows that overlap, one block is better: its extents are known
    whole = product.fixed and isinstance(rows, Overlapping) and elements_for(product.x.extent) <= room
    by_x = not whole or outer < product.threads
    product.staging = Staging(fill, index(0), index(row_elements), (), elements_for, by_x=by_x, row_step=PIECE)
    block = max(1, product.l2_bytes // 2 // (k * SIZES[product.dtype]))
    strips = -(-min(product.x.extent, block) // height) if product.fixed and product.l2_bytes else 1
    product.inner = partial(emit_pairs, height, rows_ahead(strips), twins=twins)


def rows_ahead(strips: int) -> int:
    """How many rows of the next panel a turn asks for, where so many strips pass a panel."""
    return max(FEWEST_AHEAD, -(-STEPS // strips))


def lines_of(product: Product) -> Line:
    """The rows of a left side whose steps along k lie side by side in memory."""
    p = product

    def step(loop: Loop) -> Expr:
        return index(loop.left) if p.fixed or loop.left == p.k else arg(loop.left)

    def line(kernel: Kernel, outer: Sequence[Expr], row: Expr) -> tuple[Buffer, Expr]:
        base = p.left.offset if p.left.offset is not None else index(0)
        for i, loop in zip(outer, p.outer, strict=True):
            if loop.left and loop.extent > 1:
                base = base + i * step(loop)
        return p.left.memory, base + row * step(p.x)

    return line


@dataclass(frozen=True)
class _Staged:
    """The lines of a tile, whose pieces along k are `piece` apart: each a row, or (`shared`) two rows that lie in turns
    and share a vector; with `twins` rows lie so in any case."""

    dtype: str
    left: Left
    piece: int
    twins: bool
    shared: bool

    @property
    def lines(self) -> int:
        return -(-len(self.left.rows) // 2) if self.shared else len(self.left.rows)

    def at(self, line: int, first: Expr, i: Expr, u: int) -> Expr:
        """Step i + u of the piece that begins at `first`, spread over a vector."""
        left = self.left
        if self.shared:
            place = first + i * 2 + (2 * u + line * (2 * PIECE))
            return Load(self.dtype, True, left.buffer, left.base + place, repeat=2)
        if self.twins:
            place = first + i * 2 + (2 * u + line // 2 * (2 * PIECE) + line % 2)
        else:
            place = first + i + u + left.rows[line]
        return Op(self.dtype, True, "splat", (Load(self.dtype, False, left.buffer, left.base + place),))

    def step_of(self, line: int, i: int) -> Expr:
        """Step i along k."""
        return self.at(line, index(i // PIECE * self.piece), index(0), i % PIECE)

    def rows_of(self, line: int, value: Expr) -> list[tuple[int, Expr]]:
        """The rows of a line, and what is theirs of its result."""
        if not self.shared:
            return [(line, value)]
        both = [(2 * line + r, Op(self.dtype, True, own, (value,))) for r, own in enumerate(("evens", "odds"))]
        return [(row, own) for row, own in both if row < len(self.left.rows)]


def emit_pairs(
    height: int,
    ahead: int,
    kernel: Kernel,
    dtype: str,
    vectors: int,
    left: Left,
    right: Right,
    finish: Callable[[int, int, Expr], None],
    unroll: int,
    strip: Expr | None = None,
    twins: bool = False,
) -> None:
    """A tile of balanced rows, of a strip of `height`, by one vector of columns: another form of `tile.emit_tile`.
    With `twins` rows lie two by two in turns, and two share a vector of `few` columns.

    Weights that come from beyond the second cache would make the first strip wait: each turn asks for the rows of its
    panel that are a piece away, and for `ahead` rows of the next panel, which all strips together ask for. The rows
    behind those of k are asked for by themselves: few strips do not come so far, and a tile begins with them. The next
    piece of the left side is asked for too: a turn would miss all of its lines at once. `strip` is the number of the
    strip, if strips do not begin at the start of `left`.
    """
    k = known(left.k)
    if vectors != 1 or left.taps or k is None:
        raise ValueError(f"pairs come in tiles of one vector, not {vectors}, with k known and without taps")
    lanes, step, panel = kernel.lanes, height * PIECE, index(k + EXTRA_ROWS)
    staged = _Staged(dtype, left, step, twins, twins and right.few)
    high, at = len(left.rows), staged.at

    def columns(row: Expr) -> Expr:
        return Load(dtype, True, right.buffer, right.base + row * lanes)

    strip = kernel.let(left.base // (height * staged_elements(k)) if strip is None else strip, "strip")
    before = kernel.let(columns(index(k)), "before")
    beyond = right.base + (panel + k) * lanes  # what the next panel is read for first, and what turns do not reach
    kernel.emit(CallC("fw_prefetch_l2_f32", (right.buffer, beyond, index(EXTRA_ROWS * lanes))))
    acc = [kernel.mutable(before + staged.step_of(m, k), f"c{m}") for m in range(staged.lines)]

    def piece(first: Expr, row: Expr, pairs: int, then: Expr) -> None:
        """The steps of a piece that begins at `first`; their rows of the right side begin at `row`. The piece that
        follows is at `then`."""
        with kernel.loop(pairs, "i", step=2) as i:
            place = kernel.let(row + i * 3, "row")
            b = [kernel.let(columns(place + u), f"b{u}") for u in range(STEPS)]
            turn = strip * (k // STEPS) + place // STEPS
            near, far = (place + PIECE, STEPS), (panel + minimum(turn * ahead, panel), ahead)
            for cache, (at_row, rows) in (("l1", near), ("l2", far)):
                args = (right.buffer, right.base + at_row * lanes, index(rows * lanes))
                kernel.emit(CallC(f"fw_prefetch_{cache}_f32", args))
            part = -(-high * PIECE // pairs)
            kernel.emit(CallC("fw_prefetch_l1_f32", (left.buffer, left.base + then + i * part, index(2 * part))))
            for m, c in enumerate(acc):
                for u in range(2):  # the single step last: else clang spills from 21 rows on
                    own, other, single = b[2 * u], b[2 * u + 1], b[4 + u]
                    one = kernel.let(at(m, first, i, u) + other, "s")
                    two = kernel.let(at(m, first, i, pairs + u) + own, "t")
                    kernel.assign(c, Op(dtype, True, "fma", (-one if u else one, two, c)))
                    kernel.assign(c, Op(dtype, True, "fma", (at(m, first, i, 2 * pairs + u), single, c)))

    whole, rest = divmod(k, PIECE)
    partial_piece, next_strip = rest >= STEPS, index(height * staged_elements(k))
    if whole:
        with kernel.loop(whole, "piece") as p:
            first = kernel.let(p * step, "first")
            then = first + step if partial_piece else select(p + 1 < whole, first + step, next_strip)
            piece(first, p * PIECE, PIECE // 3, kernel.let(then, "then"))
    if partial_piece:
        piece(index(whole * step), index(whole * PIECE), rest // STEPS * 2, next_strip)
    for i in range(k - k % STEPS, k):
        row = kernel.let(columns(index(i)), "b")
        for m, c in enumerate(acc):
            kernel.assign(c, Op(dtype, True, "fma", (staged.step_of(m, i), row, c)))
    scales = kernel.let(columns(index(k + 1)), "scales")
    for m, c in enumerate(acc):
        y = kernel.let(c * (scales * staged.step_of(m, k + 1)), f"y{m}")
        for r, own in staged.rows_of(m, y):
            finish(r, 0, own if own is y else kernel.let(own, f"y{r}"))
