"""out[outer, y, x, n] = sum over taps and k of a[...] * b[...]: what a matmul or a convolution is to `product`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod

from fusewright.kernel.expr import Buffer, Expr
from fusewright.kernel.loops import Kernel
from fusewright.kernel.tensor import Anchor, Source
from fusewright.schedules.epilogue import Results
from fusewright.schedules.tile import TileShape, emit_tile

Part = tuple[Expr, Expr]  # the first of a loop, and the end
Place = tuple[Expr, ...]  # an index of the result, by logical dimension


@dataclass(frozen=True)
class Loop:
    """A loop over rows of the result: extent, the logical dimension it drives, and the steps of both sides.

    Where it goes through rows of `wide` pixels that do not follow each other on the left side, `row` is the step there
    from one row to the next.
    """

    extent: int
    dim: int
    left: int = 0
    right: int = 0
    wide: int = 0
    row: int = 0


@dataclass(frozen=True)
class Tap:
    """A reduction loop outside of k (a filter's row): extent, and the step of the left side."""

    extent: int
    left: int


@dataclass(frozen=True)
class Staging:
    """How the left side of a block is brought into scratch: strides there, elements for each row y, rows around.

    `fill(kernel, scratch, outer, y0, y1)` emits the copy; `rows(count)` gives the scratch rows that `count` rows need.
    `reached(kernel, outer, y, x, count)` tells of each tap the first and the end that `count` rows from (y, x) on need:
    scratch holds nothing for the others, or zeros where tiles go across rows (None: all are needed).
    `source(kernel, scratch, outer, y0, y1)`, behind `fill`, gives the memory that tiles read (None: scratch itself).
    """

    fill: Callable[[Kernel, Buffer, Sequence[Expr], Expr, Expr], None]
    y_step: Expr
    x_step: Expr
    tap_steps: tuple[Expr, ...]
    elements_for: Callable[[int], int]
    by_x: bool = False  # whether a block may be a part of x, where there is no y
    reached: Callable[[Kernel, Sequence[Expr], Expr, Expr, int], Sequence[Part | None]] | None = None
    pixel: int = 0  # elements that one more pixel of x takes, where neighbouring blocks stage some of them twice
    source: Callable[[Kernel, Buffer, Sequence[Expr], Expr, Expr], Buffer] | None = None
    row_step: int | None = None  # from one row of a tile to the next, where that is not `x_step`


@dataclass
class Product:
    """The normal form; `n` is the extent of the columns and `n_dim` their logical dimension (-1: none, one column).

    `right_at(outer indices, panel start)` gives the position of a panel; `right_step` the step for each k.
    `fixed` tells that extents and strides may be spelled into the kernel; `across` that tiles go across the rows of
    what is staged: x then counts the pixels of a block, from its first row y on.
    """

    dtype: str
    outer: list[Loop]
    y: Loop
    x: Loop
    taps: list[Tap]
    k: int
    n: int
    n_dim: int
    rank: int
    left: Source
    tile: TileShape
    right: Buffer
    right_at: Callable[[Sequence[Expr], Expr], Expr]
    right_step: Expr
    right_partial: bool
    fixed: bool
    k_fixed: bool
    n_fixed: bool
    threads: int
    l2_bytes: int
    anchor: Anchor
    staging: Staging | None = None
    results: Results = field(default_factory=lambda: Results([], []))
    scratch_bytes: int = 0
    inner: Callable[..., None] = emit_tile  # what a tile does along k, and to what it has summed up
    across: bool = False
    place: Callable[[Place], Place] | None = None  # where an index of the loops lies in the result, if elsewhere

    @property
    def outer_units(self) -> int:
        """Places of the outer loops."""
        return prod(loop.extent for loop in self.outer)

    @property
    def steps(self) -> int:
        """Products in one sum: along k and the taps."""
        return self.k * prod(tap.extent for tap in self.taps)
