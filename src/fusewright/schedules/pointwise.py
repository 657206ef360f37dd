"""y[i] = f(x[i], ...): elementwise chains and data movement, one pass over memory.

Loops run in the order of the output's memory. Neighbouring dimensions that every operand walks alike become one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fusewright.graph.group import elements, shape_of
from fusewright.kernel.expr import Buffer, Expr, Var, arg, index, minimum
from fusewright.kernel.loops import Kernel
from fusewright.kernel.tensor import Moved, Source, Tensor, walk
from fusewright.kernel.vectorize import Vectorizer, vectorizable
from fusewright.schedules.task import Lowered, Strides, Task

NARROW = 4  # an innermost extent up to which a vector would be mostly empty
CHUNK = 2048  # elements in a unit of a one-dimensional loop: large beside a call, small beside a thread's share


@dataclass
class Axis:
    """One loop: the logical dimension whose index it drives, and its extent (merged dimensions included)."""

    dim: int
    extent: int


def memory_order(strides: Strides, shape: tuple[int, ...]) -> list[int]:
    """Dimensions from the outermost in memory to the innermost, without those of extent 1."""
    dims = [d for d in range(len(shape)) if shape[d] != 1]
    return sorted(dims, key=lambda d: (-strides[d], d))


def merge_axes(order: list[int], shape: tuple[int, ...], walks: list[Strides]) -> list[Axis]:
    """Neighbours that all `walks` (strides of each operand, 0 where it is broadcast) step through as one, merged."""
    axes: list[Axis] = []
    for dim in order:
        if axes:
            outer = axes[-1]
            if all(w[outer.dim] == w[dim] * shape[dim] for w in walks):
                axes[-1] = Axis(dim, outer.extent * shape[dim])
                continue
        axes.append(Axis(dim, shape[dim]))
    return axes


def aligned_strides(strides: Strides, shape: tuple[int, ...], rank: int) -> Strides:
    """Strides of an operand in the loops of a result of `rank`: 0 where it is broadcast."""
    own = tuple(0 if d == 1 else s for s, d in zip(strides, shape, strict=True))
    return (0,) * (rank - len(shape)) + own


def lower_pointwise(task: Task) -> list[Lowered]:
    """One kernel for the outputs of each shape (operations like Split have several)."""
    shapes = list(dict.fromkeys(shape_of(v) for v in task.group.outputs if elements(shape_of(v))))
    if len({shape_of(v) for v in task.group.outputs}) == 1:
        return lower_one_shape(task)
    made: list[Lowered] = []
    for shape in shapes:
        part = replace(task.group, outputs=[v for v in task.group.outputs if shape_of(v) == shape])
        made += lower_one_shape(replace(task, group=part, sources={}, tensors={}))
    return made


def lower_one_shape(task: Task) -> list[Lowered]:
    group = task.group
    task.trace(group.nodes)
    kernel = task.kernel("pointwise")
    shape = shape_of(group.outputs[0])
    results = [task.tensor(v) for v in group.outputs]
    used = walk(*results)
    operands = task.bind_inputs(kernel, used)
    places = [task.bind_output(kernel, v) for v in group.outputs]
    in_order = not any(isinstance(t, Moved) for t in used)
    in_place = tuple(range(len(operands))) if in_order else ()
    operands += group.outputs
    order = memory_order(task.strides_of(group.outputs[0]), shape)
    if not in_order:
        axes = [Axis(d, shape[d]) for d in order]
    else:
        owner = {id(s): v for v, s in task.sources.items()}
        walks = [
            aligned_strides(task.strides_of(owner[id(t)]), t.shape, len(shape)) for t in used if isinstance(t, Source)
        ]
        walks += [task.strides_of(v) for v in group.outputs]
        axes = merge_axes(order, shape, walks)
    units = emit_loops(kernel, axes, len(shape), list(zip(results, places, strict=True)), not task.open_extents)
    return [Lowered(kernel, operands, units, flop=elements(shape) * max(1, len(group.nodes)), in_place=in_place)]


Placed = list[tuple[Tensor, tuple[Buffer, Source]]]


def emit_loops(kernel: Kernel, axes: list[Axis], rank: int, outputs: Placed, may_spell: bool = True) -> int:
    """Emit the loops over `axes`; returns the number of units. `may_spell` allows a narrow extent in the text."""
    inner = axes[-1] if axes else Axis(-1, 1)
    idx: list[Expr] = [index(0)] * rank
    extent = arg(inner.extent)
    if len(axes) <= 1:
        chunk = index(CHUNK)
        start = kernel.let(kernel.lo * chunk, "start")
        stop = kernel.let(minimum(kernel.hi * chunk, extent), "stop")
        emit_inner(kernel, idx, inner.dim, start, kernel.let(stop - start, "length"), outputs)
        return -(-inner.extent // CHUNK)
    narrow = may_spell and inner.extent <= NARROW and axes[-2].extent > inner.extent
    outer = axes[:-2] if narrow else axes[:-1]
    units = 1
    for axis in outer:
        units *= axis.extent
    with kernel.loop(kernel.hi, "u", start=kernel.lo) as unit:
        rest = unit
        for axis in reversed(outer[1:]):
            size = arg(axis.extent)
            idx[axis.dim] = kernel.let(rest % size, f"i{axis.dim}")
            rest = kernel.let(rest // size, "rest")
        if outer:
            idx[outer[0].dim] = rest
        if narrow:
            emit_narrow(kernel, idx, axes[-2], inner, outputs)
        else:
            emit_inner(kernel, idx, inner.dim, index(0), extent, outputs)
    return units


def emit_narrow(kernel: Kernel, idx: list[Expr], wide: Axis, narrow: Axis, outputs: Placed) -> None:
    """A short innermost dimension spelled out inside a loop over the next: the C compiler interleaves its vectors."""
    with kernel.loop(arg(wide.extent), "i") as i:
        for j in range(narrow.extent):
            place = list(idx)
            place[wide.dim], place[narrow.dim] = i, index(j)
            for tensor, (buffer, target) in outputs:
                kernel.store(buffer, target.position(tuple(place)), tensor.at(tuple(place)))


def emit_inner(kernel: Kernel, idx: list[Expr], dim: int, start: Expr, length: Expr, outputs: Placed) -> None:
    """The innermost loop, in vectors where every type has them."""

    def position(at: Expr) -> tuple[Expr, ...]:
        place = list(idx)
        if dim >= 0:
            place[dim] = start + at
        return tuple(place)

    probe = position(Var("i64", False, "i"))
    values = [tensor.at(probe) for tensor, _ in outputs]
    if all(vectorizable(v) for v in values):

        def body(at: Expr, vectorize: Vectorizer) -> None:
            place = position(at)
            for tensor, (buffer, target) in outputs:
                kernel.store_lanes(buffer, target.position(place), tensor.at(place), vectorize)

        kernel.vector_loop(length, body)
        return
    with kernel.loop(length, "i") as i:
        place = position(i)
        for tensor, (buffer, target) in outputs:
            kernel.store(buffer, target.position(place), tensor.at(place))
