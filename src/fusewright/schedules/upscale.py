"""ConvTranspose to few channels by windows side by side: all taps of a pixel are columns of one product.

y[n, c, y * sy + i, x * sx + j] = sum over k of a[n, k, y, x] * w[k, c, i, j]: one channel of a filter would fill one
lane. The rows of a product hold (c, i, j) for one input pixel each; from there a row of each channel is put together in
scratch, and what follows is computed along it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from fusewright.graph.group import dtype_of, elements, shape_of
from fusewright.kernel.expr import Const, Expr, Load, arg, index
from fusewright.kernel.loops import Kernel
from fusewright.kernel.tensor import Anchor
from fusewright.kernel.vectorize import Vectorizer
from fusewright.schedules.epilogue import bias_along, bind_epilogue, epilogue
from fusewright.schedules.pack import pack_matrix
from fusewright.schedules.scatter import decompose
from fusewright.schedules.task import Lowered, Pack, Task
from fusewright.schedules.tile import Left, Right, emit_tile, in_halves, most_rows, unrolled_steps

MOST_VECTORS = 2  # of columns: so many filters that phases of their own would leave lanes idle are fewer
TAILS = (8, 4, 2, 1)  # rows of the tiles behind the last whole one


def upscales(task: Task, strides: Sequence[int], dilations: Sequence[int], pads: Sequence[int], groups: int) -> bool:
    """Whether windows lie side by side, give few channels, and read channels that do."""
    node = task.group.anchor
    x, w = node.inputs[:2]
    if x is None or w is None or task.array_of(w) is None or len(shape_of(w)) != 4:
        return False
    shape, out, taps = shape_of(x), shape_of(node.outputs[0]), shape_of(w)[2:]
    exact = all(o == s * step for o, s, step in zip(out[2:], shape[2:], strides, strict=True))
    aligned = tuple(taps) == tuple(strides) and set(dilations) == {1} and not any(pads) and exact
    few = 2 * out[1] < task.target.lanes and out[1] * elements(taps) <= MOST_VECTORS * task.target.lanes
    return aligned and few and groups == 1 and dtype_of(x) == "f32" and task.strides_of(x)[1] == 1


def lower_upscale(task: Task, bias: ir.Value | None) -> list[Lowered]:
    node = task.group.anchor
    x, w = node.inputs[:2]
    if x is None or w is None:
        raise ValueError("ConvTranspose needs an input and filters")
    (batch, ci, height, width), (_, co, *taps) = shape_of(x), shape_of(w)
    columns = co * elements(tuple(taps))
    task = in_halves(task, columns)
    fixed = not task.open_extents
    raw = Anchor(shape_of(node.outputs[0]), "f32")
    results = epilogue(task, raw if bias is None else raw + bias_along(task.tensor(bias), 1, 4))
    kernel = task.kernel("upscale")
    source, packed = kernel.buffer("f32", "a"), kernel.buffer("f32", "w")
    bound = bind_epilogue(task, kernel, results)
    vectors = -(-columns // kernel.lanes)
    pitch, rows = vectors * kernel.lanes, most_rows(task.target)[vectors]

    def ext(value: int) -> Expr:
        return index(value) if fixed else arg(value)

    pixels = kernel.scratch("f32", width * (pitch + taps[1]), "pixels")
    row = ext(width * pitch)  # behind the pixels: where a row of one channel is put together
    with kernel.loop(kernel.hi, "u", start=kernel.lo) as unit:
        n, y = decompose(kernel, unit, [batch, height], "y")
        steps = [ext(s) for s in task.strides_of(x)]
        base = kernel.let(n * steps[0] + y * steps[2], "a0")

        def strip(at: Expr, count: int) -> None:
            first = kernel.let(base + at * steps[3], "a")
            left = Left(source, first, [steps[3] * m for m in range(count)], [], index(ci))
            emit_tile(
                kernel, "f32", vectors, left, Right(packed, index(0), index(pitch)),
                lambda m, v, value: kernel.store(pixels, (at + m) * pitch + v * kernel.lanes, value),
                unrolled_steps(task.target),
            )  # fmt: skip

        strips(kernel, ext(width), rows, strip)
        for c in range(co):
            with kernel.loop(taps[0], "i") as i:
                with kernel.loop(ext(width), "x") as at:
                    for j in range(taps[1]):
                        one = Load("f32", False, pixels, at * pitch + (i * taps[1] + (c * taps[0] * taps[1] + j)))
                        kernel.store(pixels, row + at * taps[1] + j, one)

                def finish(lane: Expr, vectorize: Vectorizer, c: int = c, i: Expr = i) -> None:
                    place = (n, index(c), y * taps[0] + i, lane)
                    value = kernel.let(vectorize(Load("f32", False, pixels, row + lane)), "value")
                    bound.store(kernel, place, [(raw, value)], vectorize)

                kernel.vector_loop(ext(width * taps[1]), finish)

    def pack(array: np.ndarray) -> np.ndarray:
        return pack_matrix(pitch)(array.reshape(ci, columns))

    operands = [x, Pack(w, f"columns {pitch}", pack), *bound.operands]
    return [Lowered(kernel, operands, batch * height, flop=2 * batch * height * width * ci * columns)]


def strips(kernel: Kernel, extent: Expr, rows: int, strip: Callable[[Expr, int], None]) -> None:
    """Call `strip(first, count)` for whole tiles of `rows` rows, then for smaller ones."""
    done: Expr = index(0)
    for size in (rows, *(s for s in TAILS if s < rows)):
        stop = kernel.let(extent - (extent - done) % index(size), "stop")
        if not (isinstance(stop, Const) and isinstance(done, Const) and stop.value == done.value):
            with kernel.loop(stop, "x", start=done, step=size) as x:
                strip(x, size)
        done = stop
