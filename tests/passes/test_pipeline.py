"""Both lists together: valid after every pass, the same numbers, shapes known, and quick enough for a session."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from fusewright.frontend.onnx import load
from fusewright.graph.copy import shallow_copy
from fusewright.graph.decisions import Log
from fusewright.graph.equivalence import compare, random_inputs
from fusewright.graph.text import parse_model
from fusewright.passes.base import Pass, Repeat, run_passes
from fusewright.passes.bind_shapes import BindShapes
from fusewright.passes.pipeline import OPTIMIZE, PREPARE, SPECIALIZE, optimize, specialize

# A mask built from token counts, heads split by reshaping to computed shapes: how exporters write attention.
ATTENTION = """g (float[B,T,8] x, int64[B,T] mask) => (float[B,T,8] y)
<float[8,8] wq, float[8,8] wk, int64[1] zero = {0}, int64[1] one = {1}, int64[1] two = {2}, int64[1] heads = {2},
 int64[1] size = {4}, int64[2] axes = {1, 2},
 float big = {-10000}, float half = {0.5}, int64 i0 = {0}, int64 i1 = {1}> {
    s = Shape(x)
    b = Slice(s, zero, one)
    t = Slice(s, one, two)
    split = Concat<axis=0>(b, t, heads, size)
    q = MatMul(x, wq)
    k = MatMul(x, wk)
    qh = Reshape(q, split)
    kh = Reshape(k, split)
    qt = Transpose<perm=[0, 2, 1, 3]>(qh)
    kt = Transpose<perm=[0, 2, 3, 1]>(kh)
    scores = MatMul(qt, kt)
    scaled = Mul(scores, half)
    n = Squeeze(t, zero)
    positions = Range(i0, n, i1)
    column = Unsqueeze(positions, one)
    later = Greater(positions, column)
    m = Unsqueeze(mask, axes)
    none = Cast<to=9>(m)
    not = Not(none)
    hidden = Or(not, later)
    masked = Where(hidden, big, scaled)
    p = Softmax<axis=-1>(masked)
    o = MatMul(p, qt)
    ot = Transpose<perm=[0, 2, 1, 3]>(o)
    y = Reshape(ot, s)
}"""

# The affine tail of an old convolutional exporter, with shapes computed to flatten and to resize.
CONVOLUTION = """g (float[N,3,H,W] x) => (float[N,5] y, float[N,4,H,W] z)
<float[4,3,3,3] w, float[4] s, float[4] b, float[4] m, float[4] v = {1, 2, 3, 4}, float[4,5] f, int64[1] two = {2},
 int64[1] zero = {0}, int64[1] four = {4}, int64[1] minus = {-1}> {
    d = Identity(x)
    c = Conv<pads=[1, 1, 1, 1]>(d, w)
    n = BatchNormalization(c, s, b, m, v)
    r = Relu(n)
    g = GlobalAveragePool(r)
    gs = Shape(g)
    batch = Slice(gs, zero, one)
    one = Neg(minus)
    t = Concat<axis=0>(batch, minus)
    e = Reshape(g, t)
    y = MatMul(e, f)
    sub = MaxPool<kernel_shape=[2, 2], strides=[2, 2]>(r)
    xs = Shape(x)
    hw = Slice(xs, two, four)
    ss = Shape(sub)
    nc = Slice(ss, zero, two)
    target = Concat<axis=0>(nc, hw)
    z = Resize<mode="nearest">(sub, , , target)
}"""

Shapes = dict[str, tuple[int, ...]]

MODELS: dict[str, tuple[str, list[Shapes]]] = {
    "attention": (ATTENTION, [{"x": (1, 5, 8), "mask": (1, 5)}, {"x": (2, 1, 8), "mask": (2, 1)}]),
    "convolution": (CONVOLUTION, [{"x": (1, 3, 8, 8)}, {"x": (3, 3, 6, 10)}]),
}
SHAPE_OPS = {"Shape", "Size", "Range", "ConstantOfShape"}


@pytest.mark.parametrize("name", MODELS)
def test_every_value_is_known_and_the_numbers_stay(name: str) -> None:
    text, sizes = MODELS[name]
    original = load(ir.to_proto(parse_model(text)))
    optimized = optimize(original)
    for shapes in sizes:
        model = specialize(optimized, shapes)
        onnx.checker.check_model(ir.to_proto(model), full_check=True)
        for node in model.graph:
            assert node.op_type not in SHAPE_OPS
            assert not all(value is None or value.is_initializer() for value in node.inputs), node
            for value in node.outputs:
                assert value.dtype is not None and value.shape is not None and value.shape.is_static()
        assert compare(original, model, random_inputs(model)) < 1e-5


def flat(passes: tuple[Pass, ...]) -> list[Pass]:
    """The passes of a list without its repetitions: two rounds reach what the first made possible."""
    found: list[Pass] = []
    for step in passes:
        found += flat(step.passes) * 2 if isinstance(step, Repeat) else [step]
    return found


@pytest.mark.parametrize("name", MODELS)
def test_valid_and_the_same_after_every_single_pass(name: str) -> None:
    text, (shapes, *_) = MODELS[name]
    original = load(ir.to_proto(parse_model(text)))
    model = shallow_copy(original)
    bound = shallow_copy(original)
    BindShapes(shapes).run(bound, Log())
    inputs = random_inputs(bound)
    for step in (*flat(OPTIMIZE), *flat(PREPARE), BindShapes(shapes), *flat(SPECIALIZE)):
        run_passes(model, (step,), Log())
        onnx.checker.check_model(ir.to_proto(model), full_check=True)
        assert compare(original, model, inputs) < 1e-5, step.name


def test_both_leave_the_model_and_its_weights_alone() -> None:
    original = load(ir.to_proto(parse_model(CONVOLUTION)))
    before = ir.to_proto(original).SerializeToString()
    optimized = optimize(original)
    middle = ir.to_proto(optimized).SerializeToString()
    specialize(optimized, {"x": (1, 3, 8, 8)})
    assert ir.to_proto(original).SerializeToString() == before
    assert ir.to_proto(optimized).SerializeToString() == middle


def layered(count: int) -> ir.Model:
    """`count` layers of five nodes, each of which asks for a shape that specializing folds."""
    layers = "".join(
        f"s{i} = Shape(x{i}) a{i} = Mul(x{i}, w) b{i} = Sigmoid(a{i}) "
        f"c{i} = Reshape(b{i}, s{i}) x{i + 1} = Add(c{i}, x{i})\n"
        for i in range(count)
    )
    text = f"g (float[N,16] x0) => (float[N,16] x{count}) <float[16] w> {{ {layers} }}"
    return optimize(load(ir.to_proto(parse_model(text))))


def calls_to_specialize(model: ir.Model, rows: int) -> tuple[int, ir.Model]:
    """Python functions called on the way, a measure of work that no neighbour on the machine changes."""
    calls = 0

    def count(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        result = specialize(model, {"x0": (rows, 16)})
    finally:
        sys.setprofile(before)
    return calls, result


def test_another_size_costs_work_in_proportion_to_the_nodes() -> None:
    few, many = layered(50), layered(100)
    for model in few, many:
        specialize(model, {"x0": (2, 16)})  # what the first size alone costs is not looked at
    (work_few, _), (work, small) = calls_to_specialize(few, 3), calls_to_specialize(many, 3)
    assert len(small.graph) == 300
    assert work < 2.2 * work_few, "more than in proportion"
    assert work < 500 * 1500, "more than twice the 600 calls a node that it takes"


def test_zero_sized_dimensions() -> None:
    model = specialize(optimize(parse_model(ATTENTION)), {"x": (0, 5, 8), "mask": (0, 5)})
    assert model.graph.outputs[0].shape == (0, 5, 8)
    inputs: dict[str, np.ndarray[Any, Any]] = {"x": np.ones((0, 5, 8), np.float32), "mask": np.ones((0, 5), np.int64)}
    assert compare(parse_model(ATTENTION), model, inputs) == 0
