"""conv(f(x), w): the left side of a product may be computed where it is staged, and never lies in memory as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.group import dtype_of, shape_of
from fusewright.kernel.expr import Buffer, Expr, index
from fusewright.kernel.loops import Kernel
from fusewright.kernel.tensor import Source, Tensor, walk
from fusewright.kernel.vectorize import Vectorizer
from fusewright.schedules.normal_form import Product, Staging
from fusewright.schedules.task import Operand, Strides, Task


@dataclass(frozen=True)
class LeftSide:
    """The tensor that a convolution reads, the pointers that it needs, and its strides if it lies in memory."""

    tensor: Tensor
    operands: list[Operand]
    strides: Strides
    computed: bool


def left_side(task: Task, kernel: Kernel, x: ir.Value) -> LeftSide:
    """The operand in memory, or what the group's nodes before the anchor make of theirs (these are traced already)."""
    shape = shape_of(x)
    if x.producer() in task.group.nodes:
        tensor = task.tensor(x)
        return LeftSide(tensor, task.bind_inputs(kernel, walk(tensor)), (0,) * len(shape), True)
    source = Source(shape, dtype_of(x), name="a")
    source.bind(kernel.buffer(source.dtype, "a"), task.strides_of(x))
    return LeftSide(source, [x], task.strides_of(x), False)


def pixel_staging(product: Product, left: Tensor, channels: int) -> Staging:
    """Scratch holds [pixels of the block][channels], where the filter has one tap, no stride and no padding."""

    def fill(kernel: Kernel, scratch: Buffer, outer: Sequence[Expr], first: Expr, end: Expr) -> None:
        place: list[Expr] = [index(0)] * product.rank
        for i, loop in zip(outer, product.outer, strict=True):
            place[loop.dim] = i
        with kernel.loop(end, "pixel", start=first) as pixel:
            if product.x.dim >= 0:
                place[product.x.dim] = pixel
            at = kernel.let((pixel - first) * channels, "at")

            def stage(lane: Expr, vectorize: Vectorizer) -> None:
                value = left.at((place[0], lane, *place[2:]))
                kernel.store_lanes(scratch, at + lane, value, vectorize)

            kernel.vector_loop(index(channels), stage)

    taps = tuple(index(0) for _ in product.taps)  # of extent 1
    return Staging(fill, index(0), index(channels), taps, lambda count: count * channels, by_x=True)
