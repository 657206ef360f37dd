"""MatMul and Gemm -> the normal form of `schedules.product`, with what follows them as epilogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from fusewright.graph.group import dtype_of, elements, shape_of
from fusewright.kernel.expr import SIZES, Expr, arg, index
from fusewright.kernel.tensor import Anchor, Moved, Source, Tensor
from fusewright.schedules.copy import emit_copy
from fusewright.schedules.epilogue import bind_epilogue, epilogue
from fusewright.schedules.normal_form import Loop, Product
from fusewright.schedules.pack import ORDERS, emit_pack
from fusewright.schedules.paired import pick_paired
from fusewright.schedules.paired_rows import InMemory, use_pairs
from fusewright.schedules.paired_tile import EXTRA_ROWS
from fusewright.schedules.pointwise import aligned_strides, merge_axes
from fusewright.schedules.product import emit_product
from fusewright.schedules.task import Lowered, Operand, Pack, Strides, Task, Temp
from fusewright.schedules.tile import TileShape, pick_tile

NO_LOOP = Loop(1, -1)
DIRECT_ROWS = 12  # two tiles: the second has its weights from the second cache
ROW_VECTORS = 8  # of a row that are read where they lie: lines of memory that follow each other
UNEVEN = -1  # a step that joins with no other


def epilogue_walks(task: Task, results: Sequence[Tensor], shape: tuple[int, ...]) -> list[Strides]:
    """How the epilogue's operands and the outputs step through the result's dimensions."""
    return [*(task.strides_of(v) for v in task.group.outputs), *operand_walks(task, results, shape)]


def operand_walks(task: Task, roots: Sequence[Tensor], shape: tuple[int, ...]) -> list[Strides]:
    """How what `roots` read steps through dimensions of `shape`; UNEVEN where that is no fixed step."""
    owner = {id(s): v for v, s in task.sources.items()}
    walks: list[Strides] = []
    seen: set[int] = set()
    stack = list(roots)
    while stack:
        t = stack.pop()
        if id(t) in seen or len(t.shape) > len(shape):
            continue
        seen.add(id(t))
        if isinstance(t, Source) and id(t) in owner:
            walks.append(aligned_strides(task.strides_of(owner[id(t)]), t.shape, len(shape)))
        elif isinstance(t, Moved):  # its operand lies along other dimensions: a bias, say, whose only one is channels
            walks.append(aligned_strides((UNEVEN,) * len(t.shape), t.shape, len(shape)))
        else:
            stack += t.inputs()
    return walks


def lower_matmul(task: Task) -> list[Lowered]:
    a, b = task.group.anchor.inputs[:2]
    if a is None or b is None:
        raise ValueError("MatMul needs two operands")
    return matrix_product(task, a, b, False, False, lambda raw: raw)


def lower_gemm(task: Task) -> list[Lowered]:
    node = task.group.anchor
    site = task.site(node)
    a, b = node.inputs[:2]
    c = node.inputs[2] if len(node.inputs) > 2 else None
    if a is None or b is None:
        raise ValueError("Gemm needs two operands")
    alpha, beta = float(site.get("alpha", 1.0)), float(site.get("beta", 1.0))

    def finish(raw: Tensor) -> Tensor:
        result = raw if alpha == 1.0 else raw * alpha
        if c is None or beta == 0.0:
            return result
        return result + (task.tensor(c) if beta == 1.0 else task.tensor(c) * beta)

    return matrix_product(task, a, b, bool(site.get("transA", 0)), bool(site.get("transB", 0)), finish)


def matrix_product(
    task: Task, a: ir.Value, b: ir.Value, trans_a: bool, trans_b: bool, finish: Callable[[Tensor], Tensor]
) -> list[Lowered]:
    shape_a, strides_a = shape_of(a), task.strides_of(a)
    shape_b = shape_of(b)
    if trans_a:
        shape_a, strides_a = shape_a[::-1], strides_a[::-1]
    vector_a, vector_b = len(shape_a) == 1, len(shape_b) == 1
    dtype = dtype_of(a)
    out_shape = shape_of(task.group.anchor.outputs[0])
    k = shape_a[-1]
    n = 1 if vector_b else (shape_b[-2] if trans_b else shape_b[-1])
    rank = len(out_shape)
    n_dim = -1 if vector_b else rank - 1
    batch_rank = rank - (0 if vector_a else 1) - (0 if vector_b else 1)
    raw = Anchor(out_shape, dtype)
    results = epilogue(task, finish(raw))
    lowered: list[Lowered] = []

    # the left side: k must lie with step 1
    if strides_a[-1] != 1 and k != 1:
        temp, strides_a, copy = copied(task, a, trans_a)
        lowered.append(copy)
        operand_a: Operand = temp
    else:
        operand_a = a
    full_a = _full_strides(shape_a[:-2], strides_a[:-2], batch_rank)
    row_a = () if vector_a else (strides_a[-2],)
    walk_a = full_a + row_a + (() if vector_b else (0,))

    array = task.array_of(b)
    batch_b = _full_shape(shape_b[:-2], batch_rank)
    constant = array is not None
    row_dims = [d for d in range(rank) if d != n_dim and out_shape[d] != 1]
    rows = elements(out_shape) // max(1, n * elements(batch_b))
    direct = not (constant or vector_b or trans_b or task.open_extents) and lies_in_rows(task, b, rows)
    batch_steps = _full_strides(shape_b[:-2], task.strides_of(b)[:-2], batch_rank) if direct else dense_steps(batch_b)
    walk_b = tuple(batch_steps) + (() if vector_a else (0,)) + (() if vector_b else (0,))
    axes = merge_axes(row_dims, out_shape, [walk_a, walk_b, *epilogue_walks(task, results, out_shape)])
    m_dim = None if vector_a else batch_rank
    x_axis = axes[-1] if axes and (axes[-1].dim == m_dim or walk_b[axes[-1].dim] == 0) else None
    outer_axes = axes[:-1] if x_axis is not None else axes
    x = Loop(x_axis.extent, x_axis.dim, walk_a[x_axis.dim]) if x_axis is not None else NO_LOOP
    outer = [Loop(ax.extent, ax.dim, walk_a[ax.dim], walk_b[ax.dim]) for ax in outer_axes]

    fixed = not task.open_extents
    n_fixed = fixed or constant
    steps = k if fixed or constant else 1
    pairs = None
    if len(shape_b) == 2:
        pairs = pick_paired(task, "matmul", array, x.extent if fixed else None, k, n, x.left)
    tile = pairs or pick_tile(task, f"matmul {dtype}", n if n_fixed else None, x.extent if fixed else None, steps)
    if direct and x.extent == 1 and dtype == "f32":
        tile = TileShape(1, min(ROW_VECTORS, -(-n // task.target.lanes)))
    if dtype == "f64":  # half as many elements in a register, so half the rows
        tile = TileShape(max(1, tile.rows // 2), tile.vectors)
    width = tile.vectors * task.target.lanes
    operand_b: Operand = b
    if not direct:
        operand_b, packing = packed_matrix(task, b, trans_b, width, batch_b, k, n, "pairs" if pairs else "matrix")
        lowered += packing

    kernel = task.kernel("matmul")
    left = Source(shape_a, dtype, name="a")
    left.buffer = kernel.buffer(dtype, "a")
    right = kernel.buffer(dtype, "b")
    k_e = index(k) if fixed or constant else arg(k)
    panel_rows = k_e + EXTRA_ROWS if pairs else k_e
    panel_elements = (index(-(-n // width)) if n_fixed else arg(-(-n // width))) * k_e * width

    def right_at(outer_index: Sequence[Expr], n0: Expr) -> Expr:
        place = n0 if direct else n0 * panel_rows
        for i, loop in zip(outer_index, outer, strict=True):
            if loop.right:
                step = index(loop.right) if fixed else arg(loop.right)
                place = place + i * (step if direct else step * panel_elements)
        return place

    product = Product(
        dtype=dtype, outer=outer, y=NO_LOOP, x=x, taps=[], k=k, n=n, n_dim=n_dim, rank=rank, left=left,
        tile=tile, right=right, right_at=right_at, right_partial=direct,
        right_step=arg(task.strides_of(b)[-2]) if direct else index(width),
        fixed=fixed, k_fixed=fixed or constant, n_fixed=n_fixed, threads=task.threads,
        l2_bytes=task.target.l2_bytes, anchor=raw,
    )  # fmt: skip
    if pairs:
        use_pairs(product, InMemory(product))
    product.results = bind_epilogue(task, kernel, results)
    operands: list[Operand] = [operand_a, operand_b, *product.results.operands]
    units = emit_product(task, kernel, product)
    flop = 2 * elements(out_shape) * k
    lowered.append(Lowered(kernel, operands, units, flop, product.scratch_bytes, in_place=product.results.read_at(2)))
    return lowered


def lies_in_rows(task: Task, b: ir.Value, rows: int) -> bool:
    """Whether a right side that is computed at run time is read where it lies: its columns lie side by side, and so few
    rows multiply it that packing would take longer than what it saves them."""
    return rows <= DIRECT_ROWS and task.strides_of(b)[-1] == 1


def _full_strides(shape: tuple[int, ...], strides: Strides, rank: int) -> Strides:
    return aligned_strides(strides, shape, rank)


def _full_shape(shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    return (1,) * (rank - len(shape)) + tuple(shape)


def dense_steps(shape: tuple[int, ...]) -> list[int]:
    """Steps along the dimensions of a row-major array; 0 where the extent is 1."""
    steps, step = [0] * len(shape), 1
    for d in range(len(shape) - 1, -1, -1):
        if shape[d] != 1:
            steps[d] = step
            step *= shape[d]
    return steps


def _matrix_packer(order: str, width: int, transposed: bool, vector: bool) -> Callable[[np.ndarray], np.ndarray]:
    pack = ORDERS[order](width)

    def make(b: np.ndarray) -> np.ndarray:
        matrix = b[:, None] if vector else np.swapaxes(b, -1, -2) if transposed else b
        return pack(matrix)

    return make


def copied(task: Task, a: ir.Value, transposed: bool) -> tuple[Temp, Strides, Lowered]:
    """A row-major copy of the left side, for when its k does not lie with step 1."""
    shape = shape_of(a)
    dtype = dtype_of(a)
    if transposed:
        shape = shape[::-1]
    kernel, strides = task.kernel("copy"), tuple(dense_steps(shape))
    walked = task.strides_of(a)[::-1] if transposed else task.strides_of(a)
    source, target = Source(shape, dtype, name="a"), Source(shape, dtype, name="copy")
    source.bind(kernel.buffer(dtype, "x0"), walked)
    target.bind(kernel.buffer(dtype, "y1", "out"), strides)
    units = emit_copy(kernel, source, target, walked, strides, task.open_extents)
    temp = Temp(elements(shape) * SIZES[dtype])
    return temp, strides, Lowered(kernel, [a, temp], units, flop=elements(shape))


def packed_matrix(
    task: Task, b: ir.Value, transposed: bool, width: int, batch: tuple[int, ...], k: int, n: int, order: str = "matrix"
) -> tuple[Operand, list[Lowered]]:
    """The right side in panels of `width` columns: packed at compile time where it is constant, else by a kernel;
    another `order` than the first of ORDERS is for constant ones."""
    if task.array_of(b) is not None:
        make = _matrix_packer(order, width, transposed, len(shape_of(b)) == 1)
        return Pack(b, f"{order} {width} {transposed}", make), []
    temp, lowered = packed_right(task, b, transposed, width, batch, k, n)
    return temp, [lowered]


def packed_right(
    task: Task, b: ir.Value, transposed: bool, width: int, batch: tuple[int, ...], k: int, n: int
) -> tuple[Temp, Lowered]:
    """A kernel that packs a right side which is computed at run time."""
    dtype = dtype_of(b)
    kernel = task.kernel("pack")
    source = Source(shape_of(b), dtype, name="b")
    source.bind(kernel.buffer(dtype, "b"), task.strides_of(b))
    matrices = elements(batch)
    own = shape_of(b)[:-2]
    sizes = [arg(d) if d != 1 else index(1) for d in own]

    def element(matrix: Expr, row: Expr, column: Expr) -> Expr:
        if len(source.shape) == 1:
            return source.at((row,))
        where: list[Expr] = []
        rest = matrix
        for size in reversed(sizes):
            where.append(rest % size)
            rest = rest // size
        inner = (column, row) if transposed else (row, column)
        return source.at((*reversed(where), *inner))

    units = emit_pack(kernel, dtype, element, (matrices, k, n), width)
    temp = Temp(matrices * -(-n // width) * k * width * SIZES[dtype])
    return temp, Lowered(kernel, [b, temp], units, flop=matrices * k * n)


SCHEDULES: Mapping[str, Callable[[Task], list[Lowered]]] = {
    "matmul": lower_matmul,
    "gemm": lower_gemm,
}
