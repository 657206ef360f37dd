"""Filters of a convolution -> panels of a product's right side, at compile time or (computed filters) at run time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from fusewright.graph.group import dtype_of, elements, shape_of
from fusewright.kernel.expr import SIZES, Expr, Load, Op, all_of, index, maximum, select
from fusewright.kernel.tensor import Source
from fusewright.schedules.epilogue import element_along
from fusewright.schedules.pack import ORDERS, emit_pack
from fusewright.schedules.task import Lowered, Operand, Pack, Task, Temp


def choose_taps(w: np.ndarray, first: int, chosen: tuple[tuple[int, ...], ...] | None) -> np.ndarray:
    """`w` with these taps of its dimensions from `first` on, -1 for zeros; as it is where nothing is chosen."""
    for d, taps in enumerate(chosen or (), start=first):
        w = np.take(w, np.maximum(taps, 0), axis=d)
        gone = [i for i, k in enumerate(taps) if k < 0]
        if gone:
            w[(slice(None),) * d + (gone,)] = 0
    return w


def diagonal(matrices: np.ndarray, count: int) -> np.ndarray:
    """Each `count` of matrices [n, ..., rows, columns] along the diagonal of one [n / count, ..., rows, columns]."""
    n, *between, rows, columns = matrices.shape
    joined = np.zeros((n // count, *between, count * rows, count * columns), matrices.dtype)
    for i in range(count):
        joined[..., i * rows : (i + 1) * rows, i * columns : (i + 1) * columns] = matrices[i::count]
    return joined


@dataclass(frozen=True)
class Filters:
    """`groups` matrices of (taps, ci) rows and co columns, made of one weight.

    `transposed` tells that the weight is [groups * ci, co, taps...] (ConvTranspose), not [groups * co, ci, taps...].
    `chosen` are, for each spatial dimension, the weight's taps in the order of the rows, evenly spaced (-1: a row of
    zeros, before the others), where these are not all of them as they lie. `last_first` tells that rows go through
    the last spatial dimension first (of constant filters). Constant filters of one group may be multiplied by `scale`
    [1, ci, 1...], one number for each input channel, which is known at run time. Each group may be so many `joined`
    groups of a constant weight, whose matrices stand along the diagonal of one that is zero elsewhere.
    """

    value: ir.Value
    groups: int
    ci: int
    co: int
    taps: tuple[int, ...]
    transposed: bool = False
    chosen: tuple[tuple[int, ...], ...] | None = None
    last_first: bool = False
    scale: ir.Value | None = None
    joined: int = 1

    def packed(self, task: Task, width: int, order: str = "matrix") -> tuple[Operand, list[Lowered]]:
        """The packed filters in panels of `width` columns, and the kernel that packs them if it needs one; another
        `order` than the first of ORDERS is for constant ones."""
        if task.array_of(self.value) is not None:
            shape = f"{self.groups} {self.joined} {self.transposed} {self.chosen} {self.last_first}"
            key = f"filters {order} {width} {shape}"
            constant = Pack(self.value, key, self.packer(width, order))
            return (constant, []) if self.scale is None else self.scaled(task, constant, self.scale, width)
        temp, lowered = self.pack_later(task, width)
        return temp, [lowered]

    def packer(self, width: int, order: str = "matrix") -> Callable[[np.ndarray], np.ndarray]:
        pack = ORDERS[order](width)

        def make(w: np.ndarray) -> np.ndarray:
            if self.transposed:
                parts = w.reshape(self.groups, self.ci, self.co, *w.shape[2:])
                moved = np.moveaxis(parts, (1, 2), (-2, -1))  # g, space, ci, co
            else:
                own, ci = self.groups * self.joined, self.ci // self.joined
                parts = w.reshape(own, self.co // self.joined, ci, *w.shape[2:])
                moved = diagonal(np.moveaxis(parts, (1, 2), (-1, -2)), self.joined)
            rows = choose_taps(moved, 1, self.chosen)
            if self.last_first:
                rows = np.moveaxis(rows, -3, 1)
            return pack(rows.reshape(self.groups, -1, self.co))

        return make

    def scaled(self, task: Task, packed: Pack, scale: ir.Value, width: int) -> tuple[Temp, list[Lowered]]:
        """Panels of `width` columns, multiplied row by row."""
        dtype, rows, panels = dtype_of(self.value), elements(self.taps) * self.ci, -(-self.co // width)
        kernel = task.kernel("scale_filters")
        own = kernel.buffer(dtype, "w")
        factors = Source(shape_of(scale), dtype, name="scale")
        factors.bind(kernel.buffer(dtype, "scale"), task.strides_of(scale))
        out = kernel.buffer(dtype, "scaled", "out")
        with kernel.loop(kernel.hi, "u", start=kernel.lo) as u, kernel.loop(rows, "row") as row:
            channel = row % self.ci if rows > self.ci else row
            one = element_along(factors, 1, 2 + len(self.taps), channel)
            factor = kernel.let(Op(dtype, True, "splat", (one,)), "factor")
            at = kernel.let((u * rows + row) * width, "at")
            for v in range(0, width, kernel.lanes):
                kernel.store(out, at + v, Load(dtype, True, own, at + v) * factor)
        temp = Temp(panels * rows * width * SIZES[dtype])
        return temp, [Lowered(kernel, [packed, scale, temp], panels, flop=rows * self.co)]

    def pack_later(self, task: Task, width: int) -> tuple[Temp, Lowered]:
        dtype, shape = dtype_of(self.value), shape_of(self.value)
        kernel = task.kernel("pack_filters")
        source = Source(shape, dtype, name="w")
        source.bind(kernel.buffer(dtype, "w"), task.strides_of(self.value))
        rows = elements(self.taps) * self.ci

        def element(group: Expr, row: Expr, column: Expr) -> Expr:
            rest = row // index(self.ci)
            channel = row % index(self.ci)
            where: list[Expr] = []
            for extent in reversed(self.taps):
                where.append(rest % index(extent))
                rest = rest // index(extent)
            where.reverse()
            inside: list[Expr] = []
            for d, taps in enumerate(self.chosen or ()):
                real = [k for k in taps if k >= 0] or [0]
                step = real[1] - real[0] if len(real) > 1 else 0
                zeros = sum(k < 0 for k in taps)
                if zeros:
                    inside.append(where[d] >= zeros)
                    where[d] = maximum(where[d] - zeros, 0)
                where[d] = where[d] * step + real[0]
            place = (group * self.ci + channel, column) if self.transposed else (group * self.co + column, channel)
            value, condition = source.at((*place, *where)), all_of(inside)
            return value if condition is None else select(condition, value, 0)

        units = emit_pack(kernel, dtype, element, (self.groups, rows, self.co), width)
        temp = Temp(self.groups * -(-self.co // width) * rows * width * SIZES[dtype])
        return temp, Lowered(kernel, [self.value, temp], units, flop=self.groups * rows * self.co)
