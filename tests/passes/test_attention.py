"""Which softmaxes are the middle of attention? A graph as text in, groups and reasons out."""

from __future__ import annotations

import pytest

from .test_fuse import fused, groups_of, reasons

SHAPES = "float[2,4,9,8] q, float[2,4,8,7] k, float[2,4,7,6] v, float[2,1,9,7] m, bool[9,7] seen"
WEIGHTS = "<float s = {0.35}, float low = {-10000.0}, float zero = {0.0}, float[8,7] kept, float[7,6] kept_v>"


def block(body: str, outputs: str = "float[2,4,9,6] y") -> str:
    return f"g ({SHAPES}) => ({outputs}) {WEIGHTS} {{ {body} }}"


FOUND = {
    "bare": "a = MatMul(q, k) p = Softmax<axis=-1>(a) y = MatMul(p, v)",
    "axis counted from the front": "a = MatMul(q, k) p = Softmax<axis=3>(a) y = MatMul(p, v)",
    "scaled and masked": "a = MatMul(q, k) b = Mul(a, s) c = Add(b, m) p = Softmax(c) y = MatMul(p, v)",
    "divided, mask first": "a = MatMul(q, k) b = Div(a, s) c = Add(m, b) p = Softmax(c) y = MatMul(p, v)",
    "condition": "a = MatMul(q, k) c = Where(seen, a, low) p = Softmax(c) y = MatMul(p, v)",
    "soft cap": "a = MatMul(q, k) b = Div(a, s) c = Tanh(b) d = Mul(c, s) p = Softmax(d) y = MatMul(p, v)",
    "scores used twice": "a = MatMul(q, k) b = Tanh(a) c = Add(a, b) p = Softmax(c) y = MatMul(p, v)",
    "guard": "a = MatMul(q, k) p = Softmax(a) n = IsNaN(p) w = Where(n, zero, p) y = MatMul(w, v)",
    "epilogue": "a = MatMul(q, k) p = Softmax(a) b = MatMul(p, v) y = Relu(b)",
    "values for all heads": "a = MatMul(q, k) p = Softmax(a) y = MatMul(p, kept_v)",
}


@pytest.mark.parametrize("name", FOUND)
def test_found(name: str) -> None:
    (group,) = groups_of(block(FOUND[name]))
    assert group.schedule == "attention"
    assert group.outputs[0].name == "y"


REFUSED = {
    "it is not taken over the columns of the scores": "a = MatMul(q, k) p = Softmax<axis=2>(a) y = MatMul(p, v)",
    "its scores are a product with weights, which are packed ahead":
        "a = MatMul(q, kept) p = Softmax(a) y = MatMul(p, v)",
    "its scores are read by ReduceMax too":
        "a = MatMul(q, k) r = ReduceMax<keepdims=0>(a) p = Softmax(a) z = MatMul(p, v) y = Add(z, r)",
    "its result is read by Relu": "a = MatMul(q, k) p = Softmax(a) r = Relu(p) y = MatMul(r, v)",
    "its result is read more than once":
        "a = MatMul(q, k) p = Softmax(a) b = MatMul(p, v) c = MatMul(p, v) y = Add(b, c)",
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSED)
def test_refused(reason: str) -> None:
    text = block(REFUSED[reason])
    assert all(g.schedule == "" for g in groups_of(text))
    assert reason in reasons(text)


def test_what_the_model_gives_is_kept() -> None:
    scores = block("a = MatMul(q, k) p = Softmax(a) y = MatMul(p, v)", "float[2,4,9,6] y, float[2,4,9,7] a")
    assert "its scores are a result of the model" in reasons(scores)
    weights = block("a = MatMul(q, k) p = Softmax(a) y = MatMul(p, v)", "float[2,4,9,6] y, float[2,4,9,7] p")
    assert "its result is one of the model's" in reasons(weights)


def test_only_a_product_reads_a_classifier() -> None:
    """A softmax at the end is none of this, and nothing is said of one that reads no product."""
    assert reasons("g (float[2,5] x) => (float[2,5] y) { y = Softmax(x) }") == set()


def test_right_side_is_not_attention() -> None:
    body = "{ a = MatMul(q, k) p = Softmax(a) y = MatMul(v, p) }"
    assert fused(f"g (float[9,8] q, float[8,9] k, float[3,9] v) => (float[3,9] y) {body}") == [
        "MatMul (q, k) -> a",
        "Softmax (a) -> p",
        "MatMul (v, p) -> y",
    ]
