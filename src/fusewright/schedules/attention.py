"""softmax(f(Q K^T)) V for every head, as one kernel: scores are made for a few rows at a time and stay in the cache.

A unit of work is a block of rows of one head. Keys and values pass in blocks, which are packed into the thread's
scratch; a tile of rows makes its scores of the block, takes their exponentials and multiplies them with the values.
Where there are several blocks, each row keeps the maximum and the sum of what it has seen, and what was added up before
is scaled to the new maximum (online softmax; Milakov and Gimelshein, 2018; in blocks: Dao et al., 2022). So scratch is
bounded, whatever the number of keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from fusewright.graph.group import dtype_of, elements, shape_of
from fusewright.kernel.expr import SIZES, Buffer
from fusewright.kernel.tensor import Anchor, Source, walk
from fusewright.ops.registry import find
from fusewright.schedules.attention_loops import Attention, Blocks
from fusewright.schedules.contract import copied
from fusewright.schedules.epilogue import bind_epilogue
from fusewright.schedules.pointwise import aligned_strides
from fusewright.schedules.task import Lowered, Operand, Strides, Task
from fusewright.schedules.tile import TileShape, choose_tile, most_rows, tile_cost

BLOCK_ROWS = 256  # of a unit at most: packing keys and values for so many costs next to nothing
ROW_BYTES = 1 << 14  # of the scores of a tile: half of a first cache
EXPONENTIAL = 20  # operations that a score costs beside the products


@dataclass(frozen=True)
class Parts:
    """The nodes of a group that `passes.attention` has found, and its operands.

    q [.., rows, d], k [.., d, keys], v [.., keys, columns]; `guard` is what a row gets that has no score at all.
    """

    scores: ir.Value
    read: ir.Value
    before: list[ir.Node]
    behind: list[ir.Node]
    guard: float | None
    q: ir.Value
    k: ir.Value
    v: ir.Value


def take_apart(task: Task) -> Parts:
    """Nodes stand in execution order: scores, work on them, softmax, Where(IsNaN(p), c, p), product, epilogue."""
    nodes, product = task.group.nodes, task.group.anchor
    definitions = [find(n.domain, n.op_type) for n in nodes]
    middle = next(i for i, d in enumerate(definitions) if d is not None and d.softmax)
    end = nodes.index(product)
    guard = None
    if end > middle + 1:
        replacement = nodes[end - 1].inputs[1]
        array = None if replacement is None else task.array_of(replacement)
        guard = None if array is None else float(array.reshape(()))
    q, k, v, read = *nodes[0].inputs[:2], product.inputs[1], nodes[middle].inputs[0]
    if q is None or k is None or v is None or read is None:
        raise ValueError("attention lacks an operand")
    return Parts(nodes[0].outputs[0], read, nodes[1:middle], nodes[end + 1 :], guard, q, k, v)


def choose_blocks(task: Task, heads: int, rows: int, keys: int, depth: int, columns: int, dtype: str) -> Blocks:
    lanes, fixed = task.target.lanes, not task.open_extents
    tile = choose_tile(task.target, columns if fixed else None, rows if fixed else None)
    most = most_rows(task.target)[tile.vectors]
    if fixed:  # a tile is computed whole where rows end inside it
        tall = min(range(1, most + 1), key=lambda r: (-(-rows // r) * tile_cost(task.target, r, tile.vectors), -r))
        tile = TileShape(tall, tile.vectors)
    if dtype == "f64":  # half as many elements in a register, so half the rows
        tile = TileShape(max(1, tile.rows // 2), tile.vectors)
    size, width = SIZES[dtype], tile.vectors * lanes
    most_keys = min(ROW_BYTES // (tile.rows * size), task.target.l2_bytes // 4 // ((depth + columns) * size))
    most_keys = max(most_keys // width, 1) * width
    parted = -(-keys // most_keys)
    per_block = -(-keys // (parted * width)) * width
    blocks = -(-rows // BLOCK_ROWS)
    while heads * blocks % task.threads and rows > 4 * tile.rows * (blocks + 1):
        blocks += 1  # even shares for all threads
    per_unit = -(-rows // (blocks * tile.rows)) * tile.rows
    return Blocks(per_unit, per_block, -(-columns // lanes) * lanes, tile, fixed and parted == 1)


def lower_attention(task: Task) -> list[Lowered]:
    p = take_apart(task)
    lowered: list[Lowered] = []
    dtype, shape, out = dtype_of(p.scores), shape_of(p.scores), shape_of(task.group.anchor.outputs[0])
    operand_q: Operand = p.q
    strides_q = task.strides_of(p.q)
    if strides_q[-1] != 1 and shape_of(p.q)[-1] != 1:
        operand_q, strides_q, copy = copied(task, p.q, False)
        lowered.append(copy)
    depth = shape_of(p.q)[-1]
    heads = elements(shape[:-2])
    blocks = choose_blocks(task, heads, shape[-2], shape[-1], depth, out[-1], dtype)

    raw, weighted = Anchor(shape, dtype), Anchor(out, dtype)
    task.tensors[p.scores] = raw
    task.trace(p.before)
    scores = task.tensor(p.read)
    task.tensors[task.group.anchor.outputs[0]] = weighted
    task.trace(p.behind)
    kernel = task.kernel("attention")
    q, k, v = (kernel.buffer(dtype, name) for name in "qkv")
    read = task.bind_inputs(kernel, walk(scores))
    results = bind_epilogue(task, kernel, [task.tensor(value) for value in task.group.outputs])

    def side(value: ir.Value, strides: Strides, buffer: Buffer) -> Source:
        """An operand in the loops of the scores: batch dimensions that it lacks are walked in place."""
        own = shape_of(value)
        source = Source((*shape[:-2], *own[-2:]), dtype)
        source.bind(buffer, aligned_strides(strides[:-2], own[:-2], len(shape) - 2) + tuple(strides[-2:]))
        return source

    made = Attention(
        task, kernel, blocks, raw, scores, weighted, results, p.guard, side(p.q, strides_q, q),
        side(p.k, task.strides_of(p.k), k), side(p.v, task.strides_of(p.v), v),
    )  # fmt: skip
    units = made.emit()
    flop = heads * shape[-2] * shape[-1] * (2 * (depth + out[-1]) + EXPONENTIAL)
    operands = [operand_q, p.k, p.v, *read, *results.operands]
    lowered.append(Lowered(kernel, operands, units, flop, made.scratch_bytes))
    return lowered


SCHEDULES: Mapping[str, Callable[[Task], list[Lowered]]] = {"attention": lower_attention}
