"""Values that are made straight in the memory of a concatenation or an output: no copies, and the same numbers."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

import fusewright as fw
from fusewright.graph.text import parse_model

POOL = "MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>"  # makes a value in a kernel of its own, channels last
LEAVES = "turn to output"


def kernels(text: str, threads: int = 1) -> list[str]:
    """The operations of each kernel, after the numbers were compared with onnxruntime's; without the copies by which
    the results leave as planes."""
    model = parse_model(text)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    reference = onnxruntime.InferenceSession(
        ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    rng = np.random.default_rng(0)
    feeds = {i.name: rng.standard_normal(i.shape).astype(np.float32) for i in reference.get_inputs()}
    session = fw.compile(model, threads=threads)
    for expected, got in zip(reference.run(None, feeds), session.run(None, feeds), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
    inner = [kernel.nodes for kernel in session.describe().kernels if not kernel.nodes[0].name.startswith(LEAVES)]
    return [" ".join(n.op_type for n in nodes) for nodes in inner]


def image(body: str, outputs: str = "float[1,A,8,8] y") -> str:
    return f"g (float[1,4,8,8] x, float[1,4,8,8] z) => ({outputs}) <float[6,4,3,3] w, float[5,20,1,1] v> {{ {body} }}"


CONV = "Conv<pads=[1,1,1,1]>"


@pytest.mark.parametrize("threads", [1, 2])
def test_operands_are_written_side_by_side(threads: int) -> None:
    body = f"a = {CONV}(x, w) b = {POOL}(z) r = Relu(b) c = Concat<axis=1>(a, r, b) y = {POOL}(c)"
    assert kernels(image(body), threads) == ["Conv", "MaxPool Relu", "MaxPool"]


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1])
def test_any_axis(axis: int) -> None:
    body = f"a = {POOL}(x) b = {POOL}(z) c = Concat<axis={axis}>(a, b) y = {POOL}(c)"
    assert kernels(image(body, "float[A,B,C,D] y")) == ["MaxPool", "MaxPool", "MaxPool"]


def test_only_what_lies_elsewhere_is_copied() -> None:
    """An input of the model, and a part of something else."""
    body = f"""a = {POOL}(x) p, q = Split<axis=1, num_outputs=2>(a) b = {POOL}(z)
    c = Concat<axis=1>(b, x, q) y = {POOL}(c)"""
    assert kernels(image(body)) == ["MaxPool", "MaxPool", "Identity", "Identity", "MaxPool"]


def test_value_that_is_joined_to_itself() -> None:
    body = f"a = {POOL}(x) c = Concat<axis=1>(a, a) y = {POOL}(c)"
    assert kernels(image(body)) == ["MaxPool", "Concat", "MaxPool"]


def test_graph_outputs_have_their_own_memory() -> None:
    body = f"a = {POOL}(x) b = {POOL}(z) y = Concat<axis=1>(a, b)"
    assert kernels(image(body)) == ["MaxPool", "MaxPool"]
    body = f"a = {POOL}(x) b = {POOL}(z) c = Concat<axis=1>(a, b) y = {POOL}(c)"
    assert kernels(image(body, "float[1,A,8,8] y, float[1,4,8,8] a")) == ["MaxPool", "MaxPool", "Identity", "MaxPool"]


def test_operand_is_read_elsewhere_too() -> None:
    body = f"a = {CONV}(x, w) b = {POOL}(z) c = Concat<axis=1>(a, b) d = {POOL}(c) u = Exp(a) y = Concat<axis=1>(d, u)"
    assert kernels(image(body)) == ["Conv Exp", "MaxPool", "MaxPool"]


def test_dense_block_has_no_copies() -> None:
    """Each layer reads all before it; all lie in the memory of the last concatenation."""
    layers = " ".join(
        f"c{i} = Concat<axis=1>({', '.join(f'f{j}' for j in range(i + 1))}) f{i + 1} = {POOL}(h{i})".replace(
            f"h{i}", f"g{i}"
        ).replace(f"f{i + 1} =", f"g{i} = Conv(c{i}, w{i}) f{i + 1} =")
        for i in range(1, 4)
    )
    weights = ", ".join(f"float[4,{4 * (i + 1)},1,1] w{i}" for i in range(1, 4))
    text = f"""g (float[1,4,8,8] x, float[1,4,8,8] z) => (float[1,20,8,8] y) <{weights}>
    {{ f0 = {POOL}(x) f1 = {POOL}(z) {layers} c4 = Concat<axis=1>(f0, f1, f2, f3, f4) y = {POOL}(c4) }}"""
    made = kernels(text)
    assert made.count("Conv") == 3 and set(made) == {"Conv", "MaxPool"}


def test_joint_that_is_joined_again() -> None:
    body = f"""a = {POOL}(x) b = {POOL}(z) c = Concat<axis=1>(a, b) d = {POOL}(c) e = Concat<axis=2>(c, d)
    y = {POOL}(e)"""
    assert kernels(image(body, "float[1,8,16,8] y")) == ["MaxPool", "MaxPool", "MaxPool", "MaxPool"]


def test_operand_without_elements() -> None:
    text = """g (float[2,3] x, float[0,3] z) => (float[2,3] y)
    { a = Softmax(x) b = Relu(z) c = Concat<axis=0>(b, a) y = Softmax(c) }"""
    assert kernels(text) == ["Softmax", "Softmax"]


@pytest.mark.parametrize(
    "body, shape, expected",
    [
        (f"a = {POOL}(x) y = Reshape(a, s)", "4,64", ["MaxPool"]),
        (f"a = {POOL}(x) y = Flatten(a)", "1,256", ["MaxPool"]),
        (f"a = {POOL}(x) y = Transpose<perm=[0,2,3,1]>(a)", "1,8,8,4", ["MaxPool"]),
        (f"a = {POOL}(x) b = Relu(a) y = Transpose<perm=[3,2,1,0]>(b)", "8,8,4,1", ["MaxPool Relu"]),
    ],
)
def test_view_that_is_an_output(body: str, shape: str, expected: list[str]) -> None:
    text = f"g (float[1,4,8,8] x) => (float[{shape}] y) <int64[2] s = {{4, 64}}> {{ {body} }}"
    assert kernels(text) == expected


def test_view_of_what_is_read_elsewhere_is_copied() -> None:
    text = f"""g (float[1,4,8,8] x) => (float[1,256] y, float[1,4,8,8] u)
    {{ a = {POOL}(x) y = Flatten(a) u = {POOL}(a) }}"""
    assert kernels(text) == ["MaxPool", "Flatten", "MaxPool"]


def test_two_outputs_that_show_one_value() -> None:
    text = f"""g (float[1,4,8,8] x) => (float[1,256] y, float[1,256] y)
    {{ a = {POOL}(x) y = Flatten(a) }}"""
    assert kernels(text) == ["MaxPool", "Identity"]
