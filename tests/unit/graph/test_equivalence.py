"""A comparison that finds nothing when there is something would make every other test worthless."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fusewright.errors import InternalError
from fusewright.graph.equivalence import compare, random_inputs, relative_error
from fusewright.graph.text import parse_model

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("expected", "got", "error"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([1.0, 2.0], [1.0, 2.5], 0.25),
        ([0.0, 0.0], [0.0, 0.1], INF),
        ([NAN, 1.0], [NAN, 1.0], 0.0),
        ([NAN, 1.0], [1.0, 1.0], INF),
        ([INF, 1.0], [-INF, 1.0], INF),
        ([1.0, 1.0], [NAN, 1.0], INF),
        ([1.0, 1.0], [INF, 1.0], INF),
        ([], [], 0.0),
    ],
)
def test_relative_error(expected: list[float], got: list[float], error: float) -> None:
    assert relative_error(np.array(expected, np.float32), np.array(got, np.float32)) == pytest.approx(error)


def test_type_and_shape_matter() -> None:
    assert relative_error(np.ones(2, np.float32), np.ones(2, np.float64)) == INF
    assert relative_error(np.ones(2, np.float32), np.ones((2, 1), np.float32)) == INF
    assert relative_error(np.array([True]), np.array([False])) == INF
    assert relative_error(np.array([5], np.uint8), np.array([4], np.uint8)) == pytest.approx(0.2)


def test_compare() -> None:
    one = parse_model("g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { y = Mul(x, w) }")
    two = parse_model("g (float[2] x) => (float[2] y) <float[2] w = {1, 2.5}> { y = Mul(x, w) }")
    other = parse_model("g (float[2] x) => (float[2] z) <float[2] w = {1, 2}> { z = Mul(x, w) }")
    inputs = {"x": np.ones(2, np.float32)}
    assert compare(one, one, inputs) == 0
    assert compare(one, two, inputs) == pytest.approx(0.25)
    assert compare(one, other, inputs) == INF


def test_random_inputs() -> None:
    model = parse_model("g (float[2,3] x, int64[4] i, bool[5] b) => (y) { y = Neg(x) }")
    inputs = random_inputs(model)
    assert {name: (array.dtype.name, array.shape) for name, array in inputs.items()} == {
        "x": ("float32", (2, 3)),
        "i": ("int64", (4,)),
        "b": ("bool", (5,)),
    }
    with pytest.raises(InternalError, match=r"'x'"):
        random_inputs(parse_model("g (float[N] x) => (y) { y = Neg(x) }"))
