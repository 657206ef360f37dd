"""Convolutions as products of pairs (`schedules.paired`): a row is the window of a pixel, its channels side by side.

A window that lies in memory as it is read (1x1) is scaled from there, and so is one whose channels are multiplied by
factors; others are gathered first, and so is what else the kernel computes of its input. That is little beside a
product with many columns. Or all that a row of the result reads is brought to scratch so that windows overlap there
(`schedules.windows`), which channels in planes need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod

import onnx_ir as ir

from fusewright.graph.group import dtype_of, shape_of
from fusewright.kernel.expr import Buffer, Expr, arg, const, index
from fusewright.kernel.loops import Kernel
from fusewright.kernel.tensor import Anchor, Source
from fusewright.kernel.vectorize import Vectorizer
from fusewright.schedules.contract import NO_LOOP, epilogue_walks, operand_walks
from fusewright.schedules.convolution import Convolution, in_group, loop_taps, lower_product, scaled_input
from fusewright.schedules.epilogue import bias_along, epilogue
from fusewright.schedules.normal_form import Loop, Product
from fusewright.schedules.paired import Paired, exact_enough, option, paired
from fusewright.schedules.paired_rows import InMemory, use_pairs
from fusewright.schedules.paired_tile import EXTRA_ROWS
from fusewright.schedules.pointwise import Axis, merge_axes
from fusewright.schedules.prologue import LeftSide, left_side
from fusewright.schedules.task import Lowered, Strides, Task, Way
from fusewright.schedules.windows import can_overlap, window_cycles, windows
from fusewright.schedules.winograd_ways import OPEN_PIXELS, streaming

SCALED = 1.4  # what it costs to multiply a row by factors as it is scaled, beside scaling it alone
GATHERED = 2.0  # what it costs to gather a row and to scale it, beside scaling it from where it lies
TAP = 10.0  # cycles of finding one
OPEN_ROW = 56  # pixels of a row that open extents are taken for


def pairs(task: Task, c: Convolution, bias: ir.Value | None) -> list[Way]:
    """The ways of this kind to lower `c`. Cycles are those of whole vectors."""
    filters = c.filters
    k = prod(filters.taps) * filters.ci
    if (
        filters.groups > 1
        or filters.transposed
        or filters.chosen is not None
        or c.place is not None
        or min(c.out) == 0
        or not exact_enough(task, task.array_of(filters.value), k)
    ):
        return []
    strides = None if in_group(task, c.x) else task.strides_of(c.x)
    made: list[Way] = []
    pixels = in_memory(task, c)
    if pixels is not None:
        alone = pixels.factors is None
        step = task.strides_of(pixels.x)[-1] if alone else None
        found, read = of_pixels(task, c, k, 1.0 if alone else SCALED, True, step), replace(c, x=pixels.x)
        make = partial(convolve, task, read, bias, factors=pixels.factors)
    else:
        found = gathered(task, c, k) if strides is None or strides[1] == 1 else None
        make = partial(convolve, task, c, bias)
    if found is not None:
        made.append(Way(option(found, k), partial(make, found)))
    if can_overlap(c, strides) and (sliding := overlapping(task, c, k, strides)) is not None:
        made.append(Way(option(sliding, k, " sliding"), partial(convolve, task, c, bias, sliding, sliding=True)))
    return made


@dataclass(frozen=True)
class Pixels:
    """Where windows lie as they are read, and what multiplies their channels, if anything does."""

    x: ir.Value
    factors: ir.Value | None = None


def in_memory(task: Task, c: Convolution) -> Pixels | None:
    """The pixels that are the windows of `c`, channels side by side."""
    if not in_place(c):
        return None
    scaled = scaled_input(task, c)
    if in_group(task, c.x) and scaled is None:
        return None
    pixels = Pixels(c.x) if scaled is None else Pixels(*scaled)
    operands = [pixels.x] if pixels.factors is None else [pixels.x, pixels.factors]
    return pixels if all(task.strides_of(v)[1] == 1 for v in operands) else None


def of_pixels(
    task: Task, c: Convolution, k: int, stage: float, in_place: bool, step: int | None = None
) -> Paired | None:
    """All pixels are rows of one product; `stage` is what it costs to bring one to scratch, `in_place` tells that each
    lies in memory, and `step` how far apart, as `paired` takes them."""
    fixed = not task.open_extents
    return paired(task.target, pixels_of(task, c), k, c.filters.co, fixed, stage, task.threads, in_place, step)


def gathered(task: Task, c: Convolution, k: int) -> Paired | None:
    """The same where the window of each pixel is gathered first."""
    found = of_pixels(task, c, k, GATHERED, False)
    if found is None:
        return None
    return replace(found, cycles=found.cycles + pixels_of(task, c) * TAP * prod(c.filters.taps))


def pixels_of(task: Task, c: Convolution) -> int:
    """How many the result has, or is taken to have."""
    return OPEN_PIXELS if task.open_extents else c.out[0] * prod(c.out[2:])


def overlapping(task: Task, c: Convolution, k: int, strides: Strides | None) -> Paired | None:
    """The pixels of a row of the result are the rows of a product, for each of which weights are read anew."""
    known = not task.open_extents
    row = c.out[-1] if known else OPEN_ROW
    found = paired(task.target, row, k, c.filters.co, known)
    if found is None:
        return None
    cycles = max(found.cycles, streaming(k * c.filters.co)) + row * window_cycles(c, task.target.lanes, strides)
    return replace(found, cycles=cycles * (c.out[0] * prod(c.out[2:-1]) if known else OPEN_PIXELS // OPEN_ROW))


def in_place(c: Convolution) -> bool:
    """Whether the window of a pixel is the pixel."""
    g = c.geometry
    return prod(c.filters.taps) == 1 and not any((*g.pads_begin, *g.pads_end)) and all(s == 1 for s in g.strides)


def convolve(
    task: Task,
    c: Convolution,
    bias: ir.Value | None,
    found: Paired,
    sliding: bool = False,
    factors: ir.Value | None = None,
) -> list[Lowered]:
    dtype, rank, co = dtype_of(c.x), len(c.out), c.filters.co
    k = prod(c.filters.taps) * c.filters.ci
    raw = Anchor(shape_of(task.group.anchor.outputs[0]), dtype)
    results = epilogue(task, raw if bias is None else raw + bias_along(task.tensor(bias), 1, rank))
    kernel = task.kernel("conv")
    left = left_side(task, kernel, c.x)
    multiplied = None
    if factors is not None:
        multiplied = kernel.buffer(dtype, "factors")
        left = replace(left, operands=[*left.operands, factors])
    right = kernel.buffer(dtype, "w")
    direct = in_place(c) and not left.computed and not sliding
    walks = [*epilogue_walks(task, results, c.out)]
    if direct:
        walks.append(task.strides_of(c.x))
    elif left.computed and in_place(c):
        walks += operand_walks(task, [left.tensor], c.out)
    if sliding:
        axes = [Axis(d, c.out[d]) for d in range(rank) if d == rank - 1 or (d != 1 and c.out[d] != 1)]
    else:
        axes = merge_axes([d for d in range(rank) if d != 1 and c.out[d] != 1], c.out, walks)
    loops = [Loop(a.extent, a.dim, left.strides[a.dim]) for a in axes]
    x_loop = loops.pop() if loops else NO_LOOP
    width = task.target.lanes
    product = Product(
        dtype=dtype, outer=loops, y=NO_LOOP, x=x_loop, taps=[], k=k, n=co, n_dim=1, rank=rank,
        left=left.tensor if isinstance(left.tensor, Source) else Source(shape_of(c.x), dtype, name="a"),
        tile=found.tile, right=right, right_at=lambda outer, n0: n0 * (k + EXTRA_ROWS), right_step=index(width),
        right_partial=False, fixed=not task.open_extents, k_fixed=True, n_fixed=True, threads=task.threads,
        l2_bytes=task.target.l2_bytes, anchor=raw,
    )  # fmt: skip
    if sliding:
        use_pairs(product, windows(c, product, left))
        c = replace(c, filters=replace(c.filters, last_first=True))
    else:
        gather = _Gather(c, product, left, kernel.scratch(dtype, 0 if direct else k, "window"))
        use_pairs(product, InMemory(product) if direct else gather.line, multiplied, found.twins)
    return lower_product(task, kernel, c, product, left, results, found.order)


@dataclass(frozen=True)
class _Gather:
    """Brings the window of one pixel to `scratch`: [taps][channels], zeros where it reaches beyond the input."""

    c: Convolution
    product: Product
    left: LeftSide
    scratch: Buffer

    def line(self, kernel: Kernel, outer: Sequence[Expr], row: Expr) -> tuple[Buffer, Expr]:
        place = self.place(kernel, outer, row)

        def pixel(where: list[Expr], tap: Expr, zeros: bool) -> None:
            start = kernel.let(tap * self.c.filters.ci, "at")

            def channels(lane: Expr, vectorize: Vectorizer) -> None:
                value = self.left.tensor.at((place[0], lane, *where))
                value = const(0, self.scratch.dtype) if zeros else value
                kernel.store_lanes(self.scratch, start + lane, value, vectorize)

            kernel.vector_loop(index(self.c.filters.ci), channels)

        loop_taps(kernel, self.c, place, len(self.c.filters.taps), self.ext, pixel)
        return self.scratch, index(0)

    def place(self, kernel: Kernel, outer: Sequence[Expr], row: Expr) -> list[Expr]:
        """The index of the pixel in the result: of its loops, the last may run over several dimensions."""
        out = self.c.out
        place: list[Expr] = [index(0)] * len(out)
        for i, loop in zip(outer, self.product.outer, strict=True):
            place[loop.dim] = i
        x = self.product.x
        left, d = x.extent, x.dim
        while left > 1:
            if d != 1 and out[d] != 1:
                left //= out[d]
                place[d] = row if left == 1 else kernel.let(row % self.ext(out[d]), f"o{d}")
                row = row if left == 1 else kernel.let(row // self.ext(out[d]), "rest")
            d -= 1
        return place

    def ext(self, value: int) -> Expr:
        return index(value) if self.product.fixed else arg(value)
