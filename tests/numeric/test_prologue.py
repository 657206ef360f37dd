"""Elementwise work in front of a convolution, computed where the convolution reads: same numbers as onnxruntime?"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

import fusewright as fw
from fusewright.graph.text import parse_model

CASES = {
    "pointwise, all channels side by side": ("1,24,9,7", "20,24,1,1", "", "24,1,1"),
    "several blocks of pixels": ("1,40,64,48", "8,40,1,1", "", "40,1,1"),
    "batch": ("2,24,5,7", "20,24,1,1", "", "2,24,1,1"),
    "scale by pixel": ("1,24,9,7", "20,24,1,1", "", "1,1,9,7"),
    "border": ("1,20,9,7", "12,20,3,3", "pads=[1,1,1,1]", "20,1,1"),
    "border and stride": ("2,20,9,7", "12,20,3,3", "pads=[1,0,1,2], strides=[2,2]", "20,1,1"),
    "stride without border": ("1,20,9,7", "12,20,1,1", "strides=[2,2]", "20,1,1"),
    "dilation": ("1,20,9,9", "12,20,3,3", "dilations=[2,2]", "20,1,1"),
    "one dimension": ("2,20,33", "12,20,3", "pads=[1,1]", "20,1"),
    "one dimension, pointwise": ("2,20,33", "12,20,1", "", "20,1"),
    "three dimensions": ("1,8,4,5,6", "12,8,3,3,3", "pads=[1,1,1,1,1,1]", "8,1,1,1"),
    "three dimensions, pointwise": ("1,8,4,5,6", "12,8,1,1,1", "", "8,1,1,1"),
    "two pixels": ("1,24,1,2", "20,24,1,1", "", "24,1,1"),
}


def computed(session: fw.Session, model: ir.Model, feeds: dict[str, np.ndarray]) -> None:
    """The session gives what onnxruntime gives."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    data = ir.to_proto(model).SerializeToString()
    expected = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(None, feeds)[0]
    scale = float(np.abs(expected).max())
    np.testing.assert_allclose(session.run(None, feeds)[0], expected, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("layout", ["channels last", "channels first"])
@pytest.mark.parametrize("case", CASES)
def test_front(case: str, layout: str) -> None:
    x, w, attributes, s = CASES[case]
    extents = [int(d) for d in x.split(",")]
    pool = f"MaxPool<kernel_shape={[3] * (len(extents) - 2)}, pads={[1] * 2 * (len(extents) - 2)}>"
    first = f"a = {pool}(x)" if layout == "channels last" else "a = Identity(x)"
    result = ",".join("NCDHW"[: len(extents)])
    model = parse_model(
        f"""g (float[{x}] x, float[{s}] s) => (float[{result}] y)
        <float[{w}] w, float[{w.split(",")[0]}] b, float half = {{0.5}}, float two = {{2.0}}>
        {{ {first} g = ReduceMax<keepdims=0>(a) e = Add(s, g) m = Mul(a, e) t = Add(m, half) r = Relu(t)
           c = Conv<{attributes or "group=1"}>(r, w, b) y = Clip(c, , two) }}"""
    )
    rng = np.random.default_rng(1)
    feeds = {"x": rng.standard_normal(extents), "s": rng.standard_normal([int(d) for d in s.split(",")])}
    feeds = {name: array.astype(np.float32) for name, array in feeds.items()}
    session = fw.compile(model, threads=2)
    kernels = session.describe().kernels
    assert ["Mul", "Add", "Relu", "Conv", "Clip"] in [[n.op_type for n in kernel.nodes] for kernel in kernels]
    computed(session, model, feeds)


def test_residual_that_the_front_reads_too() -> None:
    """The sum reads memory that the front reads as well: one pointer for both."""
    model = parse_model(
        """g (float[1,24,9,7] x, float[24,1,1] s) => (float[1,24,9,7] y) <float[24,24,1,1] w>
        { a = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(x)
              g = ReduceMax<keepdims=0>(a) e = Add(s, g) m = Mul(a, e) c = Conv(m, w) y = Add(c, a) }"""
    )
    rng = np.random.default_rng(2)
    feeds = {"x": rng.standard_normal((1, 24, 9, 7)), "s": rng.standard_normal((24, 1, 1))}
    feeds = {name: array.astype(np.float32) for name, array in feeds.items()}
    session = fw.compile(model, threads=1)
    assert ["Mul", "Conv", "Add"] in [[n.op_type for n in kernel.nodes] for kernel in session.describe().kernels]
    computed(session, model, feeds)


def test_open_extents_need_no_new_kernel() -> None:
    model = parse_model(
        """g (float[N,24,H,W] x, float[24,1,1] s) => (float[N,20,H,W] y) <float[20,24,1,1] w, float[20,20,3,3] v>
        { a = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(x)
              g = ReduceMax<keepdims=0>(a) e = Add(s, g) m = Mul(a, e) c = Conv(m, w) b = Mul(c, c)
          y = Conv<pads=[1,1,1,1]>(b, v) }"""
    )
    session = fw.compile(model, threads=1)
    rng = np.random.default_rng(3)
    seen: set[str] = set()
    for number, extents in enumerate([(1, 24, 30, 40), (1, 24, 8, 9), (1, 24, 5, 6), (1, 24, 2, 50)]):
        feeds = {"x": rng.standard_normal(extents), "s": rng.standard_normal((24, 1, 1))}
        computed(session, model, {name: array.astype(np.float32) for name, array in feeds.items()})
        kernels = set(session.programs[-1].program.kernels)
        assert number == 0 or kernels <= seen
        seen |= kernels
