"""Convolutions computed band by band in one kernel: same numbers as onnxruntime, and less memory?"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from narrowed import RUNNABLE, narrowed

import fusewright as fw
from fusewright.graph.text import parse_model
from fusewright.plan.chains import find_chains
from fusewright.schedules.chain import Chain
from fusewright.schedules.choice import Option

__all__ = ["narrowed"]

STRIDED = "strides=[2,2], pads=[1,1,1,1]"


def block(
    batch: int = 1,
    size: tuple[int, int] = (60, 52),
    channels: tuple[int, int, int] = (16, 96, 24),
    depthwise: str = "pads=[1,1,1,1]",
    taps: int = 3,
    act: str = "Clip({}, zero, six)",
    last: str = "y = Neg(p)",
    pool: str = "MaxPool",
) -> ir.Model:
    """What expands, goes over space and projects; the pooling before it makes channels lie last, as in a network."""
    a, b, c = channels
    return parse_model(
        f"""g (float[{batch},{a},{size[0]},{size[1]}] x) => (float[n,c,h,w] y)
        <float[{b},{a},1,1] w1, float[{b}] b1, float[{b},1,{taps},{taps}] w2, float[{b}] b2, float[{c},{b},1,1] w3,
         float[{c}] b3, float zero = {{0.0}}, float six = {{6.0}}>
        {{ m = {pool}<kernel_shape=[3,3], pads=[1,1,1,1]>(x)
           c1 = Conv(m, w1, b1) a1 = {act.format("c1")}
           c2 = Conv<group={b}, {depthwise}>(a1, w2, b2) a2 = {act.format("c2")}
           p = Conv(a2, w3, b3) {last} }}"""
    )


CASES = {
    "as it comes": block(),
    "stride 2": block(depthwise=STRIDED),
    "5x5, stride 2": block(depthwise="strides=[2,2], pads=[2,2,2,2]", taps=5),
    "border on two sides": block(size=(61, 53), depthwise="strides=[2,2], pads=[0,0,1,1]"),
    "batch": block(batch=2, size=(37, 41)),
    "odd channels": block(channels=(5, 101, 7), size=(51, 53)),
    "residual": block(channels=(24, 144, 24), last="y = Add(p, m)"),
    "hardswish": block(act="HardSwish({})"),
    "7x7": block(depthwise="pads=[3,3,3,3]", taps=7),
    "numbers": block(act="HardSigmoid({})", last="d = Div(p, six) y = Add(d, six)"),
}


def expected(model: ir.Model, x: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    data = ir.to_proto(model).SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


def input_of(model: ir.Model) -> np.ndarray:
    shape = model.graph.inputs[0].shape
    assert shape is not None
    return np.random.default_rng(1).standard_normal(shape.numpy()).astype(np.float32)


@pytest.fixture
def depth_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every chain is one kernel, whatever it should cost."""
    monkeypatch.setattr(Chain, "options", lambda self: (Option("depth first", 1), Option("apart", 2)))
    monkeypatch.setattr("fusewright.plan.planner.find_chains", lambda groups, cache_bytes: find_chains(groups, 0))


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("name", CASES)
def test_chain(name: str, target: str, depth_first: None, narrowed: None) -> None:
    """The whole block, whatever it should cost."""
    model = CASES[name]
    x = input_of(model)
    wanted = expected(model, x)
    for threads in (1, 2, 3) if target == "avx512" else (2,):
        session = fw.compile(model, threads=threads, target=target)
        ops = [[n.op_type for n in k.nodes] for k in session.describe().kernels]
        assert any(k.count("Conv") == 3 for k in ops), ops
        np.testing.assert_allclose(session(x), wanted, rtol=2e-5, atol=2e-5 * float(np.abs(wanted).max()))


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_special_values(special: float, depth_first: None) -> None:
    """Limits hide no NaN. (onnxruntime's MaxPool may.)"""
    model = block(pool="AveragePool")
    x = input_of(model)
    x[0, 3, 20:22, 30] = special
    wanted = expected(model, x)
    session = fw.compile(model)
    np.testing.assert_allclose(session(x), wanted, rtol=2e-5, atol=2e-5 * float(np.nanmax(np.abs(wanted))))
    assert any(k.symbol.startswith("fw_chain") for k in session.describe().kernels)
    assert np.isnan(special) == np.isnan(wanted).any()


def test_what_lies_between_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model = block(size=(112, 112), depthwise=STRIDED)
    made = fw.compile(model, threads=1).describe()
    monkeypatch.setattr(Chain, "options", lambda self: (Option("depth first", 2), Option("apart", 1)))
    apart = fw.compile(model, threads=1).describe()
    assert made.memory is not None and apart.memory is not None
    assert len(made.kernels) < len(apart.kernels)
    assert made.memory.arena < apart.memory.arena - 3_000_000  # 96 channels of 112x112 are 4.8 MB


def test_open_extents_are_refused_with_a_reason() -> None:
    model = block()
    x = model.graph.inputs[0]
    x.shape = ir.Shape([1, 16, "h", "w"])
    session = fw.compile(model)
    session(np.zeros((1, 16, 60, 52), np.float32))
    reasons = [d.reason for d in session.describe().decisions if d.what == "chain"]
    assert reasons and all("open" in r for r in reasons)
