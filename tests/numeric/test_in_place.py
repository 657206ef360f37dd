"""Results take over the memory of operands that they are the last to read; what is read later is never overwritten."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import parser

import fusewright as fw

HEAD = '<ir_version: 10, opset_import: ["": 21]> '


def model(text: str, **weights: np.ndarray) -> onnx.ModelProto:
    made = parser.parse_model(HEAD + text)
    made.graph.initializer.extend(onnx.numpy_helper.from_array(a, n) for n, a in weights.items())
    return made


def taken(session: fw.Session) -> int:
    return sum(d.made and d.what == "in place" for d in session.describe().decisions)


def check(made: onnx.ModelProto, feeds: dict[str, np.ndarray], threads: int) -> fw.Session:
    before = {n: a.copy() for n, a in feeds.items()}
    session = fw.compile(made, threads=threads)
    expected = ort.InferenceSession(made.SerializeToString()).run(None, feeds)
    for _ in range(2):
        for e, g in zip(expected, session.run(None, feeds), strict=True):
            np.testing.assert_allclose(g, e, rtol=1e-5, atol=1e-5 * float(np.abs(e).max()))
    for n, a in feeds.items():
        np.testing.assert_array_equal(a, before[n])
    return session


def arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(s).astype(np.float32) for s in shapes]


@pytest.mark.parametrize("threads", [1, 2])
def test_residual_sum_takes_over_the_shortcut(threads: int) -> None:
    text = """g (float[1,3,17,17] x) => (float[1,32,17,17] y) {
        a = Conv<pads=[1,1,1,1]>(x, w0) b = Relu(a)
        c = Conv<pads=[1,1,1,1]>(b, w1) d = Add(c, b) e = Relu(d)
        f = Conv<pads=[1,1,1,1]>(e, w2) y = Conv<pads=[1,1,1,1]>(f, w1) }"""
    x, w0, w1, w2 = arrays((1, 3, 17, 17), (32, 3, 3, 3), (32, 32, 3, 3), (32, 32, 3, 3))
    session = check(model(text, w0=w0 / 5, w1=w1 / 17, w2=w2 / 17), {"x": x}, threads)
    # b is also what the product itself reads, at other places: it may not be overwritten
    assert taken(session) == 0


@pytest.mark.parametrize("threads", [1, 2])
def test_sum_of_two_branches_takes_over_one(threads: int) -> None:
    text = """g (float[64,48] x) => (float[64,8] y) {
        a = MatMul(x, w0) b = MatMul(x, w1) c = MatMul(a, w2) d = Add(c, b) y = MatMul(d, w3) }"""
    x, w0, w1, w2, w3 = arrays((64, 48), (48, 40), (48, 40), (40, 40), (40, 8))
    assert taken(check(model(text, w0=w0, w1=w1, w2=w2, w3=w3), {"x": x}, threads)) == 1


def test_operand_that_is_read_later_keeps_its_memory() -> None:
    text = """g (float[64,48] x) => (float[64,40] y, float[64,40] z) {
        a = MatMul(x, w0) b = MatMul(x, w1) c = MatMul(a, w2) d = Add(c, b) y = MatMul(d, w2) z = MatMul(b, w2) }"""
    x, w0, w1, w2 = arrays((64, 48), (48, 40), (48, 40), (40, 40))
    check(model(text, w0=w0, w1=w1, w2=w2), {"x": x}, 2)


def test_inputs_weights_and_outputs_are_never_taken_over() -> None:
    text = """g (float[64,48] x) => (float[64,48] y, float[64,48] z) {
        a = Softmax(x) y = Mul(a, w) z = Softmax(y) }"""
    x, w = arrays((64, 48), (64, 48))
    check(model(text, w=w), {"x": x}, 2)
