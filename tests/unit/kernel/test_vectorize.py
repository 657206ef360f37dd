"""Does the vector form of an expression give in each lane what its scalar form gives for that lane?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import Array, bits, poisoned

from fusewright.kernel.expr import Buffer, Expr, Load, Op, arg, binary, cast, const, index, op, select
from fusewright.kernel.interpret import interpret
from fusewright.kernel.loops import Kernel
from fusewright.kernel.vectorize import LANE, VECTOR_FORMS, Vectorizer, coefficient, vectorizable

Body = Callable[[Sequence[Buffer], Expr], Expr]  # the element at a position
lanes_of = pytest.mark.parametrize("lanes", [4, 8, 16])


def run(
    lanes: int, inputs: Sequence[Array], dtypes: Sequence[str], result: str, size: int, body: Body, vec: bool
) -> Array:
    """out[i] = body(i) over `size` elements, in vectors or one by one."""
    kernel = Kernel("test", lanes)
    buffers = [kernel.buffer(d, f"x{i}") for i, d in enumerate(dtypes)]
    out = kernel.buffer(result, "y", "out")
    if vec:
        kernel.vector_loop(arg(size), lambda at, v: kernel.store_lanes(out, at, body(buffers, at), v))
    else:
        with kernel.loop(arg(size), "i") as i:
            kernel.store(out, i, body(buffers, i))
    made = poisoned(result, size)
    interpret(kernel, {**dict(zip(buffers, inputs, strict=True)), out: made}, 1)
    return made


def same_in_both_forms(
    lanes: int, inputs: Sequence[Array], dtypes: Sequence[str], result: str, size: int, body: Body
) -> None:
    scalar, vector = (run(lanes, inputs, dtypes, result, size, body, vec) for vec in (False, True))
    if scalar.dtype.kind == "f":  # NumPy's own functions may differ by a rounding between one element and many
        np.testing.assert_allclose(vector, scalar, rtol=1e-6)
    else:
        np.testing.assert_array_equal(vector, scalar)
    untouched = poisoned(result, 1).view(bits(scalar))[0]
    assert not (vector.view(bits(vector)) == untouched).any(), "every element is written"


@lanes_of
@pytest.mark.parametrize("size", [1, 3, 17, 32])
def test_loads_by_any_step(lanes: int, size: int) -> None:
    x = np.arange(4 * size + 2, dtype=np.float32)
    forms: dict[str, Body] = {
        "next to each other": lambda b, i: Load("f32", False, b[0], i + 2),
        "apart": lambda b, i: Load("f32", False, b[0], i * 3 + 1),
        "a step known when it runs": lambda b, i: Load("f32", False, b[0], i * arg(2)),
        "backwards": lambda b, i: Load("f32", False, b[0], index(4 * size) - i),
        "one for all": lambda b, i: Load("f32", False, b[0], arg(1)),
        "not affine": lambda b, i: Load("f32", False, b[0], (i * 5) % arg(size)),
    }
    for body in forms.values():
        same_in_both_forms(lanes, [x], ["f32"], "f32", size, body)


@lanes_of
def test_gather_by_loaded_indices(lanes: int) -> None:
    table, at = np.arange(10, dtype=np.float32), np.array([9, 0, 3, 3, 1, 8, 2, 0, 7], np.int64)

    def body(b: Sequence[Buffer], i: Expr) -> Expr:
        return Load("f32", False, b[0], Load("i64", False, b[1], i))

    same_in_both_forms(lanes, [table, at], ["f32", "i64"], "f32", 9, body)


UNARY = ("neg", "abs", "sign", "floor", "ceil", "trunc", "round", "sqrt", "exp", "tanh", "sigmoid", "erf", "isnan")
BINARY = ("add", "sub", "mul", "div", "max", "min", "pow", "mod", "fmod", "lt", "ge", "eq", "copysign")


@lanes_of
@pytest.mark.parametrize("dtype", ["f32", "f64", "i32", "i64", "u8"])
def test_every_kind_of_node(lanes: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    kind = {"f": f"float{dtype[1:]}", "i": f"int{dtype[1:]}", "u": f"uint{dtype[1:]}"}[dtype[0]]
    values = rng.uniform(-3, 3, (2, 19)) if dtype[0] == "f" else rng.integers(0 if dtype[0] == "u" else -5, 6, (2, 19))
    a, b = values.astype(kind)
    for name in (*UNARY, *BINARY):
        if dtype not in VECTOR_FORMS[name]:
            continue

        def body(buffers: Sequence[Buffer], i: Expr, name: str = name) -> Expr:
            x, y = (Load(dtype, False, buffer, i) for buffer in buffers)
            return op(name, x) if name in UNARY else binary(name, x, y)

        result = "bool" if name in ("lt", "ge", "eq", "isnan") else dtype
        if dtype[0] == "f" or name not in ("pow",):
            same_in_both_forms(lanes, [a, b], [dtype, dtype], result, 19, body)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_expression(data: st.DataObject) -> None:
    """Random graphs of arithmetic, comparisons, selects and casts, over two arrays and the position."""
    lanes, size = data.draw(st.sampled_from([4, 8, 16])), data.draw(st.sampled_from([1, 3, 17]))
    steps = data.draw(st.lists(st.tuples(st.sampled_from(["add", "mul", "max", "select", "cast"]),
                                         st.integers(0, 9), st.integers(0, 9)), max_size=8))  # fmt: skip

    def body(buffers: Sequence[Buffer], i: Expr) -> Expr:
        made: list[Expr] = [
            Load("f32", False, buffers[0], i),
            Load("f32", False, buffers[1], i * 2),
            cast(i + arg(3), "f32"),
            const(0.5, "f32"),
        ]
        for name, first, second in steps:
            x, y = made[first % len(made)], made[second % len(made)]
            if name == "select":
                made.append(select(x < y, y, x * 2))
            elif name == "cast":
                made.append(cast(cast(x, "i32"), "f32") + y)
            else:
                made.append(binary(name, x, y))
        return made[-1]

    values = np.random.default_rng(len(steps)).uniform(-2, 2, (2, 40)).astype(np.float32)
    same_in_both_forms(lanes, list(values), ["f32", "f32"], "f32", size, body)


@lanes_of
def test_bools_are_stored_and_loaded(lanes: int) -> None:
    flags = np.array([True, False, False, True, True] * 4)

    def body(b: Sequence[Buffer], i: Expr) -> Expr:
        return op("not", Load("bool", False, b[0], i))

    same_in_both_forms(lanes, [flags], ["bool"], "bool", 20, body)


def test_a_shared_node_stays_shared() -> None:
    kernel = Kernel("test", 4)
    x = Load("f32", False, kernel.buffer("f32", "x"), LANE)
    vectorize = Vectorizer()
    double, square = vectorize(x + x), vectorize(x * x)
    assert double.args[0] is double.args[1] is square.args[0]  # type: ignore[attr-defined]


def test_what_does_not_depend_on_the_lane_stays_scalar() -> None:
    kernel = Kernel("test", 4)
    one = Load("f32", False, kernel.buffer("f32", "x"), arg(3))
    assert Vectorizer()(one) is one
    assert coefficient(arg(2) * LANE + 1, LANE) is not None
    assert coefficient(LANE * LANE, LANE) is None


@pytest.mark.parametrize("half", ["f16", "bf16"])
def test_halves_have_the_vector_forms_of_float32(half: str) -> None:
    kernel = Kernel("test", 4)
    x = Load(half, False, kernel.buffer(half, "h"), LANE)
    double = Load("f64", False, kernel.buffer("f64", "d"), LANE)
    assert vectorizable(op("abs", x)) and vectorizable(op("exp", x) + x) and vectorizable(cast(x, "f64"))
    assert vectorizable(cast(double, half)) == (half == "bf16")  # rounded once
    assert not vectorizable(Op("u16", False, "bitcast", (x,)))


def test_unknown_forms_are_computed_one_by_one() -> None:
    kernel = Kernel("test", 4)
    byte = Load("i8", False, kernel.buffer("i8", "b"), LANE)
    real = Load("f32", False, kernel.buffer("f32", "x"), LANE)
    assert not vectorizable(op("abs", byte))
    assert vectorizable(op("abs", real))
