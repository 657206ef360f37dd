"""x[n, :, rows of the filter, x] -> [x][rows of the filter][channels]: windows of neighbours, which overlap in memory.

The window of a pixel in a row of the result is what its taps along x read, column by column; the next one begins so
many columns further as the filter steps. So each element is moved once for a row of the result, as one of a column,
instead of once for each window that it is in, and a window is a row of a product as it lies there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from fusewright.graph.group import shape_of
from fusewright.kernel.expr import Buffer, Expr, arg, const, index, maximum, minimum
from fusewright.kernel.loops import CallC, Kernel
from fusewright.kernel.tensor import Source
from fusewright.kernel.vectorize import Vectorizer
from fusewright.schedules.convolution import Convolution, loop_taps
from fusewright.schedules.normal_form import Product
from fusewright.schedules.paired_rows import Overlapping
from fusewright.schedules.prologue import LeftSide
from fusewright.schedules.staging import clear
from fusewright.schedules.task import Strides
from fusewright.schedules.window import ceil_div

# Cycles, measured on Zen 4:
MOVE = 2.0  # of a vector that is read and written
PIXEL = 4.0  # of the loop around the channels of a pixel
TURN = 8.0  # of a vector of a column whose elements come from as many planes


def windows(c: Convolution, product: Product, left: LeftSide) -> Overlapping:
    """The windows as rows of `product`, which has a loop for each dimension of the result."""
    made = _Windows(c, product, left)
    return Overlapping(made.fill, made.at, made.elements)


def can_overlap(c: Convolution, strides: Strides | None) -> bool:
    """Whether columns that follow each other are those of the taps, and can be made of an input with these strides
    (None: it is computed): of channels that lie side by side, if then any is used twice, or of rows of planes."""
    if c.geometry.dilations[-1] != 1:
        return False
    if strides is None or not _apart(c, strides):
        return c.filters.taps[-1] > c.geometry.strides[-1]
    return strides[-1] == 1 and len(strides) <= 4


def window_cycles(c: Convolution, lanes: int, strides: Strides | None) -> float:
    """What a pixel of the result costs."""
    above, ci = prod(c.filters.taps[:-1]), c.filters.ci
    column = TURN * -(-above * ci // lanes) if _apart(c, strides) else above * (PIXEL + MOVE * -(-ci // lanes))
    return column * c.geometry.strides[-1]


def _apart(c: Convolution, strides: Strides | None) -> bool:
    """Whether the channels of a pixel do not lie side by side."""
    return strides is not None and strides[1] != 1 and c.filters.ci > 1


@dataclass(frozen=True)
class _Columns:
    """Where the columns of a block lie, how many, x of the first, and which of them [low, high) lie in the input."""

    start: Expr
    width: Expr
    x0: Expr
    low: Expr
    high: Expr


class _Windows:
    def __init__(self, c: Convolution, product: Product, left: LeftSide) -> None:
        self.c, self.product, self.left = c, product, left
        self.taps = prod(c.filters.taps[:-1])  # in a column
        self.column = self.taps * c.filters.ci

    def elements(self, rows: int) -> int:
        return ((rows - 1) * self.c.geometry.strides[-1] + self.c.filters.taps[-1]) * self.column

    def at(self, pixel: Expr) -> Expr:
        return pixel * (self.c.geometry.strides[-1] * self.column)

    def fill(
        self, kernel: Kernel, scratch: Buffer, start: Expr, outer: Sequence[Expr], first: Expr, end: Expr
    ) -> None:
        g, column = self.c.geometry, self.column
        width = kernel.let((end - first - 1) * g.strides[-1] + self.c.filters.taps[-1], "width")
        x0 = kernel.let(first * g.strides[-1] - g.pads_begin[-1], "x0")
        low: Expr = index(0)
        high = width
        if g.pads_begin[-1] or g.pads_end[-1]:
            low = kernel.let(minimum(maximum(0 - x0, 0), width), "low")
            high = kernel.let(maximum(minimum(self.ext(shape_of(self.c.x)[-1]) - x0, width), low), "high")
            clear(kernel, scratch, start, low * column)
            clear(kernel, scratch, start + high * column, (width - high) * column)
        place: list[Expr] = [index(0)] * len(self.c.out)
        for i, loop in zip(outer, self.product.outer, strict=True):
            place[loop.dim] = i
        columns = _Columns(start, width, x0, low, high)
        if _apart(self.c, None if self.left.computed else self.left.strides):
            self.turn(kernel, scratch, columns, place)
        else:
            self.copy(kernel, scratch, columns, place)

    def turn(self, kernel: Kernel, scratch: Buffer, columns: _Columns, place: list[Expr]) -> None:
        """Each channel is a plane."""
        c, g, source = self.c, self.c.geometry, self.left.tensor
        if not isinstance(source, Source):
            raise TypeError("planes of what is computed here are nowhere")
        position = place[0] * source.strides[0] + (columns.x0 + columns.low)
        step: Expr = index(0)
        first: Expr = index(0)
        last: Expr = index(self.taps)
        if len(self.c.out) > 3:
            y = kernel.let(place[2] * g.strides[0] - g.pads_begin[0], "in")
            step, position = source.strides[2] * g.dilations[0], position + y * source.strides[2]
            if g.pads_begin[0] or g.pads_end[0]:
                first = self.taps_before(y, index(0))
                last = self.taps_before(y, self.ext(shape_of(c.x)[2]))
        ci, column = index(c.filters.ci), index(self.column)
        args = (
            source.memory, position, ci, source.strides[1], step, column, first * ci, last * ci,
            columns.high - columns.low, scratch, columns.start + columns.low * column, column,
        )  # fmt: skip
        kernel.emit(CallC("fw_columns_f32", args))

    def taps_before(self, y: Expr, edge: Expr) -> Expr:
        """How many of the taps whose first is at `y` lie before `edge`."""
        return minimum(ceil_div(maximum(edge - y, 0), self.c.geometry.dilations[0]), self.taps)

    def copy(self, kernel: Kernel, scratch: Buffer, columns: _Columns, place: list[Expr]) -> None:
        """The channels of a pixel lie side by side, or are computed."""
        c = self.c

        def pixels(where: list[Expr], tap: Expr, zeros: bool) -> None:
            with kernel.loop(columns.high, "column", start=columns.low) as i:
                at = kernel.let(columns.start + (i * self.column + tap * c.filters.ci), "at")

                def channels(lane: Expr, vectorize: Vectorizer) -> None:
                    value = self.left.tensor.at((place[0], lane, *where, columns.x0 + i))
                    value = const(0, scratch.dtype) if zeros else value
                    kernel.store_lanes(scratch, at + lane, value, vectorize)

                kernel.vector_loop(index(c.filters.ci), channels)

        loop_taps(kernel, c, place, len(c.filters.taps) - 1, self.ext, pixels)

    def ext(self, value: int) -> Expr:
        return index(value) if self.product.fixed else arg(value)
