"""Values lie as what reads them walks: vectors are loaded and stored whole, and the numbers are the same."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

import fusewright as fw
from fusewright.graph.text import parse_model

TOKENS = "float[1,35,16] x, float[16] g"
WEIGHTS = "float[16,24] m, float[24] b, float[24,1,3,3] d, float[24,8] n, float[16,16,1,1] c, float[8,32,1,1] e"


def kernels(signature: str, body: str, weights: str = WEIGHTS) -> str:
    """The C text of all kernels, after the numbers were compared with onnxruntime's."""
    model = parse_model(f"g ({signature}) => (float[A,B,C] y) <{weights}> {{ {body} }}")
    rng = np.random.default_rng(0)
    for value in model.graph.initializers.values():
        if value.const_value is not None and value.dtype == ir.DataType.FLOAT:
            drawn = rng.standard_normal(value.const_value.shape.numpy()).astype(np.float32)
            value.const_value = ir.tensor(drawn, name=value.name)
    data = ir.to_proto(model).SerializeToString()
    reference = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    feeds = {i.name: rng.standard_normal(i.shape).astype(np.float32) for i in reference.get_inputs()}
    session = fw.compile(model, threads=1, target="avx2")
    for expected, got in zip(reference.run(None, feeds), session.run(None, feeds), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    plans = [ready.plan for ready in session.programs if ready.plan is not None]
    return "".join(text for plan in plans for text in plan.sources.values())


def spread(text: str) -> bool:
    return "gather" in text or "scatter" in text


def test_tokens_that_a_convolution_reads_as_a_picture() -> None:
    body = """l = LayerNormalization(x, g)
    h = MatMul(l, m) k = Add(h, b) t = Transpose<perm=[0,2,1]>(k) s = Constant<value_ints=[1,24,5,7]>()
    p = Reshape(t, s) q = Conv<group=24, pads=[1,1,1,1]>(p, d) r = Constant<value_ints=[1,24,35]>()
    u = Reshape(q, r) v = Transpose<perm=[0,2,1]>(u) y = MatMul(v, n)"""
    assert not spread(kernels(TOKENS, body))


@pytest.mark.parametrize(
    "body",
    [
        "r = Relu(t) a = Conv(r, c)",
        "r = Concat<axis=1>(t, t) a = Conv(r, e)",
        """o = Conv(t, c) r = Concat<axis=1>(t, o) q = Concat<axis=1>(r, o) f = Conv(r, e)
        a = MaxPool<kernel_shape=[1,1]>(q)""",
    ],
    ids=["elementwise", "a concatenation", "concatenations of concatenations"],
)
def test_what_is_turned_to_channels_first_for_convolutions(body: str) -> None:
    signature = "float[1,5,7,16] x, float[16] g"
    # the output is turned back, so that it is no reason to lie otherwise
    text = f"""l = LayerNormalization(x, g) t = Transpose<perm=[0,3,1,2]>(l) {body}
    k = Transpose<perm=[0,2,3,1]>(a) j = Relu(k) s = Constant<value_ints=[1,35,-1]>() y = Reshape(j, s)"""
    assert not spread(kernels(signature, text))


def test_constants_lie_as_the_result_does() -> None:
    body = """q = Conv(x, c) r = Constant<value_ints=[1,16,35]>() u = Reshape(q, r) v = Transpose<perm=[0,2,1]>(u)
    y = Add(v, p)"""
    text = kernels("float[1,16,5,7] x", body, "float[16,16,1,1] c, float[1,35,16] p")
    assert not spread(text)


def test_reshape_that_needs_a_copy_divides_within_runs_alone() -> None:
    """The last dimension is in no run with others: its vectors are whole."""
    body = """t = Transpose<perm=[1,3,0,2,4]>(x) s = Constant<value_ints=[4,2,2,3,2,16]>() r = Reshape(t, s)
    u = Transpose<perm=[0,2,4,1,3,5]>(r) k = LayerNormalization(u, g)
    z = Constant<value_ints=[4,24,16]>() y = Reshape(k, z)"""
    assert not spread(kernels("float[4,2,6,2,16] x, float[16] g", body, WEIGHTS))


def test_planes_are_enlarged_by_whole_vectors() -> None:
    """Of two steps, only that along x gathers."""
    body = """q = Conv(x, c) s = Constant<value_ints=[1,16,48,40]>()
    r = Resize<mode="linear">(q, , , s)"""
    model = f"g (float[1,16,6,5] x) => (float[1,16,48,40] r) <float[16,16,1,1] c> {{ {body} }}"
    session = fw.compile(parse_model(model), threads=1, target="avx2")
    session.run(None, {"x": np.ones((1, 16, 6, 5), np.float32)})
    plans = [ready.plan for ready in session.programs if ready.plan is not None]
    texts = {name: text for plan in plans for name, text in plan.sources.items()}
    enlarging = [text for name, text in texts.items() if "pointwise" in name]
    assert [spread(text) for text in enlarging] == [True, False]
