"""x[n, y0 .. y1, :, channels] -> scratch with the border of zeros around it: what padded convolutions read."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from fusewright.kernel.expr import SIZES, Buffer, Expr, Op, arg, const, index, maximum, minimum
from fusewright.kernel.loops import Kernel
from fusewright.kernel.tensor import Source, Tensor
from fusewright.kernel.vectorize import Vectorizer
from fusewright.schedules.blocks import NEAR
from fusewright.schedules.geometry import Geometry
from fusewright.schedules.normal_form import Part, Product, Staging
from fusewright.schedules.task import Strides

INTERLEAVED = 4  # channels that are spelled out in the loop over pixels: the C compiler interleaves their vectors


@dataclass(frozen=True)
class _Side:
    """One spatial dimension: the input's extent, and how the filter slides along it."""

    size: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    pad: int = 0
    pad_end: int = 0

    def reach(self, outputs: int) -> int:
        """The input positions, border included, that `outputs` neighbouring outputs read."""
        return (outputs - 1) * self.stride + (self.kernel - 1) * self.dilation + 1

    def reached(self, kernel: Kernel, at: Expr, last: Expr, size: Expr) -> Part | None:
        """The first tap of the outputs from `at` to `last` that meets the input, and the one behind the last tap; None
        where there is no border."""
        if self.pad == 0 and self.pad_end == 0:
            return None
        first = self.steps(self.pad - last * self.stride)
        end = minimum(self.steps(size + self.pad - at * self.stride), index(self.kernel))
        return kernel.let(first, "t0"), kernel.let(end, "t1")

    def steps(self, distance: Expr) -> Expr:
        """How many taps cover this distance, 0 where it is negative."""
        some = maximum(distance, index(0))
        return some if self.dilation == 1 else (some + (self.dilation - 1)) // self.dilation


def conv_staging(
    strides: Strides,
    product: Product,
    left: Tensor,
    geometry: Geometry,
    groups: int,
    ci: int,
    kernel_shape: Sequence[int],
    merge_x: bool,
) -> Staging:
    """Scratch holds [depth taps][rows][padded width][channels of the group], of rows within the input. `strides` are
    those of the input, if it lies in memory and is not computed here."""
    g = geometry
    of_dims = (left.shape[2:], kernel_shape, g.strides, g.dilations, g.pads_begin, g.pads_end)
    sides = [_Side(*of_dim) for of_dim in zip(*of_dims, strict=True)]
    z = sides[0] if len(sides) == 3 else None
    y = sides[-2] if len(sides) >= 2 else None
    in_memory = isinstance(left, Source)
    layout = "pixels" if strides[1] == 1 or not in_memory else "planes"
    if in_memory and layout == "pixels" and groups == 1 and strides[-1] == ci:
        layout = "rows"
    return _ConvStage(product, left, ci, z, y, sides[-1], layout).staging(merge_x)


class _ConvStage:
    """`layout` is how the channels of an input lie: `rows` channels last without gaps (one copy a row), `pixels` side
    by side (one copy a pixel), `planes` apart (interleaved, a few of them at a time)."""

    def __init__(
        self, product: Product, left: Tensor, ci: int, z: _Side | None, y: _Side | None, x: _Side, layout: str
    ) -> None:
        self.product, self.left, self.ci, self.layout = product, left, ci, layout
        self.z, self.y, self.x = z, y or _Side(1), x
        self.has_y = y is not None
        self.by_y = product.y.extent > 1
        self.planes = z.kernel if z is not None else 1
        self.width = x.reach(product.x.extent)
        self.before = min(x.pad, self.width)
        self.inside = max(0, min(x.size, self.width - x.pad))
        self.row_step = self.ext(self.width * ci)
        # rows of one plane: all that a block needs; the planes of a 3-D filter follow each other
        self.plane_rows = self.y.reach(product.y.extent if self.by_y else 1)
        self.plane_step = self.ext(self.plane_rows * self.width * ci)
        one_row = z is None and not self.by_y and self.plane_rows == 1 and not self.y.pad
        # a single long row is staged part by part
        self.by_x = one_row and (not product.fixed or self.width * ci * SIZES[product.dtype] > NEAR)

    def ext(self, value: int) -> Expr:
        return index(value) if self.product.fixed else arg(value)

    def staging(self, merge_x: bool) -> Staging:
        taps: list[Expr] = []
        if self.z is not None:
            taps.append(self.plane_step)
        if self.has_y:
            taps.append(self.row_step * self.y.dilation)
        if not merge_x:
            taps.append(index(self.ci * self.x.dilation))
        x_step = index(self.x.stride * self.ci)
        y_step = self.row_step * self.y.stride
        reached = functools.partial(self.reached, merge_x)
        if self.by_x:
            pixel = self.x.stride * self.ci
            return Staging(self.fill_part, y_step, x_step, tuple(taps), self.elements_for, True, reached, pixel)
        return Staging(self.fill, y_step, x_step, tuple(taps), self.elements_for, reached=reached)

    def reached(
        self, merge_x: bool, kernel: Kernel, outer: Sequence[Expr], y: Expr, x: Expr, count: int
    ) -> list[Part | None]:
        """Of each tap, which meet the input. Those of x that are a part of k are not looked at."""
        parts: list[Part | None] = []
        if self.product.across:
            wide = self.product.x.extent
            first, last = kernel.let(y + x // wide, "y0"), kernel.let(y + (x + count - 1) // wide, "y1")
            of_y = self.y.reached(kernel, first, last, self.ext(self.y.size))
            return [of_y] if merge_x else [of_y, None]
        if self.z is not None:
            z = self.outer_place(outer)[2]
            parts.append(self.z.reached(kernel, z, z, self.ext(self.z.size)))
        if self.has_y:
            row = y if self.by_y else index(0)
            parts.append(self.y.reached(kernel, row, row, self.ext(self.y.size)))
        if not merge_x:
            parts.append(self.x.reached(kernel, x, x + (count - 1), self.ext(self.x.size)))
        return parts

    def elements_for(self, count: int) -> int:
        """Elements of scratch for `count` rows of the result, or for as many pixels of its one row."""
        if self.by_x:
            return self.x.reach(count) * self.ci
        rows = self.plane_rows if self.planes > 1 else self.y.reach(count if self.by_y else 1)
        return self.planes * rows * self.width * self.ci

    def fill(self, kernel: Kernel, scratch: Buffer, outer: Sequence[Expr], y0: Expr, y1: Expr) -> None:
        n, first_channel, depth = self.outer_place(outer)
        y = self.y
        rows: Expr = index(y.reach(1))
        if self.by_y:
            rows = (y1 - y0 - 1) * y.stride + y.reach(1)
        rows = kernel.let(rows, "rows")
        with kernel.loop(self.planes, "plane") as plane, kernel.loop(rows, "row") as row:
            at = kernel.let(plane * self.plane_step + row * self.row_step, "at")
            in_row = kernel.let((y0 * y.stride if self.by_y else index(0)) + row - y.pad, "in_y")
            inside = _both(in_row >= 0, in_row < self.ext(y.size))
            where: list[Expr] = [n, index(0)]
            if self.z is not None:
                z = self.z
                in_plane = kernel.let(depth * z.stride + plane * z.dilation - z.pad, "in_z")
                inside = _both(inside, _both(in_plane >= 0, in_plane < self.ext(z.size)))
                where.append(in_plane)
            if self.has_y:
                where.append(in_row)
                if y.stride == 1 and y.dilation > 1:  # a few rows of the result skip most of the input's
                    inside = _both(inside, row % y.dilation < (y1 - y0 if self.by_y else index(1)))
            with kernel.when(inside):
                self.padded_row(kernel, scratch, at, where, first_channel)
            if self.product.across and (y.pad or y.pad_end):
                with kernel.otherwise():
                    clear(kernel, scratch, at, self.row_step)

    def fill_part(self, kernel: Kernel, scratch: Buffer, outer: Sequence[Expr], x0: Expr, x1: Expr) -> None:
        """What pixels x0 to x1 of the one row read."""
        n, first_channel, _ = self.outer_place(outer)
        x, ci = self.x, self.ci
        width = kernel.let((x1 - x0 - 1) * x.stride + x.reach(1), "width")
        first = kernel.let(x0 * x.stride - x.pad, "in_x")
        begin = kernel.let(minimum(maximum(index(0) - first, index(0)), width), "begin")
        end = kernel.let(maximum(minimum(self.ext(x.size) - first, width), begin), "end")
        clear(kernel, scratch, index(0), begin * ci)
        where = [n, index(0), *([index(0)] if self.has_y else [])]
        self.copy(kernel, scratch, begin * ci, where, first_channel, first + begin, end - begin)
        clear(kernel, scratch, end * ci, (width - end) * ci)

    def outer_place(self, outer: Sequence[Expr]) -> tuple[Expr, Expr, Expr]:
        """Of this block: its image, the first channel of its group, its depth."""
        n: Expr = index(0)
        first_channel: Expr = index(0)
        depth: Expr = index(0)
        for i, loop in zip(outer, self.product.outer, strict=True):
            if loop.dim == 0:
                n = i
            elif loop.dim == -2:
                first_channel = i * self.ci
            elif loop.dim == 2 and self.z is not None:
                depth = i
        return n, first_channel, depth

    def padded_row(self, kernel: Kernel, scratch: Buffer, at: Expr, where: list[Expr], first_channel: Expr) -> None:
        ci = self.ci
        if self.before:
            clear(kernel, scratch, at, index(self.before * ci))
        inside = self.ext(self.inside)
        self.copy(kernel, scratch, at + self.before * ci, where, first_channel, index(0), inside)
        end = self.before + self.inside
        if self.width > end or not self.product.fixed:
            clear(kernel, scratch, at + self.ext(end * ci), self.ext((self.width - end) * ci))

    def copy(
        self, kernel: Kernel, scratch: Buffer, at: Expr, where: list[Expr], first_channel: Expr, x: Expr, count: Expr
    ) -> None:
        """`count` pixels of a row, from x on."""
        left, ci = self.left, self.ci
        n, _, *above = where
        if self.layout == "rows":

            def flat(lane: Expr, vectorize: Vectorizer) -> None:
                # the index that steps by one runs over the whole row: channels, or pixels of the only channel
                place = (lane, *above, x) if ci > 1 else (index(0), *above, x + lane)
                kernel.store_lanes(scratch, at + lane, left.at((n, *place)), vectorize)

            kernel.vector_loop(count * ci, flat)
            return
        if self.layout == "pixels":
            with kernel.loop(count, "ix") as ix:

                def pixel(lane: Expr, vectorize: Vectorizer) -> None:
                    source = left.at((n, first_channel + lane, *above, x + ix))
                    kernel.store_lanes(scratch, at + ix * ci + lane, source, vectorize)

                kernel.vector_loop(index(ci), pixel)
            return

        def together(first: Expr, number: int) -> None:
            with kernel.loop(count, "ix") as ix:
                for c in range(number):
                    source = left.at((n, first_channel + first + c, *above, x + ix))
                    kernel.store(scratch, at + ix * ci + first + c, source)

        whole = ci - ci % INTERLEAVED
        if whole:
            with kernel.loop(whole, "c", step=INTERLEAVED) as first:
                together(first, INTERLEAVED)
        if ci > whole:
            together(index(whole), ci - whole)


def _both(a: Expr, b: Expr) -> Expr:
    return Op("bool", False, "and", (a, b))


def clear(kernel: Kernel, scratch: Buffer, at: Expr, count: Expr) -> None:
    """`count` zeros from `at` on."""

    def body(lane: Expr, vectorize: Vectorizer) -> None:
        kernel.store_lanes(scratch, at + lane, const(0, scratch.dtype), vectorize)

    kernel.vector_loop(count, body)
