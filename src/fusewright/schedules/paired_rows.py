"""How the rows of a product of pairs (`schedules.paired`) come to its tiles: staged in scratch, or read where they lie.

A staged row is scaled to about the size of a column, and what is subtracted from its results is summed up on the way;
the rows of a strip lie together in pieces, as a tile reads them.

Rows that lie in memory one behind the other are read there: where the size of each is 1/8 to 4, and that of a column
1/2 to 1, none is scaled, and only what is subtracted has to be summed up. Sums of a row that is 8 times larger or
smaller than a column have 2.5 times the error: (1 + 8)^2 / (4 * 8). If one row of a block is of another size, all of
them are copied to scratch, and those of another size scaled, so that results of a row depend on no other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from fusewright.errors import InternalError
from fusewright.kernel.expr import SIZES, Buffer, Expr, Load, arg, index, minimum
from fusewright.kernel.loops import CallC, Kernel
from fusewright.schedules.normal_form import Loop, Product, Staging
from fusewright.schedules.pack import PIECE
from fusewright.schedules.paired_tile import EXTRA, Behind, Strips, emit_pairs, in_pieces, rows_ahead, staged_elements
from fusewright.schedules.tile import TileShape

LINE = 64  # bytes that caches hold together
SAME_SET = 4096  # bytes: lines so far apart are in each other's way in the first cache
WAYS = 6  # of a first cache that holds eight such lines: so many are for the rows of a tile

Line = Callable[[Kernel, Sequence[Expr], Expr], tuple[Buffer, Expr]]


@dataclass(frozen=True)
class InMemory:
    """The rows of a left side whose steps along k lie side by side in memory."""

    product: Product

    def __call__(self, kernel: Kernel, outer: Sequence[Expr], row: Expr) -> tuple[Buffer, Expr]:
        p = self.product
        base = p.left.offset if p.left.offset is not None else index(0)
        for i, loop in zip(outer, p.outer, strict=True):
            if loop.left and loop.extent > 1:
                base = base + i * self._step(loop)
        return p.left.memory, base + row * self._step(p.x)

    def _step(self, loop: Loop) -> Expr:
        p = self.product
        return index(loop.left) if p.fixed or loop.left == p.k else arg(loop.left)

    @property
    def step(self) -> int | None:
        """How many elements apart they are, if tiles read them where they lie."""
        p = self.product
        return p.x.left if p.fixed and p.x.left >= p.k and lie_apart(p.x.left, p.tile) else None


@dataclass(frozen=True)
class Overlapping:
    """Rows that lie in one another, once `fill(kernel, scratch, start, outer indices, first, end)` has brought those of
    a block to scratch from `start` on: the one `n` behind the first begins `at(n)` further; they take `elements(n)`."""

    fill: Callable[[Kernel, Buffer, Expr, Sequence[Expr], Expr, Expr], None]
    at: Callable[[Expr], Expr]
    elements: Callable[[int], int]


def lie_apart(step: int, tile: TileShape) -> bool:
    """Whether the rows of a tile, so many elements apart, leave each other room in the first cache: two pieces of each
    are to stay there."""
    apart, lines = step * SIZES["f32"], -(-2 * PIECE * SIZES["f32"] // LINE)
    if apart % LINE:
        return True
    common = math.gcd(apart, SAME_SET)
    return -(-tile.rows * common // SAME_SET) * -(-lines * LINE // common) <= WAYS


def use_pairs(product: Product, rows: Line | Overlapping, factors: Buffer | None = None, twins: bool = False) -> None:
    """Make `product`, whose right side is packed by `pack_pairs`, one of this kind.

    `rows(kernel, outer indices, row)` tells where the row lies, with its steps along k side by side; it may emit what
    brings it there, but not for `twins`. Its elements are multiplied by `factors`, if there are such.
    """
    step = rows.step if isinstance(rows, InMemory) and factors is None and not twins else None
    if isinstance(rows, InMemory) and step is not None:
        read_there(product, rows, step)
    else:
        stage(product, rows, factors, twins)


def ahead_of(product: Product) -> int:
    """How many rows of the next panel a turn asks for."""
    if not product.fixed or not product.l2_bytes:
        return rows_ahead(1)
    block = max(1, product.l2_bytes // 2 // (product.k * SIZES[product.dtype]))
    return rows_ahead(-(-min(product.x.extent, block) // product.tile.rows))


def read_there(product: Product, rows: InMemory, step: int) -> None:
    """Have tiles read `rows`, `step` elements apart, where they lie, if no row of the block has to be scaled.

    Scratch holds room for the rows of a block, as far apart, then what is subtracted from each and its scale undone,
    then whether any of these undoes something (above 0), and whether rows were copied (above 1).
    """
    behind: Behind | None = None

    def fill(kernel: Kernel, scratch: Buffer, outer: Sequence[Expr], first: Expr, end: Expr) -> None:
        args = (*rows(kernel, outer, first), index(step), index(product.k), end - first, scratch, index(0))
        kernel.emit(CallC("fw_balance_rows_f32", args))

    def source(kernel: Kernel, scratch: Buffer, outer: Sequence[Expr], first: Expr, end: Expr) -> Buffer:
        nonlocal behind
        start = kernel.let((end - first) * step, "behind")
        found = kernel.let(Load(scratch.dtype, False, scratch, start + (end - first) * EXTRA), "found")
        behind = Behind(scratch, start, found > 0)
        return kernel.either(found > 1, (scratch, index(0)), rows(kernel, outer, first), "rows")

    def behind_rows() -> Behind:
        if behind is None:
            raise InternalError("a tile comes before the rows that it reads")
        return behind

    strips = Strips(row=step, piece=PIECE, strip=product.tile.rows * step, behind=behind_rows)
    product.staging = Staging(
        fill, index(0), index(step), (), lambda count: count * (step + EXTRA) + 1, by_x=True, source=source
    )
    product.inner = partial(emit_pairs, strips, ahead_of(product))


def stage(product: Product, rows: Line | Overlapping, factors: Buffer | None, twins: bool) -> None:
    """Have rows brought to scratch: [strip][piece of k][row of the strip][PIECE], as a tile reads it, or
    [strip][piece of k][two rows][PIECE][2]."""
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
    product.inner = partial(emit_pairs, in_pieces(height, k, twins), ahead_of(product))
