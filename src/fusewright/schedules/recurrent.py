"""LSTM, GRU, RNN -> the input's part of all steps as one product, then a kernel that walks the steps.

In the second kernel each vector of hidden units is computed from the products with the state and the cell's equations
at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from fusewright.graph.group import dtype_of, elements, shape_of
from fusewright.kernel.expr import SIZES, Expr, index
from fusewright.kernel.tensor import Anchor, Source
from fusewright.schedules.cells import GATES, activation_keys, directions_of, make_activation
from fusewright.schedules.contract import NO_LOOP, copied, packed_matrix
from fusewright.schedules.normal_form import Loop, Product
from fusewright.schedules.pack import emit_pack, pack_matrix
from fusewright.schedules.product import emit_product
from fusewright.schedules.recurrence import Shape
from fusewright.schedules.recurrent_walks import kind_of
from fusewright.schedules.task import Lowered, Operand, Pack, Task, Temp
from fusewright.schedules.tile import choose_tile


def lower_recurrent(task: Task) -> list[Lowered]:
    node = task.group.anchor
    site = task.site(node)
    x, w, r = node.inputs[:3]
    if x is None or w is None or r is None:
        raise ValueError(f"{node.op_type} needs an input and two weights")
    batch_first = bool(site.get("layout", 0))
    a, b, features = shape_of(x)
    steps, batch = (b, a) if batch_first else (a, b)
    shape = Shape(
        steps, batch, features, shape_of(r)[2], GATES[node.op_type], directions_of(site), batch_first
    )  # fmt: skip
    parts = Temp(elements((shape.directions, steps, batch, shape.gates * shape.hidden)) * SIZES[dtype_of(x)])
    lowered = project(task, x, w, shape, parts) if steps else []
    keys = activation_keys(site)
    # one kernel for both directions, so that two threads walk them at once, unless their activations differ
    walks = [[0, 1]] if len(keys) == 2 and keys[0] == keys[1] else [[d] for d in range(len(keys))]
    kind, rows = kind_of(task, shape, len(walks[0]), len(node.inputs) <= 4 or node.inputs[4] is None)
    weights, before = packed_state_weights(task, r, shape)
    lowered += before
    for directions in walks:
        part = Task(task.group, task.target, task.strides_of, task.array_of, task.open_extents, task.threads)
        clip = float(site.get("clip")) if site.get("clip") else None
        activations = [make_activation(k, clip) for k in keys[directions[0]]]
        outer = make_activation(keys[directions[0]][-1], None)
        made = kind(part, site, shape, directions, activations, outer, parts, weights, rows)
        lowered.append(made.lower())
    return lowered


def project(task: Task, x: ir.Value, w: ir.Value, shape: Shape, parts: Temp) -> list[Lowered]:
    """parts[direction, row, row, gate * hidden] = x . w^T for all steps."""
    lowered: list[Lowered] = []
    dtype, strides = dtype_of(x), task.strides_of(x)
    operand: Operand = x
    if strides[-1] != 1 and shape.features != 1:
        operand, strides, copy = copied(task, x, False)
        lowered.append(copy)
    fixed = not task.open_extents
    outer_rows, inner_rows = shape.rows()
    n = shape.gates * shape.hidden
    kernel = task.kernel("project")
    left = Source(shape_of(x), dtype, name="a")
    left.buffer = kernel.buffer(dtype, "a")
    right = kernel.buffer(dtype, "w")
    outer = [Loop(shape.directions, 0, 0, 1)] if shape.directions > 1 else []
    if inner_rows == 1 or strides[0] == inner_rows * strides[1]:  # one row after the other: one loop
        rows = Loop(outer_rows * inner_rows, 2, strides[0] if inner_rows == 1 else strides[1])
        outer_rows, inner_rows = 1, rows.extent
    else:
        rows = Loop(inner_rows, 2, strides[1])
        outer.append(Loop(outer_rows, 1, strides[0]))
    tile = choose_tile(task.target, n, rows.extent if fixed else None)
    width = tile.vectors * task.target.lanes
    weights, before = packed_matrix(task, w, True, width, (shape.directions,), shape.features, n)
    lowered += before
    per_direction = -(-n // width) * shape.features * width

    def right_at(outer_index: Sequence[Expr], n0: Expr) -> Expr:
        place = n0 * shape.features
        return place + outer_index[0] * per_direction if shape.directions > 1 else place

    raw = Anchor((shape.directions, outer_rows, inner_rows, n), dtype)
    product = Product(
        dtype=dtype, outer=outer, y=NO_LOOP, x=rows, taps=[], k=shape.features, n=n, n_dim=3, rank=4, left=left,
        tile=tile, right=right, right_at=right_at, right_step=index(width), right_partial=False, fixed=fixed,
        k_fixed=True, n_fixed=True, threads=task.threads, l2_bytes=task.target.l2_bytes, anchor=raw,
    )  # fmt: skip
    out = Source(raw.shape, dtype, name="parts")
    buffer = kernel.buffer(dtype, "parts", "out")
    out.bind(buffer, (outer_rows * inner_rows * n, inner_rows * n, n, 1))
    product.results.tensors.append((raw, buffer, out))
    units = emit_product(task, kernel, product)
    flop = 2 * shape.directions * outer_rows * inner_rows * n * shape.features
    lowered.append(Lowered(kernel, [operand, weights, parts], units, flop=flop, scratch=product.scratch_bytes))
    return lowered


def packed_state_weights(task: Task, r: ir.Value, shape: Shape) -> tuple[Operand, list[Lowered]]:
    """[direction * gate][vector of hidden units][state k][lane]."""
    lanes, hidden, matrices = task.target.lanes, shape.hidden, shape.directions * shape.gates
    if task.array_of(r) is not None:

        def make(weights: np.ndarray) -> np.ndarray:
            return pack_matrix(lanes)(weights.reshape(matrices, hidden, hidden).swapaxes(1, 2))

        return Pack(r, f"state {lanes} {shape.gates}", make), []
    dtype = dtype_of(r)
    kernel = task.kernel("pack_state")
    source = Source(shape_of(r), dtype, name="r")
    source.bind(kernel.buffer(dtype, "r"), task.strides_of(r))

    def element(matrix: Expr, k: Expr, n: Expr) -> Expr:
        return source.at((matrix // index(shape.gates), (matrix % index(shape.gates)) * hidden + n, k))

    units = emit_pack(kernel, dtype, element, (matrices, hidden, hidden), lanes)
    temp = Temp(matrices * -(-hidden // lanes) * lanes * hidden * SIZES[dtype])
    return temp, [Lowered(kernel, [r, temp], units, flop=matrices * hidden * hidden)]


SCHEDULES: Mapping[str, Callable[[Task], list[Lowered]]] = {"recurrent": lower_recurrent}
