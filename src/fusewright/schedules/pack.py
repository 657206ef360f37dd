"""b[k, n] -> panels[n / R][k][n % R]: the right side of a product in the order of its reading, zeros at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from fusewright.kernel.expr import Expr, Op, arg, const, index
from fusewright.kernel.loops import Kernel
from fusewright.kernel.vectorize import LANE, Vectorizer

STEPS = 6  # along k that are multiplied together, four of them in pairs
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


def scales_of(x: np.ndarray, axis: int) -> np.ndarray:
    """The power of two that is about the size of x [any shape, float64] along `axis`, which stays with extent 1; 1 for
    zeros."""
    sizes = np.sqrt(np.mean(x**2, axis=axis, keepdims=True))
    scales: np.ndarray = np.exp2(np.round(np.log2(np.where(sizes > 0, sizes, 1))))
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


ORDERS = {"matrix": pack_matrix, "pairs": pack_pairs}


def emit_pack(
    kernel: Kernel,
    dtype: str,
    element: Callable[[Expr, Expr, Expr], Expr],
    shape: tuple[int, int, int],
    width: int,
) -> int:
    """Loops that pack `element(batch, k, n)` of extents `shape` into the output; returns the units (panels)."""
    batch, k_extent, n_extent = shape
    panels = -(-n_extent // width)
    out = kernel.buffer(dtype, "packed", "out")
    k_total, n_total, per_batch = arg(k_extent), arg(n_extent), arg(panels)
    with kernel.loop(kernel.hi, "u", start=kernel.lo) as u:
        b = kernel.let(u // per_batch, "b") if batch > 1 else index(0)
        n0 = kernel.let((u % per_batch if batch > 1 else u) * width, "n0")
        place = kernel.let(u * k_total * width, "place")
        with kernel.loop(k_total, "k") as k:
            for v in range(width // kernel.lanes):
                start = n0 + v * kernel.lanes
                at = place + k * width + v * kernel.lanes
                left = kernel.let(n_total - start, "left")
                with kernel.when(Op("bool", False, "ge", (left, index(kernel.lanes)))):
                    kernel.store(out, at, Vectorizer()(element(b, k, start + LANE)))
                with kernel.otherwise(), kernel.when(Op("bool", False, "gt", (left, index(0)))):
                    kernel.store(out, at, Vectorizer(left)(element(b, k, start + LANE)))
                with kernel.when(Op("bool", False, "le", (left, index(0)))):
                    kernel.store(out, at, Op(dtype, True, "splat", (const(0, dtype),)))
    return batch * panels
