"""MatMul(a * s, b) -> MatMul(a, b) * s"""

from __future__ import annotations

import pytest

from fusewright.passes.scale_after import ScaleAfter

from .helpers import rewrite

HEAD = "g (float[2,3,4] x, float[2,4,5] z) => (y) <float s = {0.125}, float[1] t = {3.0}, float[4] v, float[1,1,1,1] u>"


@pytest.mark.parametrize(
    "body, result",
    [
        ("a = Mul(x, s) y = MatMul(a, z)", ["y_inner = MatMul (x, z)", "y = Mul (y_inner, s)"]),
        ("a = Mul(t, x) y = MatMul(a, z)", ["y_inner = MatMul (x, z)", "y = Mul (y_inner, t)"]),
        ("a = Div(z, t) y = MatMul(x, a)", ["y_inner = MatMul (x, z)", "y = Div (y_inner, t)"]),
    ],
)
def test_number(body: str, result: list[str]) -> None:
    assert rewrite(f"{HEAD} {{ {body} }}", ScaleAfter()).nodes == result


def test_both_sides() -> None:
    text = f"{HEAD} {{ a = Mul(x, s) b = Mul(z, s) y = MatMul(a, b) }}"
    assert rewrite(text, ScaleAfter(), ScaleAfter()).ops == ["MatMul", "Mul", "Mul"]


@pytest.mark.parametrize(
    "body",
    [
        "a = Mul(x, v) y = MatMul(a, z)",  # one number for each column
        "a = Mul(x, u) y = MatMul(a, z)",  # would raise the rank of the result where it raised that of the operand
        "a = Div(s, x) y = MatMul(a, z)",  # not linear
    ],
)
def test_stays(body: str) -> None:
    assert not rewrite(f"{HEAD} {{ {body} }}", ScaleAfter()).changed


def test_scaled_operand_that_is_read_elsewhere_stays() -> None:
    text = f"{HEAD.replace('(y)', '(y, a)')} {{ a = Mul(x, s) y = MatMul(a, z) }}"
    assert not rewrite(text, ScaleAfter()).changed


def test_half_precision_stays() -> None:
    """The scale keeps the sums within its range."""
    text = "g (float16[2,3] x, float16[3,4] z) => (y) <float16[1] s> { a = Mul(x, s) y = MatMul(a, z) }"
    assert not rewrite(text, ScaleAfter()).changed
