"""Pictures come and leave as planes of channels, and nothing gathers or scatters their elements one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

import fusewright as fw
from fusewright.graph.text import parse_model
from fusewright.runtime import build

Array = np.ndarray
NAMES = ("turn input", "turn to output")


def draw(model: ir.Model, shapes: Mapping[str, Sequence[int]]) -> dict[str, Array]:
    """Numbers for the weights of the model, and its inputs."""
    rng = np.random.default_rng(0)
    for value in model.graph.initializers.values():
        if value.const_value is not None and value.dtype == ir.DataType.FLOAT:
            drawn = rng.standard_normal(value.const_value.shape.numpy()).astype(np.float32)
            value.const_value = ir.tensor(drawn, name=value.name)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def compare(session: fw.Session, model: ir.Model, feeds: dict[str, Array]) -> None:
    data = ir.to_proto(model).SerializeToString()
    reference = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    for expected, got in zip(reference.run(None, feeds), session.run(None, feeds), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def compiled(text: str, shape: Sequence[int], threads: int = 1) -> tuple[str, list[str]]:
    """The C text of all kernels, and the names of those that copy at the edges; the numbers are onnxruntime's."""
    model = parse_model(text)
    feeds = draw(model, {"x": shape})
    session = fw.compile(model, threads=threads)
    compare(session, model, feeds)
    plans = [ready.plan for ready in session.programs if ready.plan is not None]
    edges = [k.nodes[0].name for k in session.describe().kernels if k.nodes[0].name.startswith(NAMES)]
    return "".join(text for plan in plans for text in plan.sources.values()), edges


WINDOWS = {
    "pooling": ("1,17,9,7", "MaxPool<kernel_shape=[3,3], strides=[2,2]>(x)", ""),
    "mean": ("2,70,9,7", "AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(x)", ""),
    "depthwise": ("1,17,9,7", "Conv<group=17, pads=[1,1,1,1]>(x, w)", "17,1,3,3"),
    "one tap": ("2,65,9,7", "Conv(x, w)", "6,65,1,1"),
    "taps": ("1,5,31,17", "Conv<pads=[1,1,1,1]>(x, w)", "5,5,3,3"),
    "groups": ("1,12,9,7", "Conv<group=2, strides=[2,2]>(x, w)", "10,6,3,3"),
    "one dimension": ("2,24,600", "Conv<pads=[1,1]>(x, w)", "17,24,3"),
    "three dimensions": ("1,8,3,5,7", "Conv(x, w)", "9,8,1,1,1"),
    "transposed": ("1,8,5,7", "ConvTranspose<strides=[2,2]>(x, w)", "8,12,2,2"),
    "behind elementwise work": ("1,17,9,7", "MaxPool<kernel_shape=[2,2]>(r)", ""),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("case", WINDOWS)
def test_planes_are_turned(case: str, threads: int) -> None:
    x, work, w = WINDOWS[case]
    shape = [int(d) for d in x.split(",")]
    weights = f"<float[{w}] w>" if w else ""
    first = "r = Relu(x)" if "(r)" in work else ""
    result = ",".join("NCDHW"[: len(shape)])
    text = f"g (float[{x}] x) => (float[{result}] y) {weights} {{ {first} t = {work} y = Tanh(t) }}"
    c_text, edges = compiled(text, shape, threads)
    assert "gather" not in c_text and "scatter" not in c_text
    assert edges == ["turn input x", "turn to output 0"]


def test_few_planes_are_read_as_they_come() -> None:
    text = """g (float[1,3,20,20] x) => (float[1,4,20,20] y) <float[4,3,3,3] w>
    { y = Conv<pads=[1,1,1,1]>(x, w) }"""
    assert compiled(text, (1, 3, 20, 20))[1] == []


def test_what_nothing_reads_in_space_stays_as_it_comes() -> None:
    text = "g (float[1,24,9,7] x) => (float[1,24,9,7] y) { a = Relu(x) y = Softmax<axis=-1>(a) }"
    assert compiled(text, (1, 24, 9, 7))[1] == []
    text = "g (float[1,24,9,7] x) => (float[1,9,7,24] y) { a = Relu(x) y = Transpose<perm=[0,2,3,1]>(a) }"
    assert compiled(text, (1, 24, 9, 7))[1] == []


def test_outputs_that_are_read_too() -> None:
    pool = "MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>"
    text = f"""g (float[1,24,9,7] x) => (float[1,24,9,7] y, float[1,24,9,7] z, float[1,24,9,7] y)
    {{ y = {pool}(x) z = {pool}(y) }}"""
    assert compiled(text, (1, 24, 9, 7))[1] == ["turn input x", "turn to output 0", "turn to output 1"]


def test_an_input_that_leaves_too() -> None:
    text = """g (float[1,24,9,7] x) => (float[1,24,9,7] y, float[1,24,9,7] z)
    { y = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(x) z = Identity(x) }"""
    assert compiled(text, (1, 24, 9, 7))[1] == ["turn to output 0"]


def test_an_input_that_is_added_to_the_result() -> None:
    text = """g (float[1,24,9,7] x) => (float[1,24,9,7] y) <float[24,24,3,3] w>
    { a = Relu(x) c = Conv<pads=[1,1,1,1]>(a, w) y = Add(c, x) }"""
    c_text, edges = compiled(text, (1, 24, 9, 7))
    assert "gather" not in c_text and edges == ["turn input x", "turn to output 0"]


def test_operands_of_an_output_lie_side_by_side_before_it_leaves() -> None:
    pool = "MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>"
    text = f"""g (float[1,24,9,7] x) => (float[1,34,9,7] y) <float[10,24,1,1] w>
    {{ a = {pool}(x) b = Conv(x, w) y = Concat<axis=1>(a, b) }}"""
    c_text, edges = compiled(text, (1, 24, 9, 7))
    assert "concat" not in c_text and edges == ["turn input x", "turn to output 0"]


def test_open_extents_need_no_new_kernel() -> None:
    model = parse_model(
        """g (float[N,24,H,W] x) => (float[N,20,P,Q] y) <float[20,24,3,3] w> { y = Conv<pads=[1,1,1,1]>(x, w) }"""
    )
    draw(model, {})
    session = fw.compile(model, threads=1)
    started: list[int] = []
    for shape in ((2, 24, 9, 7), (3, 24, 70, 3), (2, 24, 17, 64)):
        compare(session, model, {"x": np.random.default_rng(1).standard_normal(shape).astype(np.float32)})
        started.append(build.compiler_starts)
    assert started[1:] == started[:1] * 2


def test_pictures_without_pixels() -> None:
    text = "g (float[0,24,9,7] x) => (float[0,20,9,7] y) <float[20,24,1,1] w> { y = Conv(x, w) }"
    assert compiled(text, (0, 24, 9, 7))[1] == []
