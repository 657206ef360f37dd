"""y = op(x); z = op(x); use(y, z) -> y = op(x); use(y, y)."""

from __future__ import annotations

import pytest

from fusewright.passes.merge_common import MergeCommon

from .helpers import Outcome, rewrite


def merge(text: str) -> Outcome:
    return rewrite(text, MergeCommon())


def test_chains_merge() -> None:
    outcome = merge("g (float[2] x) => (float[2] y) { a = Relu(x) b = Relu(x) c = Neg(a) d = Neg(b) y = Add(c, d) }")
    assert outcome.nodes == ["a = Relu (x)", "c = Neg (a)", "y = Add (c, c)"]


def test_operands_in_either_order() -> None:
    outcome = merge("g (float[2] x, float[2] z) => (float[2] y) { a = Add(x, z) b = Add(z, x) y = Mul(a, b) }")
    assert outcome.nodes == ["a = Add (x, z)", "y = Mul (a, a)"]
    outcome = merge("g (float[2] x, float[2] z) => (float[2] y) { a = Sub(x, z) b = Sub(z, x) y = Mul(a, b) }")
    assert not outcome.changed


def test_equal_small_constants_are_one_value() -> None:
    outcome = merge(
        """g (float[2,3] x) => (float[6] y) <int64[1] s = {6}, int64[1] t = {6}>
        { a = Reshape(x, s) b = Reshape(x, t) y = Add(a, b) }"""
    )
    assert outcome.ops == ["Reshape", "Add"]


@pytest.mark.parametrize("other", ["int64[2] t = {6, 1}", "int64[2] t = {1, 6}", "int64[1] t = {-1}"])
def test_constants_that_differ_stay(other: str) -> None:
    outcome = merge(
        f"""g (float[2,3] x) => (y) <int64[1] s = {{6}}, {other}>
        {{ a = Reshape(x, s) b = Reshape(x, t) y = Add(a, b) }}"""
    )
    assert outcome.ops == ["Reshape", "Reshape", "Add"]


@pytest.mark.parametrize(
    "first, second", [("Cast<to=1>(x)", "Cast<to=11>(x)"), ("Softmax<axis=0>(x)", "Softmax<axis=1>(x)")]
)
def test_attributes_that_differ_stay(first: str, second: str) -> None:
    assert not merge(f"g (float[2,2] x) => (y, z) {{ y = {first} z = {second} }}").changed


def test_both_are_graph_outputs() -> None:
    outcome = merge("g (float[2] x) => (float[2] y, float[2] z) { y = Relu(x) z = Relu(x) }")
    assert outcome.nodes == ["y = Relu (x)", "z = Identity (y)"]


def test_second_is_a_graph_output() -> None:
    outcome = merge("g (float[2] x) => (float[2] z, float[2] y) { a = Relu(x) y = Neg(a) z = Relu(x) }")
    assert outcome.nodes == ["z = Relu (x)", "y = Neg (z)"]


def test_random_numbers_stay() -> None:
    outcome = merge(
        """g (float[2] x) => (float[2] y)
        { a = RandomNormalLike<seed=1.0>(x) b = RandomNormalLike<seed=1.0>(x) y = Sub(a, b) }"""
    )
    assert not outcome.changed
    outcome = merge("g (float[2] x) => (float[2] y) { a = Bernoulli(x) b = Bernoulli(x) y = Sub(a, b) }")
    assert not outcome.changed


def test_several_outputs() -> None:
    outcome = merge(
        """g (float[4] x) => (float[2] y)
        { a, b = Split<axis=0, num_outputs=2>(x) c, d = Split<axis=0, num_outputs=2>(x) y = Sub(a, d) }"""
    )
    assert outcome.nodes == ["a, b = Split <axis: int = 0, num_outputs: int = 2> (x)", "y = Sub (a, b)"]


def test_empty_optional_input_is_not_another_input() -> None:
    outcome = merge(
        """g (float[2] x, float k) => (float[2] y)
        { a = Clip(x, k) b = Clip(x, , k) c = Clip(x, k) d = Sub(a, b) y = Sub(d, c) }"""
    )
    assert outcome.ops == ["Clip", "Clip", "Sub", "Sub"]


def test_branch_reads_the_outer_computation_but_not_the_other_branch() -> None:
    outcome = merge(
        """g (bool c, float[2] x) => (float[2] y, float[2] r)
        { r = Relu(x)
          y = If(c) <
            then_branch = t () => (float[2] a) { p = Relu(x) q = Abs(x) a = Add(p, q) },
            else_branch = e () => (float[2] b) { s = Abs(x) b = Neg(s) }> }"""
    )
    node = outcome.model.graph.node(1)
    assert [n.op_type for n in node.attributes["then_branch"].as_graph()] == ["Abs", "Add"]
    assert [n.op_type for n in node.attributes["else_branch"].as_graph()] == ["Abs", "Neg"]
