"""y = x in another order: views that memory does not allow, and values that come or leave in another order.

Where what lies side by side in x lies apart in y, neither can be walked by vectors: x comes in blocks, each of which is
turned in registers.
"""

from __future__ import annotations

from math import prod

from fusewright.graph.group import dtype_of, elements, shape_of
from fusewright.kernel.expr import Expr, arg, index, minimum
from fusewright.kernel.loops import CallC, Kernel
from fusewright.kernel.tensor import Source
from fusewright.ops.alias import reshaped
from fusewright.ops.opdef import Alias, Site
from fusewright.ops.registry import find
from fusewright.schedules.pointwise import NARROW, Axis, emit_loops, lower_pointwise, memory_order, merge_axes
from fusewright.schedules.task import Lowered, Strides, Task

ROWS = 512  # of a unit, each of which gives an element to each row of the result: whole lines, one after the other
COLUMNS = 64  # of a unit: few enough that the lines that are written stay in the cache


def lower_view(task: Task) -> list[Lowered]:
    """A view that memory does not allow: a copy, walked in the operand's dimensions where the result's split so."""
    group = task.group
    source, result = group.inputs[0], group.outputs[0]
    node = group.anchor
    definition = find(node.domain, node.op_type)
    if definition is None or definition.alias is None or len(group.nodes) > 1:
        return lower_pointwise(task)
    seen = definition.alias(task.site(node), shape_of(source), task.strides_of(source))
    if seen is not None:
        return [copy(task, shape_of(result), seen, task.strides_of(result))]
    inverse = Site(node.op_type, {}, (shape_of(source),), (dtype_of(source),))
    target = reshaped(inverse, shape_of(result), task.strides_of(result)) if definition.alias is reshaped else None
    if target is None:
        return lower_pointwise(task)
    return [copy(task, shape_of(source), Alias(task.strides_of(source)), target.strides)]


def copy(task: Task, shape: tuple[int, ...], walked: Alias, target: Strides) -> Lowered:
    """Elements of `shape` from where they lie in the operand's memory to the strides `target` in the result's."""
    operand, result = task.group.inputs[0], task.group.outputs[0]
    kernel = task.kernel("copy")
    x, y = Source(shape, dtype_of(operand), name="x"), Source(shape, dtype_of(result), name="y")
    x.bind(kernel.buffer(x.dtype, "x0"), walked.strides, task.spelled)
    y.bind(kernel.buffer(y.dtype, "y", "out"), target, task.spelled)
    x.offset = arg(walked.offset) if walked.offset else None
    units = emit_copy(kernel, x, y, walked.strides, target, task.open_extents)
    return Lowered(kernel, [operand, result], units, flop=elements(shape))


def emit_copy(kernel: Kernel, x: Source, y: Source, walked: Strides, target: Strides, open_extents: bool) -> int:
    """Loops that copy x, bound with the strides `walked`, to y of the same shape, bound with the strides `target`;
    returns the units."""
    shape = x.shape
    axes = merge_axes(memory_order(target, shape), shape, [walked, target])
    across = turned_axis(axes, walked, target, open_extents) if x.dtype == "f32" else None
    if across is None:
        return emit_loops(kernel, axes, len(shape), [(x, (y.memory, y))], not open_extents)
    return turn(kernel, axes, across, x, y)


def turned_axis(axes: list[Axis], walked: Strides, target: Strides, open_extents: bool) -> int | None:
    """Which of the axes lies side by side in the operand, where another one does in the result."""
    if len(axes) < 2 or target[axes[-1].dim] != 1 or walked[axes[-1].dim] in (0, 1):
        return None
    found = next((i for i, axis in enumerate(axes[:-1]) if walked[axis.dim] == 1), None)
    if found is None or (not open_extents and min(axes[found].extent, axes[-1].extent) <= NARROW):
        return None
    return found


def turn(kernel: Kernel, axes: list[Axis], across: int, x: Source, y: Source) -> int:
    """Units are blocks of the two dimensions that trade places, for each place in the others."""
    column, row = axes[across], axes[-1]
    blocks = [(row, ROWS, "rows"), (column, COLUMNS, "columns")]
    loops = [(axis, 1) for axis in axes[:-1] if axis is not column] + [(axis, block) for axis, block, _ in blocks]
    place: list[Expr] = [index(0)] * len(x.shape)
    with kernel.loop(kernel.hi, "u", start=kernel.lo) as unit:
        rest = unit
        for axis, block in reversed(loops):
            size = arg(-(-axis.extent // block))
            place[axis.dim] = kernel.let(rest % size * block, f"i{axis.dim}")
            rest = kernel.let(rest // size, "rest")
        rows, columns = (
            kernel.let(minimum(arg(axis.extent) - place[axis.dim], block), name) for axis, block, name in blocks
        )
        at = tuple(place)
        steps = x.strides[row.dim], y.strides[column.dim]
        args = (x.memory, x.position(at), steps[0], rows, columns, y.memory, y.position(at), steps[1])
        kernel.emit(CallC("fw_turn_f32", args))
    return prod(-(-axis.extent // block) for axis, block in loops)
