"""Do depthwise convolutions and pooling agree with onnxruntime: odd sizes, strides, pads, dilations, epilogues?"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx.reference
import onnxruntime
import pytest
from branches import Graph, check
from onnx import TensorProto, helper

import fusewright as fw
from fusewright.planning import ModelPlanning

# channels, input extents, filter, stride, pads, dilation
DEPTHWISE = [
    (32, (17, 19), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1)),
    (40, (16, 15), (3, 3), (2, 2), (1, 1, 1, 1), (1, 1)),
    (17, (7, 7), (5, 5), (1, 1), (2, 2, 2, 2), (1, 1)),
    (16, (9, 33), (5, 5), (2, 2), (2, 2, 2, 2), (1, 1)),
    (24, (8, 14), (7, 7), (1, 1), (3, 3, 3, 3), (1, 1)),
    (5, (1, 1), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1)),
    (20, (3, 5), (3, 3), (1, 1), (0, 1, 2, 0), (1, 1)),
    (48, (12, 40), (3, 3), (1, 1), (2, 2, 2, 2), (2, 2)),
    (8, (11, 13), (2, 4), (3, 2), (0, 3, 1, 1), (1, 3)),
    (33, (21,), (5,), (2,), (2, 2), (1,)),
    (18, (4, 5, 6), (3, 3, 3), (1, 2, 1), (1, 1, 1, 1, 1, 1), (1, 1, 1)),
    (16, (6, 40), (1, 21), (1, 1), (0, 10, 0, 10), (1, 1)),
]


def add_depthwise(graph: Graph, case: tuple[Any, ...], batch: int, epilogue: str) -> None:
    channels, extents, taps, strides, pads, dilations = case
    rank = 2 + len(extents)
    x = graph.channels_last(graph.input(graph.normal(batch, channels, *extents)), channels, rank)
    inputs = [x, graph.weight(graph.normal(channels, 1, *taps))]
    if epilogue != "none":
        inputs.append(graph.weight(graph.normal(channels)))
    y = graph.node("Conv", *inputs, group=channels, strides=strides, pads=pads, dilations=dilations)[0]
    if epilogue == "relu":
        y = graph.node("Relu", y)[0]
    if epilogue == "silu":
        y = graph.node("Mul", y, graph.node("Sigmoid", y)[0])[0]
    if epilogue == "scaled residual":
        scaled = graph.node("Mul", y, graph.weight(graph.normal(channels, *(1,) * (rank - 2))))[0]
        y = graph.node("Add", scaled, y)[0]
    graph.output(y, rank)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("open_extents", [False, True])
def test_depthwise(threads: int, open_extents: bool) -> None:
    graph = Graph(open=open_extents)
    kinds = ["none", "bias", "relu", "silu", "scaled residual"]
    for i, case in enumerate(DEPTHWISE):
        add_depthwise(graph, case, 1 + i % 2, kinds[i % len(kinds)])
    check(graph, threads)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_depthwise_pads_itself(auto_pad: str) -> None:
    for is_open in (False, True):
        graph = Graph(open=is_open)
        for size in (8, 17):
            x = graph.channels_last(graph.input(graph.normal(1, 19, size, size + 1)), 19, 4)
            w = graph.weight(graph.normal(19, 1, 3, 4))
            graph.output(graph.node("Conv", x, w, group=19, strides=[2, 2], auto_pad=auto_pad)[0], 4)
        check(graph, 1)


def test_depthwise_reads_channels_first() -> None:
    graph = Graph()
    x = graph.input(graph.normal(2, 21, 9, 8))
    graph.output(graph.node("Conv", x, graph.weight(graph.normal(21, 1, 3, 3)), group=21, pads=[1] * 4)[0], 4)
    graph.output(graph.node("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2])[0], 4)
    check(graph, 2)


def test_depthwise_with_filters_computed_at_run_time() -> None:
    graph = Graph()
    x, w = graph.input(graph.normal(1, 18, 6, 7)), graph.input(graph.normal(18, 1, 3, 3))
    graph.output(graph.node("Conv", x, w, group=18, pads=[1] * 4)[0], 4)
    check(graph, 1)


@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("taps", [(3, 4), (1, 5), (1, 1)])
def test_depthwise_with_filters_that_lie_otherwise(taps: tuple[int, int], is_open: bool) -> None:
    """A tracker's filters are what another convolution made: channels last; or their taps are transposed."""
    graph = Graph(open=is_open)
    x = graph.channels_last(graph.input(graph.normal(1, 18, 6, 7)), 18, 4)
    made = graph.channels_last(graph.input(graph.normal(1, 18, *taps)), 18, 4)
    shape = graph.weight(np.array([18, 1, *taps], np.int64))
    graph.output(graph.node("Conv", x, graph.node("Reshape", made, shape)[0], group=18)[0], 4)
    swapped = graph.node("Relu", graph.input(graph.normal(18, 1, *taps)))[0]
    turned = graph.node("Transpose", swapped, perm=[0, 1, 3, 2])[0]
    graph.output(graph.node("Conv", x, turned, group=18, pads=[2] * 4)[0], 4)
    check(graph, 2)


@pytest.mark.parametrize("dtype", [np.float64])
def test_depthwise_in_double(dtype: Any) -> None:
    graph = Graph()
    x = graph.input(graph.rng.standard_normal((1, 20, 8, 9)).astype(dtype))
    w = graph.weight(graph.rng.standard_normal((20, 1, 3, 3)).astype(dtype))
    graph.output(graph.node("Conv", x, w, group=20, pads=[1] * 4)[0], 4, TensorProto.DOUBLE)
    model = graph.model()
    expected = onnx.reference.ReferenceEvaluator(model).run(None, graph.feeds)
    actual = fw.compile(model).run(None, graph.feeds)
    np.testing.assert_allclose(actual[0], expected[0], rtol=1e-12, atol=1e-12)


# extents, window, strides, pads, dilations, ceil_mode
POOLS = [
    ((17, 16), (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 0),
    ((7, 9), (2, 2), (2, 2), (0, 0, 0, 0), (1, 1), 1),
    ((10, 11), (3, 3), (2, 2), (0, 0, 0, 0), (1, 1), 1),
    ((6, 5), (5, 5), (1, 1), (2, 2, 2, 2), (1, 1), 0),
    ((12, 13), (3, 2), (1, 2), (2, 0, 1, 1), (2, 3), 0),
    ((1, 3), (1, 3), (1, 1), (0, 1, 0, 1), (1, 1), 0),
    ((20, 30), (13, 13), (1, 1), (6, 6, 6, 6), (1, 1), 0),
    ((18, 40), (1, 18), (1, 3), (0, 4, 0, 4), (1, 1), 1),
    ((31,), (4,), (3,), (1, 2), (1,), 1),
    ((5, 6, 7), (2, 3, 2), (2, 1, 2), (0, 1, 1, 1, 1, 0), (1, 1, 1), 0),
]


def add_pool(graph: Graph, op: str, case: tuple[Any, ...], i: int) -> None:
    extents, window, strides, pads, dilations, ceil_mode = case
    channels = (16, 3, 35, 64)[i % 4]
    rank = 2 + len(extents)
    x = graph.input(graph.normal(1 + i % 2, channels, *extents))
    if i % 3:
        x = graph.channels_last(x, channels, rank)
    attributes: dict[str, Any] = {"kernel_shape": window, "strides": strides, "pads": pads, "dilations": dilations}
    if op == "AveragePool":
        attributes["count_include_pad"] = i % 2
    if op == "LpPool":
        attributes["p"] = (1, 2, 3)[i % 3]
    y = graph.node(op, x, **attributes, ceil_mode=ceil_mode)[0]
    if i % 2:
        y = graph.node("Add", graph.node("Relu", y)[0], graph.weight(graph.normal(channels, *(1,) * (rank - 2))))[0]
    graph.output(y, rank)


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize(("threads", "open_extents"), [(1, False), (2, False), (2, True)])
def test_pool(op: str, threads: int, open_extents: bool) -> None:
    graph = Graph(open=open_extents)
    for i, case in enumerate(POOLS):
        add_pool(graph, op, case, i)
    check(graph, threads)


def test_norm_pool() -> None:
    graph = Graph()
    for i, case in enumerate(POOLS[:6]):
        add_pool(graph, "LpPool", (*case[:4], (1,) * len(case[0]), 0), i)
    check(graph, 1)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_pool_pads_itself(auto_pad: str) -> None:
    for is_open in (False, True):
        graph = Graph(open=is_open)
        x = graph.channels_last(graph.input(graph.normal(1, 12, 9, 14)), 12, 4)
        for op in ("MaxPool", "AveragePool"):
            y = graph.node(op, x, kernel_shape=[3, 2], strides=[2, 2], auto_pad=auto_pad)[0]
            graph.output(y, 4)
        check(graph, 1)


def test_pool_reports_positions() -> None:
    for is_open in (False, True):
        graph = Graph(open=is_open)
        for extents, window, strides, pads, dilations, ceil_mode in (*POOLS[:5], *POOLS[8:]):
            x = graph.input(graph.normal(2, 18, *extents))
            y, where = graph.node(
                "MaxPool", x, outputs=2, kernel_shape=window, strides=strides, pads=pads, dilations=dilations,
                ceil_mode=ceil_mode, storage_order=0,
            )  # fmt: skip
            graph.output(y, 2 + len(extents))
            graph.output(where, 2 + len(extents), TensorProto.INT64)
        check(graph, 2)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_pool_of_integers(dtype: Any) -> None:
    graph = Graph()
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    x = graph.input(graph.rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, (1, 37, 11, 12)).astype(dtype))
    graph.output(graph.node("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2])[0], 4, kind)
    check(graph, 2)


def test_pool_passes_nan_and_infinity_on() -> None:
    graph = Graph()
    array = graph.normal(1, 16, 8, 8)
    array[0, :8, 2, 3] = np.nan
    array[0, 8:, 5, 5] = -np.inf
    x = graph.input(array)
    peak = graph.node("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4)[0]
    graph.output(graph.node("Relu", peak)[0], 4)
    graph.output(graph.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])[0], 4)
    actual = fw.compile(graph.model()).run(None, graph.feeds)
    assert np.isnan(actual[0][0, :8, 1:4, 2:5]).all() and not np.isnan(actual[0][0, 8:]).any()
    assert np.isnan(actual[0]).sum() == 8 * 9
    assert np.isnan(actual[1][0, :8, 1, 1]).all() and np.isneginf(actual[1][0, 8:, 2, 2]).all()


def test_one_by_one_where_what_follows_has_no_vectors() -> None:
    graph = Graph()
    x = graph.channels_last(graph.input(graph.normal(1, 20, 9, 9)), 20, 4)
    for y in (
        graph.node("Conv", x, graph.weight(graph.normal(20, 1, 3, 3)), group=20, pads=[1] * 4)[0],
        graph.node("MaxPool", x, kernel_shape=[2, 2])[0],
    ):
        graph.output(graph.node("Cast", y, to=TensorProto.FLOAT16)[0], 4, TensorProto.FLOAT16)
    check(graph, 1, tolerance=1e-3)


def test_another_size_needs_no_compiler() -> None:
    """With open extents the text of a kernel must not show them."""
    graph = Graph(open=True)
    x = graph.channels_last(graph.input(graph.normal(2, 20, 23, 30)), 20, 4)
    y = graph.node("Conv", x, graph.weight(graph.normal(20, 1, 5, 5)), group=20, pads=[2] * 4, strides=[2, 2])[0]
    graph.output(y, 4)
    for op, attributes in (("MaxPool", {"ceil_mode": 1}), ("AveragePool", {"auto_pad": "SAME_UPPER"})):
        graph.output(graph.node(op, x, kernel_shape=[3, 3], strides=[2, 2], **attributes)[0], 4)
    filters = graph.weight(graph.normal(20, 8, 3, 3))
    graph.output(graph.node("ConvTranspose", x, filters, strides=[2, 2], pads=[1] * 4)[0], 4)
    session = fw.compile(graph.model(), threads=2)
    session.run(None, graph.feeds)
    assert isinstance(session.planner, ModelPlanning)
    before = set(session.planner.addresses)
    for extents in ((2, 20, 24, 31), (3, 20, 17, 64), (2, 20, 15, 13)):
        array = graph.normal(*extents)
        peer = onnxruntime.InferenceSession(graph.model().SerializeToString(), providers=["CPUExecutionProvider"])
        for e, a in zip(peer.run(None, {"x0": array}), session.run(None, {"x0": array}), strict=True):
            np.testing.assert_allclose(a, e, rtol=0, atol=1e-5 * np.abs(e).max())
    assert set(session.planner.addresses) == before


def test_a_large_picture() -> None:
    graph = Graph()
    add_depthwise(graph, (8, (224, 223), (3, 3), (2, 2), (1, 1, 1, 1), (1, 1)), 1, "relu")
    x = graph.channels_last(graph.input(graph.normal(1, 8, 223, 224)), 8, 4)
    graph.output(graph.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)[0], 4)
    check(graph, 2)
