"""x[n, y0 .. y1, :, channels] -> scratch with the border of zeros around it: what padded convolutions read."""

from __future__ import annotations

from collections.abc import Sequence

from fusewright.kernel.expr import Buffer, Expr, Op, arg, const, index
from fusewright.kernel.loops import Kernel
from fusewright.kernel.tensor import Source
from fusewright.kernel.vectorize import Vectorizer
from fusewright.schedules.geometry import Geometry
from fusewright.schedules.product import Product, Staging
from fusewright.schedules.task import Task


def conv_staging(
    task: Task,
    product: Product,
    left: Source,
    geometry: Geometry,
    groups: int,
    ci: int,
    kernel_shape: Sequence[int],
    merge_x: bool,
) -> Staging:
    """Scratch holds [depth taps][rows][padded width][channels of the group]."""
    spatial = len(kernel_shape)
    shape = left.shape
    rank = len(shape)
    fixed = product.fixed
    out_x = product.x.extent
    s_x, d_x, p_x = geometry.strides[-1], geometry.dilations[-1], geometry.pads_begin[-1]
    width = (out_x - 1) * s_x + (kernel_shape[-1] - 1) * d_x + 1
    has_y = spatial >= 2
    s_y, d_y, p_y = (geometry.strides[-2], geometry.dilations[-2], geometry.pads_begin[-2]) if has_y else (1, 1, 0)
    k_y = kernel_shape[-2] if has_y else 1
    planes = kernel_shape[0] if spatial == 3 else 1

    def ext(value: int) -> Expr:
        return index(value) if fixed else arg(value)

    def rows_for(count: int) -> int:
        return (count - 1) * s_y + (k_y - 1) * d_y + 1

    row_step = ext(width * ci)
    by_y = product.y.extent > 1
    # rows of one plane: all that a block needs; the planes of a 3-D filter follow each other
    plane_rows = rows_for(product.y.extent) if by_y else rows_for(1)
    plane_step = ext(plane_rows * width * ci)

    def elements_for(count: int) -> int:
        rows = plane_rows if planes > 1 else rows_for(count if by_y else 1)
        return planes * rows * width * ci

    in_y, in_x = (shape[-2] if has_y else 1), shape[-1]
    before = min(p_x, width)
    inside = max(0, min(in_x, width - p_x))
    contiguous = (
        groups == 1
        and task.strides_of(task.group.anchor.inputs[0])[1] == 1
        and (  # type: ignore[index, arg-type]
            task.strides_of(task.group.anchor.inputs[0])[rank - 1] == ci  # type: ignore[arg-type]
        )
    )

    def zero(kernel: Kernel, scratch: Buffer, at: Expr, count: Expr) -> None:
        def body(lane: Expr, vectorize: Vectorizer) -> None:
            kernel.store_lanes(scratch, at + lane, const(0, scratch.dtype), vectorize)

        kernel.vector_loop(count, body)

    def fill(kernel: Kernel, scratch: Buffer, outer: Sequence[Expr], y0: Expr, y1: Expr) -> None:
        n: Expr = index(0)
        first_channel: Expr = index(0)
        depth: Expr = index(0)
        for i, loop in zip(outer, product.outer, strict=True):
            if loop.dim == 0:
                n = i
            elif loop.dim == -2:
                first_channel = i * ci
            elif loop.dim == 2 and spatial == 3:
                depth = i
        rows: Expr = (y1 - y0 - 1) * s_y + ((k_y - 1) * d_y + 1) if by_y else index(rows_for(1))
        rows = kernel.let(rows, "rows")
        with kernel.loop(planes, "plane") as plane, kernel.loop(rows, "row") as row:
            at = kernel.let(plane * plane_step + row * row_step, "at")
            in_row = kernel.let((y0 * s_y if by_y else index(0)) + row - p_y, "in_y")
            inside_y = Op("bool", False, "and", (in_row >= 0, in_row < ext(in_y)))
            where: list[Expr] = [n, index(0)]
            if spatial == 3:
                in_plane = kernel.let(
                    depth * geometry.strides[0] + plane * geometry.dilations[0] - geometry.pads_begin[0], "in_z"
                )
                inside_y = Op(
                    "bool",
                    False,
                    "and",
                    (inside_y, Op("bool", False, "and", (in_plane >= 0, in_plane < ext(shape[2])))),
                )
                where.append(in_plane)
            if has_y:
                where.append(in_row)
            with kernel.when(inside_y):
                if before:
                    zero(kernel, scratch, at, index(before * ci))
                copy_row(kernel, scratch, at, where, first_channel)
                end = before + inside
                if width > end or not fixed:
                    zero(kernel, scratch, at + ext(end * ci), ext((width - end) * ci))
            with kernel.otherwise():
                zero(kernel, scratch, at, row_step)

    def copy_row(kernel: Kernel, scratch: Buffer, at: Expr, where: list[Expr], first_channel: Expr) -> None:
        if contiguous:

            def flat(lane: Expr, vectorize: Vectorizer) -> None:
                # channels-last rows lie in one piece: the channel index runs over the whole row
                source = left.at((where[0], lane, *where[2:], index(0)))
                kernel.store_lanes(scratch, at + before * ci + lane, source, vectorize)

            kernel.vector_loop(ext(inside * ci), flat)
            return
        if task.strides_of(task.group.anchor.inputs[0])[1] == 1:  # type: ignore[arg-type]
            with kernel.loop(ext(inside), "ix") as ix:

                def pixel(lane: Expr, vectorize: Vectorizer) -> None:
                    source = left.at((where[0], first_channel + lane, *where[2:], ix))
                    kernel.store_lanes(scratch, at + (ix + before) * ci + lane, source, vectorize)

                kernel.vector_loop(index(ci), pixel)
            return
        with kernel.loop(ci, "c") as c, kernel.loop(ext(inside), "ix") as ix:
            source = left.at((where[0], first_channel + c, *where[2:], ix))
            kernel.store(scratch, at + (ix + before) * ci + c, source)

    tap_steps: list[Expr] = []
    if spatial == 3:
        tap_steps.append(plane_step)
    if has_y:
        tap_steps.append(row_step * d_y)
    if not merge_x:
        tap_steps.append(index(ci * d_x))
    return Staging(fill, row_step * s_y, index(s_x * ci), tuple(tap_steps), elements_for)
