"""f(view(x)) -> view(f(x)): elementwise work goes to where its operand is made."""

from __future__ import annotations

import pytest

from fusewright.passes.sink_views import SinkViews

from .helpers import Outcome, rewrite


def sink(text: str, **options: object) -> Outcome:
    return rewrite(text, SinkViews(), **options)  # type: ignore[arg-type] # dims and special


HEAD = """g (float[2,3,4] x) => (y)
<float[3] scale, float[4,3] plane, float two = {2.0}, float[1] one = {1.5}, int64[2] s = {6, 4}>"""


@pytest.mark.parametrize(
    "chain, result",
    [
        ("a = Transpose<perm=[0,2,1]>(m) y = Relu(a)", ["Exp", "Relu", "Transpose"]),
        ("a = Reshape(m, s) y = Relu(a)", ["Exp", "Relu", "Reshape"]),
        ("a = Reshape(m, s) y = Mul(a, two)", ["Exp", "Mul", "Reshape"]),
        ("a = Reshape(m, s) y = Sub(one, a)", ["Exp", "Sub", "Reshape"]),
        ("a = Reshape(m, s) b = Sigmoid(a) y = Mul(a, b)", ["Exp", "Sigmoid", "Mul", "Reshape"]),
        ("a = Transpose<perm=[2,0,1]>(m) b = Reshape(a, s4) y = Neg(b)", ["Exp", "Neg", "Transpose", "Reshape"]),
        ("a = Flatten(m) y = Cast<to=11>(a)", ["Exp", "Cast", "Flatten"]),
        ("a = Flatten(m) y = Clip(a, , two)", ["Exp", "Clip", "Flatten"]),
    ],
)
def test_one_operand(chain: str, result: list[str]) -> None:
    head = HEAD.replace("int64[2] s", "int64[2] s4 = {8, 3}, int64[2] s")
    assert sink(f"{head} {{ m = Exp(x) {chain} }}").ops == result


def test_constant_that_broadcasts_is_turned_too() -> None:
    outcome = sink(f"{HEAD} {{ m = Exp(x) a = Transpose<perm=[0,2,1]>(m) y = Mul(a, scale) }}")
    assert outcome.ops == ["Exp", "Mul", "Transpose"]
    assert outcome.weight("scale_turned").shape == (3, 1)
    outcome = sink(f"{HEAD} {{ m = Exp(x) a = Transpose<perm=[0,2,1]>(m) y = Mul(plane, a) }}")
    assert outcome.weight("plane_turned").shape == (3, 4)


def test_other_operand_is_seen_the_other_way_round() -> None:
    text = """g (float[2,3,4] x, float[2,4,3] r) => (y)
    { m = Exp(x) a = Transpose<perm=[0,2,1]>(m) y = Add(r, a) }"""
    outcome = sink(text)
    assert outcome.nodes[1:] == [
        "val_0 = Transpose <perm: ints = [0, 2, 1]> (r)",
        "val_1 = Add (val_0, m)",
        "y = Transpose <perm: ints = [0, 2, 1]> (val_1)",
    ]


def test_other_operand_without_the_extent_of_one() -> None:
    text = """g (float[3,4] x, float[1,3,4] r) => (y) <int64[3] s = {1, 3, 4}>
    { m = Exp(x) a = Reshape(m, s) y = Add(a, r) }"""
    assert sink(text).ops == ["Exp", "Reshape", "Add", "Reshape"]


def test_same_view_of_both_operands() -> None:
    text = """g (float[2,3,4] x, float[2,3,4] z) => (y) <int64[2] s = {6, 4}>
    { m = Exp(x) n = Neg(z) a = Reshape(m, s) b = Reshape(n, s) y = Add(a, b) }"""
    outcome = sink(text)
    assert outcome.ops == ["Exp", "Neg", "Add", "Reshape"]
    assert "Add (m, n)" in outcome.nodes[2]


def test_operand_that_is_made_later_takes_the_node() -> None:
    text = """g (float[2,3,4] x, float[2,4,3] r) => (y)
    { m = Exp(x) a = Transpose<perm=[0,2,1]>(m) n = Exp(r) y = Add(a, n) }"""
    assert not sink(text).changed


def test_walks_settle() -> None:
    """What was turned for one operand is not turned back for the other."""
    text = """g (float[2,3,4] x, float[2,4,3] r) => (y)
    { n = Exp(r) m = Exp(x) a = Transpose<perm=[0,2,1]>(m) y = Add(a, n) }"""
    outcome = rewrite(text, SinkViews(), SinkViews(), SinkViews())
    assert outcome.ops == ["Exp", "Exp", "Transpose", "Add", "Transpose"]


@pytest.mark.parametrize(
    "chain",
    [
        "a = Reshape(m, s) y = Add(a, c4)",  # varies along a dimension that the view takes apart
        "a = Reshape(m, s1) y = Add(a, wide)",  # broadcasts what the view shows
        "a = Reshape(m, s1) y = Add(a, ranked)",  # adds a dimension
        "a = Reshape(m, s) y = Softmax(a)",  # no elementwise operation
        "a = Transpose<perm=[0,2,1]>(m) y = BatchNormalization(a, c4, c4, c4, c4)",  # runs along dimension 1
    ],
)
def test_stays(chain: str) -> None:
    head = """g (float[2,3,4] x) => (y) <float[4] c4, int64[2] s = {6, 4}, int64[2] s1 = {1, 24}, float[5,24] wide,
    float[1,1,1,1] ranked>"""
    assert not sink(f"{head} {{ m = Exp(x) {chain} }}").changed


def test_view_of_an_input_stays() -> None:
    assert not sink("g (float[2,3] x) => (y) { a = Transpose(x) y = Relu(a) }").changed


def test_view_that_is_an_output_or_read_elsewhere_stays_for_these() -> None:
    text = "g (float[2,3] x) => (a, y) { m = Exp(x) a = Transpose(m) y = Relu(a) }"
    assert sorted(sink(text).ops) == ["Exp", "Relu", "Transpose", "Transpose"]


@pytest.mark.parametrize("op", ["Relu(a)", "Mul(a, two)"])
def test_open_dimensions(op: str) -> None:
    head = "g (float[N,3,W] x) => (y) <int64[2] s = {0, -1}, float two = {2.0}>"
    outcome = sink(f"{head} {{ m = Exp(x) a = Reshape(m, s) y = {op} }}", dims={"N": 2, "W": 4})
    assert outcome.ops == ["Exp", op[: op.index("(")], "Reshape"]


def test_two_results_of_one_node_stay() -> None:
    """Seen the other way round they would be the same again: neither way would be the last."""
    text = "g (float[4,2] x) => (y) { m, k = Split<axis=0, num_outputs=2>(x) t = Transpose(m) y = Add(t, k) }"
    assert sink(text).ops == ["Split", "Transpose", "Add"]


def test_a_value_and_its_transposition_stay() -> None:
    text = "g (float[4,4] x) => (y) { m = Relu(x) t = Transpose(m) y = Add(t, m) }"
    assert sink(text).ops == ["Relu", "Transpose", "Add"]
