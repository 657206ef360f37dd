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

Here is when this is worth it. How rows come to a tile is in `schedules.paired_rows`, the tile in
`schedules.paired_tile`.

Where at most half of a vector of columns is left behind the whole ones, two rows share it (`twins`): their elements are
staged in turns, so that one load spreads both of them, and each of these columns stands twice in its panel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fusewright.schedules.choice import Option
from fusewright.schedules.pack import STEPS, pairs_of, scales_of
from fusewright.schedules.paired_rows import lie_apart
from fusewright.schedules.task import Task
from fusewright.schedules.tile import TileShape, tile_costs
from fusewright.target.target import Target

MAX_ROWS = 20  # accumulators beside six vectors of b, two sums, and what an epilogue keeps; from 21 on clang may spill
OPEN_TILE = 16  # rows of a tile for extents that are open
OPEN_ROWS = 48  # that open extents are taken for
FEWEST_ROWS = 7  # less wait for the vectors of b
ROOT_ERROR = 2.5e-8  # the error of a sum of k products is this times the root of k, as measured on networks
LARGEST = 1e12  # of weights: their squares must be far from the largest number
# Cycles, measured on Zen 4:
STEP = 0.67  # of a step along k for a row of a tile
SINGLE = 1.05  # of one of the steps that are left at the end
FINISH = 3.0  # of a row of a tile, beside the plain product
STAGE_ROW = 14.0
STAGE_VECTOR = 4.5
SUM_ROW = 5.0  # of a row that is read where it lies
SUM_VECTOR = 1.8
SUMMED = 4  # such rows are summed up together
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
    step: int | None = None,
) -> Paired | None:
    """The product of `rows` rows (about so many, if they are not known) and [k, columns] in this way; None where there
    is no use for it. `stage` is what it costs to bring a row to scratch, beside that of a row that lies in memory;
    `in_place` tells that rows lie there as they are multiplied, but for factors, so that two can be staged at once, and
    `step` how many elements they are apart, if tiles may read them there."""
    if not target.adds_beside or k < STEPS or rows < FEWEST_ROWS:
        return None
    panels, few = divmod(columns, target.lanes)
    along = STEP * (k - k % STEPS) + SINGLE * (k % STEPS) + FINISH
    vectors = -(-k // target.lanes)

    def of(tile: TileShape, panels: float, a_row: float, twins: bool = False) -> Paired:
        strips = -(-rows // tile.rows)
        return Paired(tile, tile.rows * strips * panels * along + rows * a_row, twins)

    tile = even_tile(rows, MAX_ROWS, threads) if known else TileShape(OPEN_TILE, 1)
    staging = STAGE_ROW + STAGE_VECTOR * vectors * stage
    summing = (SUM_ROW + SUM_VECTOR * vectors) * SUMMED * -(-rows // SUMMED) / rows
    alone = of(tile, panels + (few > 0), summing if known and step is not None and lie_apart(step, tile) else staging)
    if not in_place or not known or not 0 < few <= target.lanes // 2:
        return alone
    twins = of(twin_tile(rows, MAX_ROWS, threads), panels + TWINS, staging * STAGE_TWINS, True)
    return min(alone, twins, key=lambda found: found.cycles)


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
    task: Task, work: str, weights: np.ndarray | None, rows: int | None, k: int, columns: int, step: int
) -> TileShape | None:
    """The tile for this way to multiply `rows` rows (None: open), `step` elements apart, where it is better than the
    plain product."""
    if not exact_enough(task, weights, k):
        return None
    found = paired(task.target, rows or OPEN_ROWS, k, columns, rows is not None, threads=task.threads, step=step)
    if found is None:
        return None
    plain = Option("plain", tile_costs(task.target, columns, rows)[0][0] * k)
    pairs = option(found, k)
    chosen = task.chooser.pick(f"{work} {rows or 'open'}x{k}x{columns}", [plain, pairs])
    return found.tile if chosen is pairs else None


def option(found: Paired, k: int, how: str = "") -> Option:
    return Option(f"pairs {found.tile.rows}x1{how}", found.cycles, f"relative error {relative_error(k):.1e}")


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
