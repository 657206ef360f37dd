"""Do expressions that simplify themselves keep their value, and do nodes refuse what has no meaning?"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusewright.kernel.expr import (
    MINUS_LN2,
    Arg,
    Const,
    Expr,
    Load,
    Number,
    Op,
    Var,
    all_of,
    arg,
    binary,
    cast,
    children,
    const,
    index,
    is_const,
    known,
    loads,
    maximum,
    minimum,
    op,
    select,
)
from fusewright.kernel.interpret import interpret
from fusewright.kernel.loops import Kernel
from fusewright.kernel.vectorize import LANE, coefficient, substitute

OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "floordiv": lambda a, b: a // b,
    "floormod": lambda a, b: a % b,
    "min": min,
    "max": max,
}
Tree = tuple[str, "Tree", "Tree"] | tuple[str, int]  # of an operation, or of a leaf
X, Y = Var("i64", False, "x"), Var("i64", False, "y")
LEAVES: dict[str, Callable[[int], Expr]] = {"const": index, "arg": arg, "x": lambda _: X, "y": lambda _: Y}

leaves = st.tuples(st.sampled_from(["const", "const", "arg", "x", "y"]), st.integers(0, 5))
trees: st.SearchStrategy[Tree] = st.recursive(
    leaves, lambda inner: st.tuples(st.sampled_from(sorted(OPERATIONS)), inner, inner), max_leaves=12
)


def plain(tree: Tree, values: dict[str, int]) -> int | None:
    """Its value without any simplification; None where it divides by what is not positive."""
    if len(tree) == 2:
        return values.get(tree[0], tree[1])
    a, b = plain(tree[1], values), plain(tree[2], values)
    if a is None or b is None or ("floor" in tree[0] and (b <= 0 or a < 0)):
        return None
    return OPERATIONS[tree[0]](a, b)


def build(tree: Tree) -> Expr:
    return LEAVES[tree[0]](tree[1]) if len(tree) == 2 else binary(tree[0], build(tree[1]), build(tree[2]))


def evaluate(e: Expr, values: dict[str, int]) -> int:
    """By the interpreter: a kernel that stores it."""
    kernel = Kernel("evaluate", 4)
    out = kernel.buffer("i64", "out", "out")
    bound = {X: kernel.let(arg(values["x"]) + 0, "x"), Y: kernel.let(arg(values["y"]) + 0, "y")}
    for variable, value in bound.items():
        e = substitute(e, variable, value)
    kernel.store(out, index(0), e)
    result = np.zeros(1, np.int64)
    interpret(kernel, {out: result}, 1)
    return int(result[0])


@given(trees, st.integers(0, 9), st.integers(1, 9))
def test_simplified_and_plain_agree(tree: Tree, x: int, y: int) -> None:
    values = {"x": x, "y": y}
    expected = plain(tree, values)
    if expected is not None:
        assert evaluate(build(tree), values) == expected


@given(trees)
def test_what_is_known_without_running_is_right(tree: Tree) -> None:
    e, expected = build(tree), plain(tree, {"x": 3, "y": 7})
    if expected is None:
        return
    value = known(e)
    if value is not None:
        assert value == expected
    if isinstance(e, Const):
        assert value == e.value


@given(trees, st.integers(0, 9), st.integers(1, 9))
def test_a_coefficient_is_the_difference_from_step_to_step(tree: Tree, x: int, y: int) -> None:
    step = coefficient(build(tree), X)
    here, there = plain(tree, {"x": x, "y": y}), plain(tree, {"x": x + 1, "y": y})
    if step is not None and here is not None and there is not None:
        assert evaluate(step, {"x": x, "y": y}) == there - here


@given(trees, trees, st.integers(0, 9), st.integers(1, 9))
def test_substitution_is_evaluation_of_the_other(tree: Tree, other: Tree, x: int, y: int) -> None:
    inner = plain(other, {"x": x, "y": y})
    if inner is None:
        return
    expected = plain(tree, {"x": inner, "y": y})
    if expected is not None:
        assert evaluate(substitute(build(tree), X, build(other)), {"x": x, "y": y}) == expected


def test_identities_leave_no_node() -> None:
    assert X + 0 is X and 0 + X is X and X - 0 is X and X * 1 is X and 1 * X is X and X // 1 is X
    assert is_const(X * 0, 0) and is_const(X % 1, 0)
    merged = (X + 3) + 4
    assert isinstance(merged, Op) and merged.args[0] is X and is_const(merged.args[1], 7)


def test_a_float_times_its_sigmoid_is_one_function() -> None:
    x, y, half = Var("f32", False, "x"), Var("f32", False, "y"), Var("f16", False, "h")
    for product, name in (
        (x * op("sigmoid", x), "silu"),
        (op("sigmoid", x) * x, "silu"),
        (y * op("sigmoid", x), "mul"),
        ((scaled := y * -math.log(2)) * op("sigmoid", scaled), "silu"),  # not the float32
        ((scaled := y * MINUS_LN2) * op("sigmoid", scaled), "silu_log2"),
        (op("sigmoid", scaled) * scaled, "silu_log2"),
        (half * op("sigmoid", half), "mul"),  # rounded twice
    ):
        assert isinstance(product, Op)
        assert product.name == name


def test_a_runtime_integer_is_never_folded() -> None:
    """Its value must not reach the text, or each size would need a kernel of its own."""
    e = arg(3) * 4 + 1
    assert known(e) == 13
    assert not isinstance(e, Const)
    assert [type(leaf) for leaf in _leaves(e)] == [Arg, Const, Const]


def _leaves(e: Expr) -> list[Expr]:
    return [leaf for c in children(e) for leaf in _leaves(c)] if children(e) else [e]


def test_division_by_a_constant_zero_is_kept() -> None:
    assert isinstance(index(3) // 0, Op) and isinstance(index(3) % 0, Op)


def test_python_numbers_take_the_dtype_of_the_other_operand() -> None:
    x = Var("f32", False, "x")
    for e in (x + 1, 1 + x, 2 - x, x * 2, minimum(x, 1), maximum(x, 0), select(x < 0, 0, x)):
        assert e.dtype == "f32"
        assert all(c.dtype in ("f32", "bool") for c in children(e))
    assert (x < 1).dtype == "bool"


def test_operands_of_different_dtypes_are_refused() -> None:
    x, i = Var("f32", False, "x"), Var("i32", False, "i")
    with pytest.raises(TypeError, match="f32 and i32"):
        binary("add", x, i)
    with pytest.raises(TypeError, match="branches differ"):
        select(x < 0, x, i)
    with pytest.raises(TypeError, match="must be an expression"):
        binary("add", 1, 2)


def test_a_constant_condition_chooses_at_once() -> None:
    assert select(const(True, "bool"), X, Y) is X
    assert select(const(False, "bool"), X, Y) is Y


def test_casts_of_constants_are_constants() -> None:
    assert cast(X, "i64") is X
    made = cast(index(3), "f32")
    assert isinstance(made, Const) and made.dtype == "f32" and made.value == 3.0
    infinite: Number = cast(const(float("inf"), "f32"), "i32")
    assert isinstance(infinite, Op)  # out of range: decided where it runs


def test_conditions_are_joined() -> None:
    assert all_of([]) is None
    a, b = X < 3, Y < 3
    assert all_of([a]) is a
    both = all_of([a, b])
    assert isinstance(both, Op) and both.name == "and"


def test_every_load_is_found_once() -> None:
    kernel = Kernel("loads", 4)
    table, at = kernel.buffer("f32", "table"), kernel.buffer("i64", "at")
    place = Load("i64", False, at, LANE)
    element = Load("f32", False, table, place)
    assert loads(op("add", element, op("mul", element, element))) == [element, place]
