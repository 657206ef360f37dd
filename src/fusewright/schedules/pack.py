"""b[k, n] -> panels[n / R][k][n % R]: the right side of a product in the order of its reading, zeros at the end."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fusewright.kernel.expr import Expr, Op, arg, const, index
from fusewright.kernel.loops import Kernel
from fusewright.kernel.vectorize import LANE, Vectorizer


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
