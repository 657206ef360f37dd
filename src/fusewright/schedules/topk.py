"""The k largest (or smallest) elements of each row with their positions: a C function on each row."""

from __future__ import annotations

import onnx_ir as ir

from fusewright.graph.group import dtype_of, elements, shape_of
from fusewright.kernel.expr import SIZES, Expr, Load, arg, index
from fusewright.kernel.loops import CallC, Kernel
from fusewright.kernel.tensor import Source
from fusewright.schedules.scatter import decompose
from fusewright.schedules.task import Lowered, Task


def lower_topk(task: Task) -> list[Lowered]:
    node = task.group.anchor
    source = node.inputs[0]
    if source is None:
        raise TypeError("TopK needs an operand")
    site = task.site(node)
    shape, rank = shape_of(source), len(shape_of(source))
    axis = int(site.get("axis")) % rank
    rows = [d for d in range(rank) if d != axis]
    kernel = task.kernel("topk")
    x = task.tensor(source)
    if not isinstance(x, Source):  # a spelled constant: one element
        x = task.sources[source] = task.tensors[source] = Source(shape, x.dtype)
    operands = task.bind_inputs(kernel, [x])
    k = site.shape[axis]
    taken = [v for v in node.outputs if v in task.group.outputs]
    bound = {v: task.bind_output(kernel, v)[1] for v in taken}
    values, places = (bound.get(v) or row_of_scratch(kernel, v, axis) for v in node.outputs)
    operands += taken
    heap = kernel.scratch("i64", k + -(-k * SIZES[x.dtype] // SIZES["i64"]), "heap")
    with kernel.loop(kernel.hi, "u", start=kernel.lo) as unit:
        idx = decompose(kernel, unit, [shape[d] for d in rows], "i")
        idx.insert(axis, index(0))
        call: list[Expr] = []
        for tensor in (x, values, places):
            first = tensor.at(tuple(idx))
            assert isinstance(first, Load)
            call += [first.index, tensor.strides[axis]]
        assert x.buffer is not None and values.buffer is not None and places.buffer is not None
        largest = index(1 if site.get("largest") else 0)
        kernel.emit(
            CallC(
                f"fw_topk_{x.dtype}",
                (
                    x.buffer, call[0], call[1], arg(shape[axis]), arg(k), largest,
                    values.buffer, call[2], call[3], places.buffer, call[4], call[5], heap,
                ),
            )
        )  # fmt: skip
    units = elements(tuple(shape[d] for d in rows)) if k else 0
    return [Lowered(kernel, operands, units, flop=elements(shape) * 4)]


def row_of_scratch(kernel: Kernel, value: ir.Value, axis: int) -> Source:
    """Where each row of a result goes that nothing reads."""
    shape, dtype = shape_of(value), dtype_of(value)
    row = Source(shape, dtype)
    row.bind(kernel.scratch(dtype, shape[axis], "unread"), [int(d == axis) for d in range(len(shape))])
    return row


SCHEDULES = {"topk": lower_topk}
