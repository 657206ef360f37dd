"""y = [x0, x1, ...] along an axis: one kernel that copies each operand, in a loop nest of its own, to its place.

Units are positions of the loops outside of the axis; where there are none (batch 1, channels first), positions along
the axis itself, of which each operand takes the share that lies within it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fusewright.graph.group import elements, shape_of
from fusewright.kernel.expr import Expr, arg, index, maximum, minimum
from fusewright.kernel.loops import Kernel
from fusewright.kernel.tensor import Source, Tensor
from fusewright.kernel.vectorize import LANE, Vectorizer, vectorizable
from fusewright.schedules.pointwise import memory_order, merge_axes
from fusewright.schedules.task import Lowered, Task


@dataclass(frozen=True)
class Span:
    """The loop over a dimension: its first index and how many there are."""

    dim: int
    first: Expr
    length: Expr


def lower_concat(task: Task) -> list[Lowered]:
    node, result = task.group.anchor, task.group.outputs[0]
    shape = shape_of(result)
    axis = int(task.site(node).get("axis")) % len(shape)
    values = [v for v in node.inputs if v is not None]
    kernel = task.kernel("concat")
    tensors = [task.tensor(v) for v in values]
    operands = task.bind_inputs(kernel, list(dict.fromkeys(tensors)))
    _, place = task.bind_output(kernel, result)
    operands.append(result)

    order = memory_order(task.strides_of(result), shape)
    at = order.index(axis) if axis in order else 0
    outer, inner = order[:at], [d for d in order[at:] if d != axis]
    units = elements(tuple(shape[d] for d in outer))
    start = 0

    def copy_all(idx: list[Expr], along: bool) -> None:
        nonlocal start
        for value, tensor in zip(values, tensors, strict=True):
            own = shape_of(value)
            first, extent = arg(start), own[axis]
            start += extent
            if not elements(own):
                continue
            walks = [task.strides_of(result), task.strides_of(value)]
            spans: list[Span] = []
            together = inner
            if along:
                begin = kernel.let(maximum(kernel.lo - first, index(0)), "begin")
                end = kernel.let(minimum(kernel.hi - first, arg(extent)), "end")
                spans.append(Span(axis, begin, kernel.let(maximum(end - begin, index(0)), "length")))
            elif extent != 1:
                together = [axis, *inner]
            spans += [Span(a.dim, index(0), arg(a.extent)) for a in merge_axes(together, own, walks)]
            _copy(kernel, spans, idx, _pair(tensor, place, axis, first))

    if units == 1:
        copy_all([index(0)] * len(shape), True)
        units = shape[axis]
    else:
        with kernel.loop(kernel.hi, "u", start=kernel.lo) as unit:
            idx: list[Expr] = [index(0)] * len(shape)
            rest = unit
            for d in reversed(outer[1:]):
                idx[d] = kernel.let(rest % arg(shape[d]), f"i{d}")
                rest = kernel.let(rest // arg(shape[d]), "rest")
            idx[outer[0]] = rest
            copy_all(idx, False)
    return [Lowered(kernel, operands, units, flop=elements(shape))]


Pair = Callable[[Sequence[Expr]], tuple[Expr, Source, tuple[Expr, ...]]]


def _pair(tensor: Tensor, place: Source, axis: int, first: Expr) -> Pair:
    """From an operand's index: its element, and the place and index where it goes."""

    def pair(idx: Sequence[Expr]) -> tuple[Expr, Source, tuple[Expr, ...]]:
        target = tuple(i + first if d == axis else i for d, i in enumerate(idx))
        return tensor.at(tuple(idx)), place, target

    return pair


def _copy(kernel: Kernel, spans: list[Span], idx: list[Expr], pair: Pair) -> None:
    if not spans:
        value, place, target = pair(idx)
        kernel.store(place.memory, place.position(target), value)
        return
    span, deeper = spans[0], spans[1:]
    if deeper:
        with kernel.loop(span.length, "i") as i:
            _copy(kernel, deeper, _moved(idx, span, i), pair)
        return
    if vectorizable(pair(_moved(idx, span, LANE))[0]):

        def body(at: Expr, vectorize: Vectorizer) -> None:
            value, place, target = pair(_moved(idx, span, at))
            kernel.store_lanes(place.memory, place.position(target), value, vectorize)

        kernel.vector_loop(span.length, body)
        return
    with kernel.loop(span.length, "i") as i:
        value, place, target = pair(_moved(idx, span, i))
        kernel.store(place.memory, place.position(target), value)


def _moved(idx: list[Expr], span: Span, at: Expr) -> list[Expr]:
    made = list(idx)
    made[span.dim] = span.first + at
    return made


SCHEDULES = {"concat": lower_concat}
