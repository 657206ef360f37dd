"""Do reductions agree with the ONNX reference: every operation, dtype, axis and memory order, rows of any length?"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import fusewright as fw
from fusewright.runtime import build

TOLERANCE = {"float16": 4e-3, "float32": 2e-6, "float64": 1e-12}  # of the output's largest magnitude
FLOATS = ("float32", "float64", "float16")
REDUCTIONS = (
    "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd",
    "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp",
)  # fmt: skip


@dataclass(repr=False)
class Graph:
    """Many small branches in one model, so that one compilation serves many cases."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    outputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    feeds: dict[str, np.ndarray] = field(default_factory=dict)
    expected: dict[str, np.ndarray] = field(default_factory=dict)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(3))

    def input(self, array: np.ndarray, free: Sequence[int] = ()) -> str:
        name = f"x{len(self.inputs)}"
        dims = [f"{name}d{d}" if d in free else n for d, n in enumerate(array.shape)]
        self.inputs.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), dims))
        self.feeds[name] = array
        return name

    def weight(self, array: Any) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> list[str]:
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names

    def output(
        self, name: str, shape: Sequence[int | str], dtype: Any = "float32", expected: np.ndarray | None = None
    ) -> None:
        """`expected` where the reference is wrong or lacks the operation."""
        element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.outputs.append(helper.make_tensor_value_info(name, element, list(shape)))
        if expected is not None:
            self.expected[name] = expected

    def normal(self, *shape: int, dtype: str = "float32") -> np.ndarray:
        return self.rng.standard_normal(shape).astype(dtype)

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, "reductions", self.inputs, self.outputs, self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 26)], ir_version=10)

    def check(self, threads: int = 1, session: fw.Session | None = None) -> fw.Session:
        model = self.model()
        session = session or fw.compile(model, threads=threads)
        names = [o.name for o in self.outputs]
        wanted = [n for n in names if n not in self.expected]
        found = ReferenceEvaluator(model).run(wanted, self.feeds) if wanted else []
        expected = {**dict(zip(wanted, found, strict=True)), **self.expected}
        for name, actual in zip(names, session.run(None, self.feeds), strict=True):
            compare(name, actual, np.asarray(expected[name]))
        return session


def compare(name: str, actual: np.ndarray, expected: np.ndarray) -> None:
    assert actual.dtype == expected.dtype and actual.shape == expected.shape, name
    if expected.dtype.kind in "iub":
        np.testing.assert_array_equal(actual, expected, err_msg=name)
        return
    finite = expected[np.isfinite(expected)].astype(np.float64)
    scale = float(np.max(np.abs(finite), initial=0.1))
    tolerance = TOLERANCE[expected.dtype.name] * scale
    np.testing.assert_allclose(
        actual.astype(np.float64), expected.astype(np.float64), rtol=0, atol=tolerance, err_msg=name
    )


def reduced_shape(shape: Sequence[int], axes: Sequence[int] | None, keepdims: int) -> list[int]:
    gone = {a % len(shape) for a in (range(len(shape)) if axes is None else axes)}
    return [1 if d in gone else n for d, n in enumerate(shape) if keepdims or d not in gone]


@pytest.mark.parametrize("op", REDUCTIONS)
def test_axes_and_keepdims(op: str) -> None:
    graph = Graph()
    data = graph.normal(3, 5, 37)
    if op == "ReduceLogSum":
        data = np.abs(data)
    if op == "ReduceProd":
        data = 1 + data / 10
    x = graph.input(data)
    for axes, keepdims in (((-1,), 1), ((0, 2), 0), ((1,), 0), ((0, -2), 1), (None, 1), ((0, 1, 2), 0)):
        inputs = [x] if axes is None else [x, graph.weight(np.array(axes))]
        graph.output(graph.node(op, *inputs, keepdims=keepdims)[0], reduced_shape(data.shape, axes, keepdims))
    graph.check()


def test_extents_of_one() -> None:
    graph = Graph()
    data = graph.normal(1, 40, 3, 1)
    x = graph.input(data)
    for axes in ((0,), (3,), (0, 3), (0, 1), (2, 3), (0, 2, 3)):
        name = graph.node("ReduceSum", graph.node("Exp", x)[0], graph.weight(np.array(axes)))[0]
        graph.output(graph.node("Neg", name)[0], reduced_shape(data.shape, axes, 1))
    graph.check()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # float16 overflows in the reference too
@pytest.mark.parametrize("dtype", ["float64", "float16", "int32", "int64", "uint32", "uint64"])
def test_dtypes(dtype: str) -> None:
    graph = Graph()
    data = graph.rng.integers(1, 4, (4, 7, 19)).astype(dtype)
    x = graph.input(data)
    for op, axis in itertools.product(REDUCTIONS, (1, 2)):
        if "Log" in op and np.dtype(dtype).kind in "iu":
            continue
        expected = np.square(data).sum(axis, keepdims=True, dtype=dtype) if op == "ReduceSumSquare" else None
        name = graph.node(op, x, graph.weight(np.array([axis])))[0]
        graph.output(name, reduced_shape(data.shape, [axis], 1), dtype, expected)
    graph.check()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "bool"])
def test_extremes_of_bytes(dtype: str) -> None:
    graph = Graph()
    data = graph.rng.integers(0, 2 if dtype == "bool" else 120, (4, 7, 19)).astype(dtype)
    x = graph.input(data)
    for op, axis in itertools.product(("ReduceMax", "ReduceMin"), (1, 2)):
        name = graph.node(op, x, graph.weight(np.array([axis])))[0]
        graph.output(name, reduced_shape(data.shape, [axis], 1), dtype)
    graph.check()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the reference on empty rows
def test_nothing_to_reduce() -> None:
    """Empty rows give what combines with anything to itself; naming no axes changes nothing when so asked."""
    graph = Graph()
    x = graph.input(np.zeros((3, 0, 4), np.float32))
    identities = {
        "ReduceSum": 0, "ReduceProd": 1, "ReduceMax": -np.inf, "ReduceMin": np.inf,
        "ReduceLogSumExp": -np.inf, "ReduceL2": 0, "ReduceMean": np.nan,
    }  # fmt: skip
    for op, value in identities.items():
        name = graph.node(op, x, graph.weight(np.array([1])))[0]
        graph.output(name, (3, 1, 4), expected=np.full((3, 1, 4), value, np.float32))
    graph.output(graph.node("ReduceSum", x, graph.weight(np.array([2])))[0], (3, 0, 1))
    for dtype, low, high in (("bool", 0, 1), ("int8", -128, 127), ("uint8", 0, 255), ("int32", -(2**31), 2**31 - 1)):
        none = graph.input(np.zeros((2, 0), dtype))
        for op, value in (("ReduceMax", low), ("ReduceMin", high)):
            name = graph.node(op, none, graph.weight(np.array([1])))[0]
            graph.output(name, (2, 1), dtype, np.full((2, 1), value, dtype))
    data = graph.normal(3, 5)
    y = graph.input(data)
    none = graph.weight(np.zeros(0, np.int64))
    graph.output(graph.node("ReduceSum", y, none, noop_with_empty_axes=1)[0], (3, 5))
    graph.output(graph.node("ReduceSum", y, none)[0], (1, 1))
    graph.check()


def test_nan_and_infinity() -> None:
    graph = Graph()
    data = graph.normal(4, 50)
    data[1, 7], data[2, 3], data[3, 1] = np.nan, np.inf, -np.inf
    for array, axis in ((data, 1), (np.ascontiguousarray(data.T), 0)):
        x = graph.input(array)
        shape = reduced_shape(array.shape, [axis], 1)
        for op in ("ReduceMax", "ReduceMin", "ReduceSum"):
            graph.output(graph.node(op, x, graph.weight(np.array([axis])))[0], shape)
        for op in ("ArgMax", "ArgMin"):
            graph.output(graph.node(op, x, axis=axis)[0], shape, "int64")
        graph.output(graph.node("Softmax", x, axis=axis)[0], array.shape)
    with np.errstate(invalid="ignore"):
        graph.check()


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Hardmax"])
def test_softmax(op: str) -> None:
    graph = Graph()
    data = graph.normal(3, 5, 70, 9)
    x = graph.input(data)
    for axis in (-1, 0, 1, 2):
        graph.output(graph.node(op, x, axis=axis)[0], data.shape)
    for dtype in FLOATS[1:]:
        other = graph.normal(3, 70, dtype=dtype)
        graph.output(graph.node(op, graph.input(other))[0], other.shape, dtype)
    graph.check()


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
def test_place_of_extreme(op: str) -> None:
    graph = Graph()
    data = graph.rng.integers(0, 6, (4, 33, 18)).astype(np.float32)
    x = graph.input(data)
    for axis, last, keepdims in itertools.product((0, 1, -1), (0, 1), (0, 1)):
        name = graph.node(op, x, axis=axis, select_last_index=last, keepdims=keepdims)[0]
        graph.output(name, reduced_shape(data.shape, [axis], keepdims), "int64")
    for dtype in ("int8", "uint8", "int16", "int32", "int64", "uint64", "float64", "float16"):
        other = graph.rng.integers(0, 60, (4, 33, 18)).astype(dtype)
        graph.output(graph.node(op, graph.input(other), axis=-1)[0], (4, 33, 1), "int64")
    graph.check()


@pytest.mark.parametrize("dtype", FLOATS)
def test_layer_normalization(dtype: str) -> None:
    graph = Graph()
    data = graph.normal(4, 9, 386, dtype=dtype)
    x = graph.input(data)
    for axis in (-1, 1):
        scale, bias = (graph.weight(graph.normal(*data.shape[axis:], dtype=dtype)) for _ in range(2))
        outputs = graph.node("LayerNormalization", x, scale, bias, outputs=3, axis=axis)
        y, centre, inverse = normalized(data, tuple(range(axis % 3, 3)))
        w = {w.name: numpy_helper.to_array(w).astype(np.float64) for w in graph.weights}
        gone = reduced_shape(data.shape, range(axis % 3, 3), 1)
        graph.output(outputs[0], data.shape, dtype, (y * w[scale] + w[bias]).astype(dtype))
        graph.output(outputs[1], gone, "float32", centre.astype(np.float32))
        graph.output(outputs[2], gone, "float32", inverse.astype(np.float32))
        if dtype != "float16":
            graph.output(graph.node("RMSNormalization", x, scale, axis=axis)[0], data.shape, dtype)
    graph.check()


def normalized(x: np.ndarray, axes: tuple[int, ...], epsilon: float = 1e-5) -> tuple[np.ndarray, ...]:
    x = x.astype(np.float64)
    centre = x.mean(axes, keepdims=True)
    inverse = 1 / np.sqrt(x.var(axes, keepdims=True) + epsilon)
    return (x - centre) * inverse, centre, inverse


def test_normalizations_of_channels() -> None:
    graph = Graph()
    data = graph.normal(2, 6, 7, 5)
    x = graph.input(data)
    parameters = [graph.weight(graph.normal(6)) for _ in range(3)] + [graph.weight(np.abs(graph.normal(6)) + 0.1)]
    w = [numpy_helper.to_array(p).reshape(6, 1, 1) for p in graph.weights]
    for last in (False, True):  # the same dimensions, channels outermost and innermost in memory
        if last:
            x = graph.node(
                "Transpose", graph.input(np.ascontiguousarray(data.transpose(0, 2, 3, 1))), perm=[0, 3, 1, 2]
            )[0]
        y = normalized(data, (2, 3))[0] * w[0] + w[1]
        name = graph.node("InstanceNormalization", x, *parameters[:2])[0]
        graph.output(name, data.shape, expected=y.astype(np.float32))
        for groups in (1, 3, 6):
            y = normalized(data.reshape(2, groups, -1), (2,))[0].reshape(data.shape) * w[0] + w[1]
            name = graph.node("GroupNormalization", x, *parameters[:2], num_groups=groups)[0]
            graph.output(name, data.shape, expected=y.astype(np.float32))
        y = normalized(data, (0, 2, 3), 1e-18)[0]
        graph.output(graph.node("MeanVarianceNormalization", x)[0], data.shape, expected=y.astype(np.float32))
        graph.output(graph.node("BatchNormalization", x, *parameters)[0], data.shape)
    graph.check()


@pytest.mark.parametrize("dtype", FLOATS)
def test_variances_of_groups_far_from_zero(dtype: str) -> None:
    graph = Graph()
    data = (graph.normal(2, 6, 17, 3) + 30).astype(dtype)
    x = graph.input(data)
    scale, bias = (graph.weight(graph.normal(6, dtype=dtype)) for _ in range(2))
    w = [numpy_helper.to_array(p).reshape(6, 1, 1).astype(np.float64) for p in graph.weights]
    for groups in (2, 6):
        y = normalized(data.reshape(2, groups, -1), (2,))[0].reshape(data.shape) * w[0] + w[1]
        name = graph.node("GroupNormalization", x, scale, bias, num_groups=groups)[0]
        graph.output(name, data.shape, dtype, expected=y.astype(dtype))
    graph.output(graph.node("InstanceNormalization", x, scale, bias)[0], data.shape, dtype, expected=y.astype(dtype))
    graph.check()


def test_norms() -> None:
    graph = Graph()
    data = graph.normal(3, 4, 50)
    data[1, 2] = 0
    x = graph.input(data)
    for p, axis in itertools.product((1, 2), (1, 2)):
        length = np.linalg.norm(data, ord=p, axis=axis, keepdims=True)
        y = np.where(length == 0, 0, data / np.where(length == 0, 1, length)).astype(np.float32)
        graph.output(graph.node("LpNormalization", x, p=p, axis=axis)[0], data.shape, expected=y)
    picture = graph.normal(2, 6, 17, 9)
    x = graph.input(picture)
    for p in (1, 2, 3):
        y = (np.abs(picture.astype(np.float64)) ** p).sum((2, 3), keepdims=True) ** (1 / p)
        graph.output(graph.node("GlobalLpPool", x, p=p)[0], (2, 6, 1, 1), expected=y.astype(np.float32))
    graph.check()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", [(1, 40, 7, 7), (2, 70, 9, 4), (1, 3, 30, 30), (1, 16, 64, 64)])
def test_global_pooling(shape: tuple[int, ...], threads: int) -> None:
    """Channels outermost and innermost in memory, elementwise work before and after."""
    graph = Graph()
    data = graph.normal(*shape)
    direct = graph.input(data)
    last = graph.node("Transpose", graph.input(data.transpose(0, 2, 3, 1).copy()), perm=[0, 3, 1, 2])[0]
    for x, op in itertools.product((direct, last), ("GlobalAveragePool", "GlobalMaxPool")):
        y = graph.node("Sigmoid", graph.node(op, graph.node("Relu", x)[0])[0])[0]
        graph.output(y, (*shape[:2], 1, 1))
    graph.check(threads)


@pytest.mark.parametrize("op", ["CumSum", "CumProd"])
def test_scans(op: str) -> None:
    graph = Graph()
    data = graph.normal(3, 5, 21)
    x = graph.input(data)
    for axis, exclusive, reverse in itertools.product((0, 1, -1), (0, 1), (0, 1)):
        name = graph.node(op, x, graph.weight(np.array(axis)), exclusive=exclusive, reverse=reverse)[0]
        graph.output(name, data.shape)
    for dtype in ("int32", "int64", "uint32", "float64"):
        other = graph.rng.integers(0, 3, (3, 5, 21)).astype(dtype)
        graph.output(graph.node(op, graph.input(other), graph.weight(np.array(1)))[0], other.shape, dtype)
    graph.check()


def layer_norm_of_parts(graph: Graph, x: str, width: int) -> str:
    """LayerNormalization as exporters take it apart."""
    axes, two = graph.weight(np.array([-1])), graph.weight(np.float32(2))
    centred = graph.node("Sub", x, graph.node("ReduceMean", x, axes)[0])[0]
    variance = graph.node("ReduceMean", graph.node("Pow", centred, two)[0], axes)[0]
    deviation = graph.node("Sqrt", graph.node("Add", variance, graph.weight(np.float32(1e-5)))[0])[0]
    scaled = graph.node("Mul", graph.node("Div", centred, deviation)[0], graph.weight(graph.normal(width)))[0]
    return graph.node("Add", scaled, graph.weight(graph.normal(width)))[0]


def test_layer_norm_of_parts_is_one_kernel() -> None:
    graph = Graph()
    a, b = graph.normal(2, 33, 384), graph.normal(2, 33, 384)
    total = graph.node("Add", graph.input(a), graph.input(b))[0]
    graph.output(graph.node("Relu", layer_norm_of_parts(graph, total, 384))[0], a.shape)
    session = graph.check()
    assert len(kernels(session)) == 1


def test_expensive_work_before_a_norm_is_done_once() -> None:
    graph = Graph()
    a = graph.normal(3, 5, 130)
    y = graph.node("Tanh", graph.input(a))[0]
    graph.output(layer_norm_of_parts(graph, y, 130), a.shape)
    session = graph.check()
    assert [text.count("fw_tanh_f32(") for text in kernels(session)] == [2]  # whole vectors, and the rest of the row


def test_masked_scaled_softmax_is_one_kernel_with_one_exponential() -> None:
    graph = Graph()
    data = graph.normal(2, 3, 17, 40)
    mask = np.where(graph.rng.random((2, 1, 1, 40)) > 0.2, 0, -1e4).astype(np.float32)
    scaled = graph.node("Mul", graph.input(data), graph.weight(np.float32(0.125)))[0]
    shifted = graph.node("Add", scaled, graph.input(mask))[0]
    graph.output(graph.node("Softmax", shifted, axis=-1)[0], data.shape)
    session = graph.check()
    assert [text.count("fw_exp_low_f32(") for text in kernels(session)] == [2]  # whole vectors, and the rest of the row


def test_results_of_both_shapes() -> None:
    """Full and per-row results of one kernel, with reductions in one pass and in two, along and across rows."""
    graph = Graph()
    for shape, axis in (((3, 7, 65), 2), ((3, 7, 65), 1), ((2, 130, 3), 1)):
        data = graph.normal(*shape)
        axes = graph.weight(np.array([axis]))
        e = graph.node("Exp", graph.input(data))[0]
        total = graph.node("ReduceSum", e, axes)[0]
        top = graph.node("ReduceMax", e, axes)[0]
        share = graph.node("Div", e, graph.node("Add", total, top)[0])[0]
        for name in (e, share):
            graph.output(name, shape)
        for name in (total, top):
            graph.output(name, reduced_shape(shape, [axis], 1))
    graph.check()


def kernels(session: fw.Session) -> list[str]:
    return [text for ready in session.programs if ready.plan is not None for text in ready.plan.sources.values()]


def test_one_kernel_serves_every_size() -> None:
    """Rows of each length up to several vectors, of no more than one element too: the compiler is called once."""
    graph = Graph()
    x = graph.input(graph.normal(5, 64), free=(0, 1))
    graph.output(graph.node("Softmax", x)[0], ("rows", "columns"))
    graph.output(graph.node("LogSoftmax", x, axis=0)[0], ("rows", "columns"))
    graph.output(graph.node("ReduceL2", x, graph.weight(np.array([1])))[0], ("rows", 1))
    session = graph.check()
    graph.feeds[x] = graph.normal(9, 150)
    graph.check(session=session)
    starts = build.compiler_starts
    for rows, columns in ((3, 3), (7, 15), (3, 16), (4, 17), (2, 65), (33, 143), (70, 31), (2, 3136)):
        graph.feeds[x] = graph.normal(rows, columns)
        graph.check(session=session)
    assert build.compiler_starts == starts
    for rows, columns in ((1, 1), (1, 40), (40, 1)):  # extents of 1 leave loops out
        graph.feeds[x] = graph.normal(rows, columns)
        graph.check(session=session)


def test_sums_of_long_rows_are_accurate() -> None:
    """Several accumulators: the error grows with a fraction of the length."""
    graph = Graph()
    data = graph.rng.random((2, 300_000)).astype(np.float32)
    for array, axis in ((data, 1), (np.ascontiguousarray(data.T), 0)):
        exact = array.astype(np.float64).mean(axis, keepdims=True)
        name = graph.node("ReduceMean", graph.input(array), graph.weight(np.array([axis])))[0]
        graph.output(name, exact.shape)
        spread = graph.node("LayerNormalization", f"x{axis == 0:d}", graph.weight(np.ones(array.shape[-1], np.float32)))
        graph.output(spread[0], array.shape)
    model = graph.model()
    means = fw.compile(model).run(None, graph.feeds)[::2]
    for mean, axis in zip(means, (1, 0), strict=True):
        exact = (data if axis else data.T).astype(np.float64).mean(axis, keepdims=True)
        np.testing.assert_allclose(mean, exact, rtol=1e-5)


def test_types_of_results_are_declared() -> None:
    """Half precision is accumulated in float32: a sum that float16 could not hold on the way."""
    graph = Graph()
    data = np.full((2, 4096), 100, np.float16)
    x = graph.input(data)
    graph.output(
        graph.node("ReduceMean", x, graph.weight(np.array([1])))[0], (2, 1), "float16", np.full((2, 1), 100, np.float16)
    )
    graph.check()
    assert graph.outputs[0].type.tensor_type.elem_type == TensorProto.FLOAT16


def test_equal_columns_have_equal_sums() -> None:
    """Down to the last bit, wherever they lie: the last block is not full, yet must not add in another order."""
    graph = Graph()
    column = graph.normal(169, 1)
    x = graph.input(np.tile(column, (1, 1000)))
    graph.output(graph.node("ReduceSum", x, graph.weight(np.array([0])), keepdims=0)[0], [1000])
    found = graph.check().run(None, graph.feeds)[0]
    assert len(np.unique(found)) == 1
