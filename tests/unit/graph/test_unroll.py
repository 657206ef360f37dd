"""Loops whose steps can be counted become copies of their bodies that compute the same; others say why not."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from fusewright.errors import UnsupportedError
from fusewright.graph import unroll
from fusewright.graph.blockers import ValueDependentError
from fusewright.graph.equivalence import relative_error, run
from fusewright.graph.shapes import infer
from fusewright.graph.text import parse_model

LOOPS = {
    "running_sum": """g (float[2] s, float[4,2] x) => (float[2] y, float[4,2] z)
        { y, z = Scan<num_scan_inputs=1, body=b (float[2] a, float[2] e) => (float[2] n, float[2] o) {
            n = Add(a, e)  o = Exp(n) }>(s, x) }""",
    "backwards_along_other_axes": """g (float[2] s, float[2,3] x, float[3,2] v) => (float[2] y, float[2,3] z)
        { y, z = Scan<num_scan_inputs=2, scan_input_axes=[1, 0], scan_input_directions=[1, 0],
                      scan_output_axes=[-1], scan_output_directions=[1],
                      body=b (float[2] a, float[2] e, float[2] f) => (float[2] n, float[2] o) {
            t = Mul(a, e)  n = Add(t, f)  o = Identity(n) }>(s, x, v) }""",
    "states_that_change_places": """g (float[2] s, float[2] t, float[3,2] x) => (float[2] y, float[2] z)
        { y, z = Scan<num_scan_inputs=1, body=b (float[2] a, float[2] c, float[2] e) => (float[2] m, float[2] n) {
            m = Identity(c)  n = Sub(a, e) }>(s, t, x) }""",
    "counted": """g (float[2] x) => (float[2] y, float[3,2] z) <int64 three = {3}, bool yes = {1}>
        { m = Neg(x)
          y, z = Loop<body=b (int64 i, bool c, float[2] a) => (bool c, float[2] n, float[2] o) {
            f = Cast<to=1>(i)  p = Mul(a, f)  n = Add(p, m)  o = Identity(n) }>(three, yes, x) }""",
    "until": """g (float[2] x) => (float[2] y) <bool yes = {1}, int64 two = {2}>
        { y = Loop<body=b (int64 i, bool c, float[2] a) => (bool d, float[2] n) {
            d = Less(i, two)  n = Add(a, a) }>(, yes, x) }""",
    "no_step": """g (float[2] x) => (float[2] y) <int64 three = {3}, bool no = {0}>
        { y = Loop<body=b (int64 i, bool c, float[2] a) => (bool c, float[2] n) { n = Add(a, a) }>(three, no, x) }""",
    "nested": """g (float[2] s, float[3,2] x) => (float[2] y) <int64 two = {2}, bool yes = {1}>
        { y = Scan<num_scan_inputs=1, body=b (float[2] a, float[2] e) => (float[2] n) {
            n = Loop<body=c (int64 i, bool k, float[2] q) => (bool k, float[2] r) { r = Add(q, e) }>(two, yes, a)
          }>(s, x) }""",
}


@pytest.mark.parametrize("name", LOOPS)
def test_copies_compute_what_the_loop_did(name: str) -> None:
    model = parse_model(LOOPS[name])
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    rng = np.random.default_rng(0)
    inputs = [(str(value.name), value.shape) for value in model.graph.inputs]
    feeds = {name: rng.standard_normal(shape.numpy()).astype(np.float32) for name, shape in inputs if shape}
    expected = run(model, feeds)
    infer(model)
    assert not {node.op_type for node in model.graph} & {"Loop", "Scan"}
    assert all(v.shape is not None and v.shape.is_static() for node in model.graph for v in node.outputs)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    found = run(model, feeds)
    assert list(found) == list(expected)
    for output, array in expected.items():
        assert relative_error(array, found[output]) < 1e-6


REFUSED = {
    "depends on data": """g (float[2] x) => (float[2] y) <int64 three = {3}, bool yes = {1}, float zero = {0}>
        { y = Loop<body=b (int64 i, bool c, float[2] a) => (bool d, float[2] n) {
            s = ReduceSum<keepdims=0>(a)  d = Greater(s, zero)  n = Add(a, a) }>(three, yes, x) }""",
    "more than": """g (float[2] x) => (float[2] y) <bool yes = {1}>
        { y = Loop<body=b (int64 i, bool c, float[2] a) => (bool c, float[2] n) { n = Add(a, a) }>(, yes, x) }""",
    "no steps": """g (float[2] x) => (float[2] y, float[n,2] z) <int64 none = {0}, bool yes = {1}>
        { y, z = Loop<body=b (int64 i, bool c, float[2] a) => (bool c, float[2] n, float[2] o) {
            n = Add(a, a)  o = Neg(n) }>(none, yes, x) }""",
    "0 steps": """g (float[2] s, float[0,2] x) => (float[2] y)
        { y = Scan<num_scan_inputs=1, body=b (float[2] a, float[2] e) => (float[2] n) { n = Add(a, e) }>(s, x) }""",
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_counted_is_refused(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unroll, "MAX_NODES", 32)
    with pytest.raises(UnsupportedError, match=reason):
        infer(parse_model(REFUSED[reason]))


def test_an_input_that_counts_the_steps_is_asked_for() -> None:
    text = LOOPS["counted"].replace("(float[2] x)", "(float[2] x, int64 three)").replace("int64 three = {3}, ", "")
    with pytest.raises(ValueDependentError) as caught:
        infer(parse_model(text.replace("float[3,2] z", "float[n,2] z")))
    assert caught.value.inputs == ("three",)
