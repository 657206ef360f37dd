"""b[k, n] -> panels[n / R][k][n % R]: the right side of a product in the order of its reading, zeros at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from fusewright.errors import InternalError
from fusewright.kernel.expr import Expr, Load, Op, Var, arg, const, index, is_const, maximum, minimum
from fusewright.kernel.loops import CallC, Kernel
from fusewright.kernel.vectorize import LANE, Vectorizer, coefficient

STEPS = 6  # along k that are multiplied together, four of them in pairs
PACKED_STEPS = 256  # along k in a unit of what is packed at run time
PACKED_PANELS = 8  # and panels: a row of these is some lines of memory that follow each other
PIECE = 48  # steps along k of which a row lies together: whole vectors


def pack_matrix(width: int) -> Callable[[np.ndarray], np.ndarray]:
    """Packs [..., K, N] into [..., ceil(N / width), K, width]."""

    def make(b: np.ndarray) -> np.ndarray:
        *batch, k, n = b.shape
        panels = -(-n // width)
        packed = np.zeros((*batch, panels, k, width), b.dtype)
        for p in range(panels):
            part = b[..., p * width : (p + 1) * width]
            packed[..., p, :, : part.shape[-1]] = part
        return packed

    return make


def pack_pairs(width: int) -> Callable[[np.ndarray], np.ndarray]:
    """Packs [..., K, N] into [..., ceil(N / width), K + 2, width] as `schedules.paired` reads it: rows in the order of
    their use, scaled columns, then what is to be subtracted from each sum, negated, and each column's scale."""

    def make(b: np.ndarray) -> np.ndarray:
        k = b.shape[-2]
        wide = b.astype(np.float64)
        scales = scales_of(wide, -2)
        scaled = wide / scales
        pairs = pairs_of(k)
        signs = [1 - 2 * (p % 2) for p in range(len(pairs))]  # what is subtracted should not add up
        products = [sign * scaled[..., i, :] * scaled[..., j, :] for sign, (i, j) in zip(signs, pairs, strict=True)]
        before = -np.sum(products, axis=0)[..., None, :]
        scaled[..., [step for pair in pairs[1::2] for step in pair], :] *= -1
        rows = scaled[..., order_of_use(k), :]
        return pack_matrix(width)(np.concatenate([rows, before, scales], axis=-2).astype(b.dtype))

    return make


def pack_twins(width: int) -> Callable[[np.ndarray], np.ndarray]:
    """As `pack_pairs`, but for the last panel, whose columns are at most half of `width`: each stands there twice, side
    by side, as two rows in turns are multiplied by it."""
    pairs = pack_pairs(width)

    def make(b: np.ndarray) -> np.ndarray:
        packed = pairs(b)
        packed[..., -1, :, :] = np.repeat(packed[..., -1, :, : width // 2], 2, axis=-1)
        return packed

    return make


def scales_of(x: np.ndarray, axis: int) -> np.ndarray:
    """The power of two that is the size of x [any shape, float64] along `axis`, or the next above, so that what is left
    is of size 1/2 to 1; the axis stays with extent 1. 1 for zeros."""
    sizes = np.sqrt(np.mean(x**2, axis=axis, keepdims=True))
    scales: np.ndarray = np.exp2(np.ceil(np.log2(np.where(sizes > 0, sizes, 1))))
    return scales


def turns_of(k: int) -> Iterator[tuple[int, int]]:
    """Where each piece of k begins, and how many pairs it holds: its steps lie in thirds, the first paired with the
    second, the last single."""
    for start in range(0, k - k % STEPS, PIECE):
        yield start, min(k - start, PIECE) // STEPS * 2


def pairs_of(k: int) -> list[tuple[int, int]]:
    """The pairs of steps along k that share a multiplication."""
    return [(start + i, start + half + i) for start, half in turns_of(k) for i in range(half)]


def order_of_use(k: int) -> list[int]:
    """Two pairs, then two single steps, and so on; what is left at the end."""
    order: list[int] = []
    for start, half in turns_of(k):
        for i in range(start, start + half, 2):
            order += (i, half + i, i + 1, half + i + 1, 2 * half + i, 2 * half + i + 1)
    return [*order, *range(len(order), k)]


ORDERS = {"matrix": pack_matrix, "pairs": pack_pairs, "twins": pack_twins}


Element = Callable[[Expr, Expr, Expr], Expr]


def emit_pack(kernel: Kernel, dtype: str, element: Element, shape: tuple[int, int, int], width: int) -> int:
    """Loops that pack `element(batch, k, n)` of extents `shape` into the output; returns the units: some steps along k
    of some panels, whose columns are read one behind the other."""
    batch, k_extent, n_extent = shape
    panels = -(-n_extent // width)
    parts, groups = -(-k_extent // PACKED_STEPS), -(-panels // PACKED_PANELS)
    out = kernel.buffer(dtype, "packed", "out")
    k_total, n_total, per_batch = arg(k_extent), arg(n_extent), arg(panels)
    turned = _column_step(element) if dtype == "f32" else None
    with kernel.loop(kernel.hi, "u", start=kernel.lo) as u:
        group, rest = kernel.let(u % arg(groups), "group"), kernel.let(u // arg(groups), "rest")
        b = kernel.let(rest // arg(parts), "b") if batch > 1 else index(0)
        k0 = kernel.let((rest % arg(parts) if batch > 1 else rest) * PACKED_STEPS, "k0")
        k1 = kernel.let(minimum(k0 + PACKED_STEPS, k_total), "k1")
        p0 = kernel.let(group * PACKED_PANELS, "p0")
        p1 = kernel.let(minimum(p0 + PACKED_PANELS, per_batch), "p1")

        def vectors(panel: Expr, k: Expr, store: Callable[[Expr, Expr, Expr], None]) -> None:
            """`store(position in the output, first column, how many there are)` for each vector of a panel's row."""
            place = kernel.let(((b * per_batch + panel) * k_total + k) * width, "place")
            for v in range(0, width, kernel.lanes):
                start = kernel.let(panel * width + v, "n")
                store(place + v, start, kernel.let(n_total - start, "left"))

        def turn(at: Expr, n: Expr, left: Expr) -> None:
            first = element(b, k0, n)
            if not isinstance(first, Load) or turned is None:
                raise InternalError("what is packed lies nowhere")
            rows = maximum(minimum(left, kernel.lanes), 0)
            args = (first.buffer, first.index, turned, rows, k1 - k0, out, at, index(width))
            kernel.emit(CallC("fw_transpose_f32", args))

        if turned is not None:
            with kernel.loop(p1, "p", start=p0) as panel:
                vectors(panel, k0, turn)
            return batch * parts * groups
        with kernel.loop(k1, "k", start=k0) as k, kernel.loop(p1, "p", start=p0) as panel:

            def copy(at: Expr, n: Expr, left: Expr) -> None:
                with kernel.when(Op("bool", False, "ge", (left, index(kernel.lanes)))):
                    kernel.store(out, at, Vectorizer()(element(b, k, n + LANE)))
                with kernel.otherwise(), kernel.when(Op("bool", False, "gt", (left, index(0)))):
                    kernel.store(out, at, Vectorizer(left)(element(b, k, n + LANE)))
                with kernel.when(Op("bool", False, "le", (left, index(0)))):
                    kernel.store(out, at, Op(dtype, True, "splat", (const(0, dtype),)))

            vectors(panel, k, copy)
    return batch * parts * groups


def _column_step(element: Element) -> Expr | None:
    """The step from one column to the next of a matrix in memory whose steps along k lie side by side."""
    k, n = Var("i64", False, "k"), Var("i64", False, "n")
    probe = element(index(0), k, n)
    if not isinstance(probe, Load):
        return None
    along, across = coefficient(probe.index, k), coefficient(probe.index, n)
    if along is None or across is None or not is_const(along, 1) or is_const(across, 1):
        return None
    return across
