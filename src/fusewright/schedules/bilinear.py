"""Which few products give m outputs of a sliding filter of r taps? y = A (G g * B d): three small matrices.

The direct way takes m * r products. Toom and Cook's way evaluates two polynomials at n = m + r - 1 points, infinity
among them, multiplies there and interpolates; transposed, it slides a filter with n products (Winograd, "Arithmetic
Complexity of Computations", 1980, chapter 5; Lavin and Gray, 2016, for convolutions). One algorithm serves one
dimension; in space it is applied along each. All is exact until the matrices are rounded.

A filter that takes steps of s is s filters of fewer taps, each of which slides over every s-th input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

Matrix = tuple[tuple[Fraction, ...], ...]

# The finite points, by their number. Points of opposite sign share half of their sums. Powers of 0.75 and 1.5 stay
# closer to 1 than those of 1 and 2: with four outputs and three taps the error is less than half (see
# docs/performance.md). All coefficients are exact in float32.
_HALF, _NEAR, _FAR = Fraction(1, 2), Fraction(3, 4), Fraction(3, 2)
POINTS: dict[int, tuple[Fraction | int, ...]] = {
    1: (0,),
    2: (0, 1),
    3: (0, 1, -1),
    4: (0, _NEAR, -_NEAR, _FAR),
    5: (0, _NEAR, -_NEAR, _FAR, -_FAR),
    6: (0, 1, -1, 2, -2, _HALF),
    7: (0, 1, -1, 2, -2, _HALF, -_HALF),
}


@dataclass(frozen=True)
class Bilinear:
    """y = `output` (`filter` g * `input` d) for m outputs, `step` inputs apart, r taps, and n inputs: m x n, n x r,
    n x n."""

    m: int
    r: int
    output: Matrix
    filter: Matrix
    input: Matrix
    step: int = 1

    @property
    def n(self) -> int:
        """Inputs of one piece, which are also its products."""
        return (self.m - 1) * self.step + self.r


def possible(m: int, r: int) -> bool:
    """Whether `sliding` has points for F(m, r)."""
    return r == 1 or m + r - 2 in POINTS


@lru_cache
def sliding(m: int, r: int) -> Bilinear:
    """The algorithm F(m, r).

    Raises ValueError where it would need more points than `POINTS` has: its errors would be large.
    """
    if r == 1:
        return Bilinear(m, 1, identity(m), tuple((Fraction(1),) for _ in range(m)), identity(m))
    if not possible(m, r):
        raise ValueError(f"F({m}, {r}) needs {m + r - 2} points")
    points = [Fraction(p) for p in POINTS[m + r - 2]]
    others = [[b for b in points if b != a] for a in points]
    scales = [_product(a - b for b in rest) for a, rest in zip(points, others, strict=True)]
    output = [(*(a**i for a in points), Fraction(int(i == m - 1))) for i in range(m)]
    filters = [tuple(a**j / s for j in range(r)) for a, s in zip(points, scales, strict=True)]
    filters.append(tuple(Fraction(int(j == r - 1)) for j in range(r)))
    inputs = [(*_polynomial(rest), Fraction(0)) for rest in others] + [_polynomial(points)]
    return Bilinear(m, r, tuple(output), tuple(filters), tuple(inputs))


@lru_cache
def stepping(m: int, r: int, step: int) -> Bilinear:
    """m outputs of a filter of r taps, `step` inputs apart, r >= step. Product i reads inputs i mod `step` alone.

    Raises ValueError as `sliding` does.
    """
    if step == 1:
        return sliding(m, r)
    n = (m - 1) * step + r
    output, filters, inputs = _zeros(m, n), _zeros(n, r), _zeros(n, n)
    for phase in range(step):
        part = sliding(m, -(-(r - phase) // step))
        for k in range(part.n):
            i = k * step + phase
            filters[i][phase::step] = part.filter[k]
            inputs[i][phase::step] = part.input[k]
            for row, own in zip(output, part.output, strict=True):
                row[i] = own[k]
    return Bilinear(m, r, _matrix(output), _matrix(filters), _matrix(inputs), step)


def _zeros(rows: int, columns: int) -> list[list[Fraction]]:
    return [[Fraction(0)] * columns for _ in range(rows)]


def _matrix(rows: Sequence[Sequence[Fraction]]) -> Matrix:
    return tuple(tuple(row) for row in rows)


def identity(n: int) -> Matrix:
    return tuple(tuple(Fraction(int(i == j)) for j in range(n)) for i in range(n))


def as_array(matrix: Matrix) -> np.ndarray:
    """In float64."""
    return np.array([[float(c) for c in row] for row in matrix])


def transformed_filters(algorithms: Sequence[Bilinear], w: np.ndarray) -> np.ndarray:
    """Filters [co, ci, taps...] -> [product, ci, co], the products of all dimensions, in float64."""
    matrix = np.ones((1, 1))
    for algorithm in algorithms:
        matrix = np.kron(matrix, as_array(algorithm.filter))
    co, ci = w.shape[:2]
    by_tap = w.reshape(co, ci, -1).astype(np.float64).transpose(2, 1, 0)
    made: np.ndarray = matrix @ by_tap.reshape(matrix.shape[1], -1)
    return made.reshape(-1, ci, co)


def relative_error(
    algorithms: Sequence[Bilinear],
    w: np.ndarray,
    multiply: Callable[[np.ndarray, np.ndarray], np.ndarray] = np.matmul,
    *,
    pieces: int = 4,
    outputs: int = 32,
) -> float:
    """The root of the mean squared error of float32 arithmetic for the filters `w` [co, ci, taps...], by that of the
    results: on random inputs of one sign (as behind a Relu), for some pieces and outputs; `multiply` does as the
    products are done."""
    rng = np.random.default_rng(0)
    w = w[:: -(-len(w) // outputs)]
    shape = [a.n for a in algorithms]
    d = rng.random((pieces, w.shape[1], *shape), np.float32)
    v, exact = d, d.astype(np.float64)
    for axis, a in enumerate(algorithms, start=2):
        v = _along(as_array(a.input).astype(np.float32), v, axis)
    rows = v.reshape(*v.shape[:2], -1).transpose(2, 0, 1)
    products = multiply(rows, transformed_filters(algorithms, w).astype(np.float32))
    y = products.transpose(1, 2, 0).reshape(pieces, len(w), *shape)
    for axis, a in enumerate(algorithms, start=2):
        y = _along(as_array(a.output).astype(np.float32), y, axis)
    axes = tuple(range(2, 2 + len(algorithms)))
    windows = np.lib.stride_tricks.sliding_window_view(exact, [a.r for a in algorithms], axis=axes)
    windows = windows[(slice(None), slice(None), *(slice(None, None, a.step) for a in algorithms))]
    m = [a.m for a in algorithms]
    pixels = np.moveaxis(windows, 1, 1 + len(m)).reshape(pieces * int(np.prod(m)), -1)
    right = (pixels @ w.reshape(len(w), -1).T.astype(np.float64)).reshape(pieces, *m, len(w))
    right = np.moveaxis(right, -1, 1)
    size = float(np.sqrt(np.mean(right**2)))
    return float(np.sqrt(np.mean((y - right) ** 2))) / size if size > 0 else 0.0


def _along(matrix: np.ndarray, x: np.ndarray, axis: int) -> np.ndarray:
    return np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis)


def _product(factors: Iterable[Fraction]) -> Fraction:
    result = Fraction(1)
    for f in factors:
        result *= f
    return result


def _polynomial(roots: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """The coefficients of the product of (x - root), the constant one first."""
    result = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *result]
        result = [s - root * c for s, c in zip(shifted, [*result, Fraction(0)], strict=True)]
    return tuple(result)
