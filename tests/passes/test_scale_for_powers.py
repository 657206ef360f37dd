"""y s(y) of a product y -> the weights times -log2(e), and a number between product and sigmoid"""

from __future__ import annotations

import numpy as np
import pytest

import fusewright as fw
from fusewright.graph.decisions import Log
from fusewright.graph.text import parse_model
from fusewright.passes.scale_for_powers import ScaleForPowers

from .helpers import Outcome, rewrite

IMAGE = "float[1,4,8,8]"
CONV = f"g ({IMAGE} x) => ({IMAGE} y) <float[4,4,3,3] w, float[4] b, {IMAGE} k>"
ROWS = "g (float[2,3,4] x) => (float[2,3,5] y) <float[4,5] w, float[5] b>"
GEMM = "g (float[3,4] x) => (float[3,5] y) <float[5,4] w, float[5] b>"
AFTER = ["Mul", "Sigmoid", "Mul"]


def scaled(text: str) -> Outcome:
    return rewrite(text, ScaleForPowers())


@pytest.mark.parametrize("gated", ["Mul(a, s)", "Mul(s, a)"])
@pytest.mark.parametrize(
    "head, product, ops",
    [
        (CONV, "a = Conv<pads=[1,1,1,1]>(x, w, b)", ["Conv"]),
        (CONV, "a = Conv<pads=[1,1,1,1]>(x, w)", ["Conv"]),
        (CONV, "a = ConvTranspose<pads=[1,1,1,1]>(x, w, b)", ["ConvTranspose"]),
        (GEMM, "a = Gemm<transB=1, alpha=0.5, beta=3.0>(x, w, b)", ["Gemm"]),
        (ROWS, "a = MatMul(x, w)", ["MatMul"]),
        (ROWS, "m = MatMul(x, w) a = Add(m, b)", ["MatMul", "Add"]),
        (ROWS, "m = MatMul(x, w) a = Add(b, m)", ["MatMul", "Add"]),
    ],
)
def test_products(head: str, product: str, ops: list[str], gated: str) -> None:
    made = scaled(f"{head} {{ {product} s = Sigmoid(a) y = {gated} }}")
    assert made.ops == ops + AFTER


def test_weights_and_number() -> None:
    made = scaled(f"{CONV} {{ a = Conv<pads=[1,1,1,1]>(x, w, b) s = Sigmoid(a) y = Mul(a, s) }}")
    before = rewrite(f"{CONV} {{ y = Conv<pads=[1,1,1,1]>(x, w, b) }}")
    for name in "wb":
        ratio = made.weight(f"{name}_folded").astype(np.float64) / before.weight(name)
        np.testing.assert_allclose(ratio, -1 / np.log(2), rtol=2e-7)
    assert made.weight("minus_ln2") == np.float32(-np.log(2))


def test_nodes_keep_their_names() -> None:
    made = scaled(f"{CONV} {{ [c] a = Conv<pads=[1,1,1,1]>(x, w) [s] s = Sigmoid(a) [m] y = Mul(a, s) }}")
    names = [node.name for node in made.model.graph]
    assert names[0] == "c" and names[2:] == ["s", "m"] and names[1] not in ("c", "s", "m")


def test_once() -> None:
    made = scaled(f"{CONV} {{ a = Conv<pads=[1,1,1,1]>(x, w) s = Sigmoid(a) y = Mul(a, s) }}")
    assert not ScaleForPowers().run(made.model, Log())


@pytest.mark.parametrize(
    "body",
    [
        "a = Conv<pads=[1,1,1,1]>(x, w) s = Sigmoid(a) y = Mul(s, k)",  # the gate of another value
        "a = Conv<pads=[1,1,1,1]>(x, w) y = Sigmoid(a)",
        "a = Conv<pads=[1,1,1,1]>(x, w) r = Add(a, k) s = Sigmoid(r) y = Mul(r, s)",
        "a = MaxPool<kernel_shape=[1,1]>(x) s = Sigmoid(a) y = Mul(a, s)",
        "v = Neg(w) n = Mul(v, x1) a = Conv<pads=[1,1,1,1]>(x, n) s = Sigmoid(a) y = Mul(a, s)",  # computed filters
    ],
)
def test_stays(body: str) -> None:
    head = CONV.replace("x)", "x, float[1] x1)") if "x1" in body else CONV
    assert not scaled(f"{head} {{ {body} }}").changed


def test_product_that_is_read_elsewhere_stays() -> None:
    head = CONV.replace(f"({IMAGE} y)", f"({IMAGE} y, {IMAGE} a)")
    made = scaled(f"{head} {{ a = Conv<pads=[1,1,1,1]>(x, w) s = Sigmoid(a) y = Mul(a, s) }}")
    assert not made.changed
    assert made.reasons == ["an inner value is read elsewhere or is a graph output"]


@pytest.mark.parametrize("dtype", ["float16", "double"])
def test_other_types_stay(dtype: str) -> None:
    text = f"{ROWS} {{ a = MatMul(x, w) s = Sigmoid(a) y = Mul(a, s) }}".replace("float[", f"{dtype}[")
    assert not scaled(text).changed


def test_a_kernel_has_one_function_for_all_of_it() -> None:
    """The number that the pass writes is the one that kernels know."""
    text = f"{CONV} {{ a = Conv<pads=[1,1,1,1]>(x, w, b) s = Sigmoid(a) y = Mul(a, s) }}"
    plan = fw.compile(parse_model(text)).programs[0].plan
    assert plan is not None
    assert any("fw_silu_log2_f32" in kernel for kernel in plan.sources.values())
