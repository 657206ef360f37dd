"""Division by a constant, and several factors -> one multiplication"""

from __future__ import annotations

import numpy as np
import pytest

from fusewright.passes.multiply_once import MultiplyOnce

from .helpers import Outcome, rewrite

HEAD = (
    "g (float[3,5] x) => (float[3,5] y) <float six = {6}, float[1] a = {0.4}, float[1,1] b = {-2.5}, float[5] c,"
    " float zero = {0}, float[2] mixed = {1, 0}, float huge = {3e38}, float small = {1e-30}, float none = {nan}>"
)


def multiplied(body: str, head: str = HEAD) -> Outcome:
    return rewrite(f"{head} {{ {body} }}", MultiplyOnce())


@pytest.mark.parametrize("divisor", ["six", "a", "b", "c"])
def test_division(divisor: str) -> None:
    made = multiplied(f"y = Div(x, {divisor})")
    assert made.nodes == ["y = Mul (x, reciprocal)"]
    before = rewrite(f"{HEAD} {{ y = Div(x, {divisor}) }}").weight(divisor)
    np.testing.assert_array_equal(made.weight("reciprocal"), (1 / before.astype(np.float64)).astype(np.float32))


@pytest.mark.parametrize("inner", ["Mul(x, a)", "Mul(a, x)"])
@pytest.mark.parametrize("outer", ["Mul(t, b)", "Mul(b, t)"])
def test_two_factors(inner: str, outer: str) -> None:
    made = multiplied(f"t = {inner} y = {outer}")
    assert made.nodes == ["y = Mul (x, factor)"]
    assert made.weight("factor") == np.float32(np.float64(np.float32(0.4)) * -2.5)
    assert made.weight("factor").shape == (1, 1), "the result keeps its rank"


def test_a_row_of_them_is_one() -> None:
    """Of exporters that spell the hard form of x sigmoid(x), and a learnt scale behind it."""
    made = multiplied("s = Add(x, a) t = Mul(x, s) d = Div(t, six) e = Mul(d, a) y = Mul(b, e)")
    assert made.ops == ["Add", "Mul", "Mul"]


def test_powers_of_two_are_exact() -> None:
    head = "g (float[3,5] x) => (float[3,5] y) <float eight = {8}>"
    made = rewrite(f"{head} {{ y = Div(x, eight) }}", MultiplyOnce(), special=True)
    assert made.weight("reciprocal") == 0.125


DECIDES = "reads it, for which the last place may decide"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("y = Div(x, zero)", "the reciprocal is no normal number"),
        ("y = Div(x, none)", "the reciprocal is no normal number"),
        ("y = Div(x, huge)", "the reciprocal is no normal number"),
        ("t = Mul(x, huge) y = Mul(t, huge)", "the factor is no normal number"),
        ("t = Mul(x, small) y = Mul(t, small)", "the factor is no normal number"),
        ("t = Div(x, six) y = Floor(t)", f"Floor {DECIDES}"),
        ("t = Div(x, six) u = Add(t, a) v = Clip(u, zero, six) y = Round(v)", f"Round {DECIDES}"),
        ("t = Div(x, six) u = Cast<to=7>(t) y = Cast<to=1>(u)", f"Cast {DECIDES}"),
        ("t = Mul(x, a) u = Mul(t, b) c0 = Less(u, x) y = Cast<to=1>(c0)", f"Less {DECIDES}"),
        (
            "t = Div(x, six) u = Relu(t) k = ArgMax<axis=1, keepdims=1>(u) f = Cast<to=1>(k) y = Add(x, f)",
            f"ArgMax {DECIDES}",
        ),
    ],
)
def test_what_is_refused_has_a_reason(body: str, reason: str) -> None:
    made = multiplied(body)
    assert not made.changed
    assert made.reasons == [reason]


@pytest.mark.parametrize(
    "body",
    [
        "y = Div(six, x)",
        "y = Div(x, x)",
        "t = Mul(x, c) y = Mul(t, a)",  # as many numbers as before
        "t = Mul(x, x) y = Mul(t, a)",
        "t = Div(six, zero) y = Mul(x, t)",  # a constant, for FoldConstants
    ],
)
def test_stays(body: str) -> None:
    assert not multiplied(body).changed


def test_what_is_no_number_for_number_ends_the_search() -> None:
    made = multiplied("t = Div(x, six) s = Softmax(t) y = Round(s)")
    assert made.ops == ["Mul", "Softmax", "Round"]


def test_a_product_that_is_read_elsewhere_stays() -> None:
    head = HEAD.replace("(float[3,5] y)", "(float[3,5] y, float[3,5] t)")
    made = multiplied("t = Mul(x, a) y = Mul(t, b)", head)
    assert not made.changed
    assert made.reasons == ["an inner value is read elsewhere or is a graph output"]


@pytest.mark.parametrize("dtype", ["float16", "int64", "int32"])
def test_other_types_stay(dtype: str) -> None:
    head = f"g ({dtype}[3] x) => ({dtype}[3] y) <{dtype}[1] c = {{6}}>"
    assert not multiplied("t = Div(x, c) y = Mul(t, c)", head).changed


def test_double() -> None:
    made = multiplied("t = Div(x, c) y = Mul(t, c)", "g (double[3] x) => (double[3] y) <double[1] c = {6}>")
    assert made.ops == ["Mul"]
    np.testing.assert_allclose(made.weight("factor"), 1, rtol=1e-15)
