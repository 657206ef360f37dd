"""What no graph output depends on -> nothing."""

from __future__ import annotations

import pytest

from fusewright.passes.remove_dead import RemoveDead

from .helpers import rewrite

both = pytest.mark.parametrize("optional_outputs", [True, False])


@both
def test_chain_and_its_weights_go_inputs_stay(optional_outputs: bool) -> None:
    outcome = rewrite(
        """g (float[2] x, float[2] unused) => (float[2] y) <float[2] w = {1, 2}, float[2] v = {1, 2}>
        { a = Add(x, w) b = Neg(a) y = Mul(x, v) }""",
        RemoveDead(optional_outputs),
    )
    assert outcome.nodes == ["y = Mul (x, v)"]
    assert set(outcome.model.graph.initializers) == {"v"}


@both
def test_node_with_one_used_output_stays(optional_outputs: bool) -> None:
    outcome = rewrite(
        "g (float[4] x) => (float[2] y) { a, b = Split<axis=0, num_outputs=2>(x) y = Neg(b) }",
        RemoveDead(optional_outputs),
    )
    assert outcome.ops == ["Split", "Neg"]


@both
def test_weight_that_is_an_output_stays(optional_outputs: bool) -> None:
    outcome = rewrite(
        "g (float[2] x) => (float[2] y, float[2] w) <float[2] w = {1, 2}> { y = Neg(x) }", RemoveDead(optional_outputs)
    )
    assert not outcome.changed


@both
def test_value_that_only_a_branch_reads_stays(optional_outputs: bool) -> None:
    outcome = rewrite(
        """g (bool c, float[2] x) => (float[2] y) <float[2] w = {1, 2}>
        { r = Relu(x)
          y = If(c) <
            then_branch = t () => (float[2] a) { a = Add(r, w) },
            else_branch = e () => (float[2] b) { d = Abs(r) b = Neg(r) }> }""",
        RemoveDead(optional_outputs),
    )
    assert outcome.ops == ["Relu", "If"]
    branch = outcome.model.graph.node(1).attributes["else_branch"].as_graph()
    assert [node.op_type for node in branch] == ["Neg"]


def test_value_that_only_a_dead_node_of_a_branch_reads_goes() -> None:
    outcome = rewrite(
        """g (bool c, float[2] x) => (float[2] y)
        { r = Relu(x)
          y = If(c) <
            then_branch = t () => (float[2] a) { a = Abs(x) },
            else_branch = e () => (float[2] b) { d = Abs(r) b = Neg(x) }> }""",
        RemoveDead(optional_outputs=False),
    )
    assert outcome.ops == ["If"]


def test_unused_optional_output_goes() -> None:
    outcome = rewrite(
        "g (float[1,1,4] x) => (float[1,1,2] y) { a = Neg(x) y, i = MaxPool<kernel_shape=[2], strides=[2]>(x) }",
        RemoveDead(),
    )
    assert len(outcome.model.graph.node(0).outputs) == 1
