"""A depthwise convolution that takes the means of its rows on the way: the same numbers for any extents?"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from narrowed import RUNNABLE, narrowed
from onnx.reference import ReferenceEvaluator
from test_chains import expected, input_of

import fusewright as fw
from fusewright.graph.text import parse_model
from fusewright.plan.chains import find_chains
from fusewright.schedules.chain import Chain
from fusewright.schedules.choice import Option

__all__ = ["narrowed"]


def gated(
    channels: int = 32,
    size: tuple[int | str, int | str] = (14, 14),
    batch: int = 1,
    taps: int = 3,
    conv: str = "pads=[1,1,1,1]",
    mean: str = "GlobalAveragePool({})",
    dtype: str = "float",
) -> ir.Model:
    """Squeeze-and-excite: y scaled by what is computed from its mean."""
    c, f = channels, dtype
    return parse_model(
        f"""g ({f}[{batch},{c},{size[0]},{size[1]}] x) => ({f}[n,c,h,w] y)
        <{f}[{c},1,{taps},{taps}] w, {f}[{c}] b, {f}[8,{c},1,1] w1, {f}[{c},8,1,1] w2, int64[2] space = {{2, 3}}>
        {{ m = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(x)
           a = Conv<group={c}, {conv}>(m, w, b) s = Sigmoid(a) t = Mul(a, s)
           p = {mean.format("t")} q = Conv(p, w1) r = Relu(q) u = Conv(r, w2) g = Sigmoid(u) y = Mul(t, g) }}"""
    )


CASES = {
    "as it comes": gated(),
    "one column": gated(size=(17, 1)),
    "one row": gated(size=(1, 17)),
    "wide": gated(size=(5, 224)),
    "small": gated(size=(3, 3), channels=17),
    "two channels": gated(size=(9, 8), channels=2),
    "odd": gated(size=(17, 31), channels=101),
    "batch": gated(size=(7, 7), batch=3),
    "5x5, stride 2": gated(taps=5, conv="pads=[2,2,2,2], strides=[2,2]", size=(29, 28)),
    "without padding, dilated": gated(conv="dilations=[2,2]", size=(19, 20)),
    "ReduceMean": gated(mean="ReduceMean({}, space)"),
}


def kernels_of(session: fw.Session) -> list[list[str]]:
    return [[n.op_type for n in k.nodes] for k in session.describe().kernels]


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("name", CASES)
def test_gated(name: str, target: str, narrowed: None) -> None:
    model = CASES[name]
    x = input_of(model)
    wanted = expected(model, x)
    for threads in (1, 2, 3) if target == "avx512" else (2,):
        session = fw.compile(model, threads=threads, target=target)
        assert ["Conv", "Mul", "Sigmoid", "Mul", "ReduceMean"] in kernels_of(session)
        for _ in range(2):  # rows are not added to those of the run before
            (y,) = session.run(None, {"x": x})
        np.testing.assert_allclose(y, wanted, rtol=2e-5, atol=2e-6)


def test_double_precision() -> None:
    model = gated(dtype="double", channels=20, size=(9, 13))
    x = input_of(model).astype(np.float64)
    (wanted,) = ReferenceEvaluator(ir.to_proto(model)).run(None, {"x": x})  # onnxruntime has no such convolution
    np.testing.assert_allclose(fw.compile(model, threads=2).run(None, {"x": x})[0], wanted, rtol=1e-12, atol=1e-13)


def test_open_extents() -> None:
    model = gated(size=("h", "w"))
    session = fw.compile(model, threads=2)
    for height, width in ((14, 14), (3, 40), (1, 1), (9, 17)):
        x = np.random.default_rng(height).standard_normal((1, 32, height, width)).astype(np.float32)
        np.testing.assert_allclose(session.run(None, {"x": x})[0], expected(model, x), rtol=2e-5, atol=2e-6)


def test_readers_of_means_and_of_sums() -> None:
    """A mean of the sums themselves, to which a reader in the kernel adds; and of rows of one element, read at once."""
    weights = "<float[20,1,3,3] w, float[20,1,1] b, int64[1] last = {-1}>"
    conv = "c = Conv<group=20, pads=[1,1,1,1]>(x, w)"
    for width, body in (
        (9, "y = Add(c, b) z = GlobalAveragePool(c)"),
        (1, "y = Neg(c) m = ReduceMean(y, last) z = Exp(m)"),
    ):
        model = parse_model(
            f"g (float[1,20,6,{width}] x) => (float[n,c,h,w] y, float[i,j,k,l] z) {weights} {{ {conv} {body} }}"
        )
        x = input_of(model)
        session = onnxruntime.InferenceSession(
            ir.to_proto(model).SerializeToString(), providers=["CPUExecutionProvider"]
        )
        for got, wanted in zip(
            fw.compile(model, threads=2).run(None, {"x": x}), session.run(None, {"x": x}), strict=True
        ):
            np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_reaches_the_mean_of_its_channel_alone(special: float) -> None:
    model = parse_model(
        """g (float[1,20,6,9] x) => (float[1,20,6,9] t, float[1,20,1,1] p) <float[20,1,3,3] w>
        { a = Conv<group=20, pads=[1,1,1,1]>(x, w) t = Neg(a) p = GlobalAveragePool(t) }"""
    )
    x = input_of(model)
    x[0, 7, 5, 8] = special
    t, p = fw.compile(model, threads=2).run(None, {"x": x})
    assert not np.isfinite(p[0, 7, 0, 0])
    assert np.isfinite(np.delete(p, 7, axis=1)).all()
    np.testing.assert_allclose(np.delete(p, 7, axis=1), np.delete(t, 7, axis=1).mean((2, 3), keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("channels", [96, 101])
def test_at_the_end_of_a_chain(
    target: str, channels: int, narrowed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What expands and goes over space, band by band; the means of rows come out of it beside the rows."""
    monkeypatch.setattr(Chain, "options", lambda self: (Option("depth first", 1), Option("apart", 2)))
    monkeypatch.setattr("fusewright.plan.planner.find_chains", lambda groups, cache_bytes: find_chains(groups, 0))
    model = parse_model(
        f"""g (float[2,16,37,29] x) => (float[n,c,h,w] y)
        <float[{channels},16,1,1] w0, float[{channels}] b0, float[{channels},1,3,3] w, float[{channels}] b,
         float[4,{channels},1,1] w1, float[{channels},4,1,1] w2>
        {{ m = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(x) c = Conv(m, w0, b0) d = HardSwish(c)
           a = Conv<group={channels}, pads=[1,1,1,1], strides=[2,2]>(d, w, b) t = HardSwish(a)
           p = GlobalAveragePool(t) q = Conv(p, w1) r = Relu(q) u = Conv(r, w2) g = HardSigmoid(u) y = Mul(t, g) }}"""
    )
    x = input_of(model)
    for threads in (1, 2):
        session = fw.compile(model, threads=threads, target=target)
        assert any(
            k[:4] == ["Conv", "HardSwish", "Conv", "HardSwish"] and "ReduceMean" in k for k in kernels_of(session)
        )
        np.testing.assert_allclose(session.run(None, {"x": x})[0], expected(model, x), rtol=2e-5, atol=2e-5)
