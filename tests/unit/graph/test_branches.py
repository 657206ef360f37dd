"""The helpers that move values keep names unique and graph outputs named."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from fusewright.graph.branches import inline_branch
from fusewright.graph.edit import add_constant, take_over
from fusewright.graph.equivalence import run
from fusewright.graph.text import parse_model

TEXT = """g (float[2] x, bool c) => (float[2] y) {
    m = Exp(x)
    [pick] y = If(c) <then_branch = t () => (float[2] p) <float[2] k = {1, 2}> { n = Neg(m) p = Add(n, k) },
                      else_branch = e () => (float[2] q) <float[2] k = {3, 4}> { n = Abs(m) q = Add(n, k) }>
}"""


def test_each_branch_computes_what_it_did_inside() -> None:
    x = np.array([0.5, -1], np.float32)
    for condition in (True, False):
        model = parse_model(TEXT)
        expected = run(model, {"x": x, "c": np.array(condition)})["y"]
        (node,) = (node for node in model.graph if node.op_type == "If")
        inner = inline_branch(node, condition)
        assert [n.op_type for n in inner] == ["Neg" if condition else "Abs", "Add"]
        onnx.checker.check_model(ir.to_proto(model), full_check=True)
        np.testing.assert_array_equal(run(model, {"x": x, "c": np.array(condition)})["y"], expected)


def test_a_branch_that_only_passes_a_value_through() -> None:
    model = parse_model(
        """g (float[2] x, bool c) => (float[2] y) { m = Exp(x)
        y = If(c) <then_branch = t () => (float[2] p) { p = Identity(m) },
                   else_branch = e () => (float[2] q) { q = Abs(m) }> }"""
    )
    inline_branch(model.graph[1], True)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    assert model.graph.outputs[0].name == "y"


def test_names_of_constants_are_unique() -> None:
    model = parse_model("g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { y = Add(x, w) }")
    assert [add_constant(model.graph, "w", np.zeros(1)).name for _ in range(2)] == ["w_1", "w_2"]


def test_a_value_that_is_output_and_read_is_taken_over_in_both_places() -> None:
    model = parse_model("g (float[2] x) => (float[2] y, float[2] z) { y = Relu(x) z = Neg(y) }")
    old = model.graph[0].outputs[0]
    take_over(old, model.graph.inputs[0])
    model.graph.remove(model.graph[0], safe=True)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    result = run(model, {"x": np.array([-1, 2], np.float32)})
    np.testing.assert_array_equal(result["y"], [-1, 2])
    np.testing.assert_array_equal(result["z"], [1, -2])
