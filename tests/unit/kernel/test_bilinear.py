"""Are the algorithms of Winograd's convolutions exact, and their sums spelled as the matrices say?"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from fusewright.kernel.expr import Load, index
from fusewright.kernel.interpret import interpret
from fusewright.kernel.loops import Define, Kernel
from fusewright.schedules.bilinear import (
    Bilinear,
    as_array,
    identity,
    possible,
    relative_error,
    sliding,
    stepping,
    transformed_filters,
)
from fusewright.schedules.winograd_sums import emit_sums
from fusewright.schedules.winograd_tiling import pack_filters

SIZES = [(m, r) for m, r in product(range(1, 7), range(1, 6)) if possible(m, r)]
sizes = pytest.mark.parametrize(("m", "r"), SIZES, ids=lambda v: str(v))


def applied(matrix: tuple[tuple[Fraction, ...], ...], x: list[Fraction]) -> list[Fraction]:
    return [sum((c * v for c, v in zip(row, x, strict=True)), Fraction(0)) for row in matrix]


@sizes
def test_products_at_points_slide_a_filter(m: int, r: int) -> None:
    """The identity is bilinear, so it holds if it does for all unit vectors."""
    a = sliding(m, r)
    assert a.n == m + r - 1 == len(a.filter) == len(a.input)
    for k, j in product(range(r), range(a.n)):
        g, d = [Fraction(int(i == k)) for i in range(r)], [Fraction(int(i == j)) for i in range(a.n)]
        products = [p * q for p, q in zip(applied(a.filter, g), applied(a.input, d), strict=True)]
        assert applied(a.output, products) == [Fraction(int(i + k == j)) for i in range(m)]


@pytest.mark.parametrize(("m", "r", "step"), [(2, 3, 2), (2, 5, 2), (3, 3, 2), (2, 7, 3), (1, 4, 2), (4, 3, 1)])
def test_products_of_each_phase_slide_a_filter_by_steps(m: int, r: int, step: int) -> None:
    a = stepping(m, r, step)
    assert a.n == (m - 1) * step + r == len(a.filter) == len(a.input)
    for k, j in product(range(r), range(a.n)):
        g, d = [Fraction(int(i == k)) for i in range(r)], [Fraction(int(i == j)) for i in range(a.n)]
        products = [p * q for p, q in zip(applied(a.filter, g), applied(a.input, d), strict=True)]
        assert applied(a.output, products) == [Fraction(int(i * step + k == j)) for i in range(m)]
    assert all(len({i % step for i, c in enumerate(row) if c}) == 1 for row in a.input)


@sizes
def test_coefficients_are_exact_in_float32(m: int, r: int) -> None:
    for matrix in (sliding(m, r).input, sliding(m, r).output):
        np.testing.assert_array_equal(as_array(matrix).astype(np.float32), as_array(matrix))


def test_too_many_points_are_refused() -> None:
    assert not possible(9, 3)
    with pytest.raises(ValueError, match=r"F\(9, 3\) needs 10 points"):
        sliding(9, 3)


def spelled(matrix: tuple[tuple[Fraction, ...], ...], x: np.ndarray) -> tuple[np.ndarray, int]:
    """`emit_sums` on vectors x[i], and the number of values that it named."""
    kernel = Kernel("sums", 4)
    source, target = kernel.buffer("f32", "x"), kernel.buffer("f32", "y", "out")
    values = [kernel.let(Load("f32", True, source, index(4 * i)), "x") for i in range(len(x))]
    for i, value in enumerate(emit_sums(kernel, matrix, values)):
        kernel.store(target, index(4 * i), value)
    y = np.zeros((len(matrix), 4), np.float32)
    interpret(kernel, {source: x.reshape(-1), target: y.reshape(-1)}, 1, 0, 1)
    return y, sum(isinstance(s, Define) for s in kernel.body) - len(x)


@sizes
def test_sums_are_what_the_matrices_say(m: int, r: int) -> None:
    a = sliding(m, r)
    for matrix in (a.input, a.output):
        x = np.random.default_rng(m).integers(-8, 8, (len(matrix[0]), 4)).astype(np.float32)
        np.testing.assert_allclose(spelled(matrix, x)[0], as_array(matrix) @ x, rtol=1e-6, atol=1e-5)


def test_points_of_opposite_sign_share_their_sums() -> None:
    a = sliding(4, 3)
    x = np.ones((6, 4), np.float32)
    assert spelled(a.input, x)[1] == 4  # even and odd parts of two pairs of rows
    assert spelled(a.output, x)[1] == 4  # sums and differences of two pairs of columns
    assert spelled(identity(3), x[:3])[1] == 0


def filters(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_filters_are_transformed_along_each_dimension() -> None:
    y, x, w = sliding(2, 3), sliding(4, 3), filters(5, 7, 3, 3)
    expected = np.einsum("ai,bj,ocij->abco", as_array(y.filter), as_array(x.filter), w)
    np.testing.assert_allclose(transformed_filters([y, x], w), expected.reshape(24, 7, 5), rtol=1e-12)


def test_panels_of_filters_end_in_zeros() -> None:
    y, x, w = sliding(2, 3), sliding(2, 3), filters(5, 7, 3, 3)
    packed = pack_filters(y, x, 4, w)
    assert packed.shape == (2, 16, 7, 4) and packed.dtype == np.float32
    np.testing.assert_array_equal(packed[1, :, :, 0], transformed_filters([y, x], w)[:, :, 4].astype(np.float32))
    assert not packed[1, :, :, 1:].any()


def test_errors_grow_with_the_tiles_and_are_zero_for_no_filter() -> None:
    def error(m: int, w: np.ndarray) -> float:
        a: Bilinear = sliding(m, 3)
        return relative_error([a, a], w)

    w = filters(64, 64, 3, 3)
    small, large, huge = error(2, w), error(4, w), error(6, w)
    assert 5e-8 < small < large < huge < 1e-5
    assert large < 1e-6
    assert error(4, np.zeros_like(w)) == 0
    by_steps = stepping(2, 3, 2)
    assert 5e-8 < relative_error([by_steps, by_steps], w) < large
