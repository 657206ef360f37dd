"""Which elements does each element of a resized tensor come from, with which weights?

Scales and sizes are known before the run, so positions and weights of each axis are computed here, in double
precision, and the kernel reads them from tables: y[i] = sum over taps k of w[k, i] x[p[k, i]], axis by axis. All
modes differ in their tables only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusewright.kernel import expr as E
from fusewright.kernel.expr import FLOATS, Expr, const, index, select
from fusewright.kernel.tensor import Index, Moved, Table, Tensor
from fusewright.ops.opdef import Kind, OpDef, Site

Array = np.ndarray[Any, Any]
MAX_TAPS = 256  # terms of one element's sum, over all axes; the kernel spells each
INTEGER_LIMITS = {"i8": (-128, 127), "u8": (0, 255), "i16": (-(2**15), 2**15 - 1), "u16": (0, 2**16 - 1)}


@dataclass(frozen=True)
class Axis:
    """Positions and weights [taps, extent] of one resized axis; `outside` marks what is extrapolated."""

    dim: int
    positions: Array
    weights: Array
    outside: Array | None


def resize(site: Site, x: Tensor, *_: Tensor | None) -> Tensor:
    axes = _axes(site, x.shape)
    whole = all(a.positions.shape[0] == 1 and a.outside is None for a in axes)  # elements are picked, not summed
    wide = x.dtype if whole else "f64" if x.dtype in ("f64", "i64", "i32", "u32", "u64") else "f32"
    tables = [_tables(a, wide) for a in axes]
    outside_value = float(site.get("extrapolation_value"))

    def gathered(idx: Index, inner: tuple[Expr, ...], remaining: int) -> Expr:
        """The sum over the taps of axes[remaining - 1], ..., axes[0]; `inner` holds what is chosen already."""
        if remaining == 0:
            return E.cast(x.at(inner), wide)
        axis, (positions, weights, _) = axes[remaining - 1], tables[remaining - 1]
        total: Expr | None = None
        for k in range(axis.positions.shape[0]):
            at = (index(k), idx[axis.dim])
            chosen = (*inner[: axis.dim], positions.at(at), *inner[axis.dim + 1 :])
            value = gathered(idx, chosen, remaining - 1)
            if weights is not None:
                value = value * weights.at(at)
            total = value if total is None else total + value
        assert total is not None
        return total

    def element(idx: Index) -> Expr:
        value = gathered(idx, idx, len(axes))
        for axis, (_, _, outside) in zip(axes, tables, strict=True):
            if outside is not None:
                value = select(outside.at((idx[axis.dim],)), const(outside_value, value.dtype), value)
        return _narrow(value, x.dtype)

    sources = (x, *(t for group in tables for t in group if t is not None))
    return Moved(site.shape, x.dtype, element=element, sources=sources, name="resize")


def _narrow(value: Expr, dtype: str) -> Expr:
    """The result in the operand's dtype; integers are rounded, and held within their range."""
    if value.dtype == dtype or dtype in FLOATS:
        return E.cast(value, dtype)
    value = E.op("round", value)
    if dtype in INTEGER_LIMITS:
        low, high = INTEGER_LIMITS[dtype]
        value = E.minimum(E.maximum(value, float(low)), float(high))
    return E.cast(value, dtype)


def _tables(axis: Axis, dtype: str) -> tuple[Table, Table | None, Table | None]:
    positions = Table(axis.positions.shape, "i64", name="positions", array=axis.positions)
    weights = outside = None
    if axis.positions.shape[0] > 1 or axis.outside is not None:
        kind = np.float64 if dtype == "f64" else np.float32
        weights = Table(axis.weights.shape, dtype, name="weights", array=axis.weights.astype(kind))
    if axis.outside is not None:
        outside = Table(axis.outside.shape, "bool", name="outside", array=axis.outside)
    return positions, weights, outside


# -- tables ---------------------------------------------------------------------------------------------------------
def _axes(site: Site, shape: tuple[int, ...]) -> list[Axis]:
    """Every axis that is resized, with its table."""
    rank = len(shape)
    given = site.get("axes")
    dims = list(range(rank)) if given is None else [int(a) % rank for a in given]
    scales = _scales(site, [shape[d] for d in dims])
    roi = site.constants.get(1)
    crops = site.get("coordinate_transformation_mode") == "tf_crop_and_resize"
    made = []
    for k, (d, scale) in enumerate(zip(dims, scales, strict=True)):
        window = (float(roi[k]), float(roi[k + len(dims)])) if crops and roi is not None else (0.0, 1.0)
        if math.isclose(scale, 1.0) and site.shape[d] == shape[d] and window == (0.0, 1.0):
            continue
        made.append(_axis(site, d, shape[d], scale, window))
    return made


def _scales(site: Site, extents: Sequence[int]) -> list[float]:
    scales = site.constants.get(2)
    if scales is not None and scales.size:
        return [float(s) for s in scales]
    sizes = site.ints(3) or []
    ratios = [s / e if e else 1.0 for s, e in zip(sizes, extents, strict=True)]
    policy = site.get("keep_aspect_ratio_policy")
    if policy == "stretch":
        return ratios
    return [min(ratios) if policy == "not_larger" else max(ratios)] * len(ratios)


def _axis(site: Site, dim: int, extent: int, scale: float, window: tuple[float, float]) -> Axis:
    result = site.shape[dim]
    x = original_positions(site.get("coordinate_transformation_mode"), result, extent, scale, window)
    mode = site.get("mode")
    outside = None
    if site.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        outside = (x < 0) | (x > extent - 1)
    if mode == "nearest":
        positions = _nearest(site.get("nearest_mode"), x)[None, :]
        weights = np.ones(positions.shape)
    else:
        shrink = min(scale, 1.0) if site.get("antialias") else 1.0
        positions, weights = _taps(mode, x, shrink, float(site.get("cubic_coeff_a")))
        if site.get("exclude_outside"):
            weights = np.where((positions < 0) | (positions >= extent), 0.0, weights)
            total = weights.sum(axis=0)
            weights = weights / np.where(total == 0, 1.0, total)
    return Axis(dim, np.clip(positions, 0, max(extent - 1, 0)).astype(np.int64), weights, outside)


def original_positions(mode: str, result: int, extent: int, scale: float, window: tuple[float, float]) -> Array:
    """Where each of `result` elements lies in the operand, as a real number (ONNX, Resize)."""
    y = np.arange(result, dtype=np.float64)
    length = scale * extent
    if mode == "align_corners":
        return np.zeros(result) if length == 1 else y * (extent - 1) / (length - 1)
    if mode == "asymmetric":
        return y / scale
    if mode == "pytorch_half_pixel" and length == 1:
        return np.full(result, -0.5)
    if mode == "tf_crop_and_resize":
        start, end = window
        if length == 1:
            return np.full(result, (start + end) * (extent - 1) / 2)
        return y * (end - start) * (extent - 1) / (length - 1) + start * (extent - 1)
    x = (y + 0.5) / scale - 0.5
    if mode == "half_pixel_symmetric":
        x = x + extent / 2 * (1 - result / length)
    return x


def _nearest(mode: str, x: Array) -> Array:
    if mode == "floor":
        return np.floor(x)
    if mode == "ceil":
        return np.ceil(x)
    if mode == "round_prefer_ceil":
        return np.floor(x + 0.5)
    return np.ceil(x - 0.5)


def _taps(mode: str, x: Array, shrink: float, a: float) -> tuple[Array, Array]:
    """Positions and weights of the filter around x, stretched by 1 / `shrink` when it guards against aliasing."""
    radius = 2 if mode == "cubic" else 1
    base = np.ceil(x) - 1  # x lies in (base, base + 1]
    first = math.floor(-radius / shrink) + 1
    offsets = np.arange(first, 2 - first, dtype=np.float64)[:, None]
    distance = np.abs(offsets - (x - base)[None, :]) * shrink
    weights = _cubic(distance, a) if mode == "cubic" else np.maximum(1 - distance, 0)
    if shrink < 1:
        weights = weights / weights.sum(axis=0)
    return base[None, :] + offsets, weights


def _cubic(d: Array, a: float) -> Array:
    """The convolution kernel of Keys (1981) with the parameter a."""
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((d - 5) * d + 8) * d * a - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def supported(site: Site) -> str | None:
    if site.inputs[0] is None:
        return None
    shape = site.inputs[0][1]
    if 0 in shape:
        return None
    taps = math.prod(a.positions.shape[0] for a in _axes(site, shape))
    return f"each element would be a sum of {taps} terms, the limit is {MAX_TAPS}" if taps > MAX_TAPS else None


OPS = (OpDef("Resize", Kind.MOVEMENT, resize, constants=(1, 2, 3), supports=supported),)
