"""y = x, then y[indices] = y[indices] + updates (or *, min, max, replacement), in the order of the updates.

Two kernels: a copy, and the updates. Updates that may meet at one element are one unit of work, so that their order
does not depend on the threads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import onnx_ir as ir

from fusewright.graph.group import elements, shape_of
from fusewright.kernel import expr as E
from fusewright.kernel.expr import Expr, Load, arg, index
from fusewright.kernel.loops import Kernel
from fusewright.kernel.tensor import Source, Tensor
from fusewright.ops.indexing import wrapped
from fusewright.schedules.pointwise import lower_pointwise
from fusewright.schedules.task import Lowered, Operand, Task

COMBINE: Mapping[str, str] = {"add": "add", "mul": "mul", "min": "min", "max": "max"}


def copy_of(task: Task, source: ir.Value, result: ir.Value) -> list[Lowered]:
    """y = x"""
    group = replace(task.group, nodes=[], inputs=[source], outputs=[result])
    part = replace(task, group=group, sources={}, tensors={})
    part.tensors[result] = part.tensor(source)
    return lower_pointwise(part)


def decompose(kernel: Kernel, flat: Expr, extents: Sequence[int], name: str) -> list[Expr]:
    """The index of position `flat` in row-major order."""
    idx: list[Expr] = []
    for k in range(len(extents) - 1, 0, -1):
        idx.insert(0, kernel.let(flat % arg(extents[k]), f"{name}{k}"))
        flat = kernel.let(flat // arg(extents[k]), "rest")
    return [flat, *idx] if extents else []


def update(kernel: Kernel, place: Source, at: Sequence[Expr], value: Expr, how: str) -> None:
    target = place.at(tuple(at))
    assert isinstance(target, Load)
    where = kernel.let(target.index, "at")
    if how != "none":
        value = E.binary(COMBINE[how], Load(place.dtype, False, target.buffer, where), value)
    kernel.store(target.buffer, where, value)


class _Parts:
    """The operands of a scatter, bound to a kernel."""

    def __init__(self, task: Task, name: str) -> None:
        inputs = task.group.anchor.inputs
        self.result = task.group.outputs[0]
        self.site = task.site(task.group.anchor)
        self.kernel = task.kernel(name)
        self.indices, self.updates = (self._tensor(task, v) for v in inputs[1:3])
        self.operands: list[Operand] = task.bind_inputs(self.kernel, [self.indices, self.updates])
        _, self.place = task.bind_output(self.kernel, self.result)
        self.operands.append(self.result)
        self.shape = shape_of(self.result)
        self.how = str(self.site.get("reduction"))

    @staticmethod
    def _tensor(task: Task, value: ir.Value | None) -> Tensor:
        if value is None:
            raise TypeError("a scatter needs indices and updates")
        return task.tensor(value)


def source_of(task: Task) -> ir.Value:
    value = task.group.anchor.inputs[0]
    if value is None:
        raise TypeError("a scatter needs data")
    return value


def lower_scatter_elements(task: Task) -> list[Lowered]:
    copied = copy_of(task, source_of(task), task.group.outputs[0])
    p = _Parts(task, "scatter_elements")
    space = p.indices.shape
    if not elements(space):
        return copied
    axis = int(p.site.get("axis")) % len(space)
    others = [d for d in range(len(space)) if d != axis]
    kernel = p.kernel
    with kernel.loop(kernel.hi, "u", start=kernel.lo) as unit:
        outer = decompose(kernel, unit, [space[d] for d in others], "i")
        with kernel.loop(arg(space[axis]), "k") as k:
            idx = [*outer[:axis], k, *outer[axis:]]
            at = list(idx)
            at[axis] = wrapped(p.indices.at(tuple(idx)), p.shape[axis])
            update(kernel, p.place, at, p.updates.at(tuple(idx)), p.how)
    units = elements(tuple(space[d] for d in others))
    return [*copied, Lowered(kernel, p.operands, units, flop=elements(space))]


def lower_scatter_nd(task: Task) -> list[Lowered]:
    copied = copy_of(task, source_of(task), task.group.outputs[0])
    p = _Parts(task, "scatter_nd")
    if not elements(p.updates.shape):
        return copied
    outer_shape, depth = p.indices.shape[:-1], p.indices.shape[-1]
    kernel = p.kernel
    inner_shape = p.shape[depth:]
    with kernel.loop(kernel.hi, "u", start=kernel.lo), kernel.loop(arg(elements(outer_shape)), "o") as o:
        outer = decompose(kernel, o, outer_shape, "o")
        at = [kernel.let(wrapped(p.indices.at((*outer, index(d))), p.shape[d]), f"at{d}") for d in range(depth)]
        with kernel.loop(arg(elements(inner_shape)), "i") as i:
            inner = decompose(kernel, i, inner_shape, "i")
            update(kernel, p.place, [*at, *inner], p.updates.at((*outer, *inner)), p.how)
    return [*copied, Lowered(kernel, p.operands, 1, flop=elements(p.updates.shape), max_shares=1)]


SCHEDULES = {"scatter_elements": lower_scatter_elements, "scatter_nd": lower_scatter_nd}
