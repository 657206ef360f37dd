"""Do products of bytes agree with the reference of ONNX: exact sums, and quantized results up to how a tie is rounded?

onnxruntime is no reference here: without VNNI it adds products of unsigned and signed bytes in 16 bits, which saturate.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from branches import Graph
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator

import fusewright as fw

TIES = 0.01  # share of the elements that may be off by one: scales are multiplied in another order


def integers(graph: Graph, dtype: Any, *shape: int) -> np.ndarray:
    info = np.iinfo(dtype)
    return graph.rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def compared(graph: Graph, threads: int = 1) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each output as the reference has it, and as it was computed."""
    model = graph.model()
    expected: Any = ReferenceEvaluator(model).run(None, graph.feeds)
    for e, a in zip(expected, fw.compile(model, threads=threads).run(None, graph.feeds), strict=True):
        assert a.dtype == e.dtype and a.shape == e.shape
        yield e, a


def check_exact(graph: Graph, threads: int) -> None:
    for e, a in compared(graph, threads):
        np.testing.assert_array_equal(a, e)


def check_rounded(graph: Graph) -> None:
    for e, a in compared(graph):
        off = np.abs(a.astype(int) - e.astype(int))
        assert off.max() <= 1 and np.mean(off) < TIES
        assert len(np.unique(a)) > 20  # the scales of this test do not saturate everything


def test_conv_integer() -> None:
    graph = Graph()
    for pads, strides, groups in (([1, 1, 1, 1], [1, 1], 1), ([0, 2, 1, 0], [2, 1], 3)):
        x = graph.input(integers(graph, np.uint8, 2, 6, 9, 8))
        w = graph.weight(integers(graph, np.uint8, 9, 6 // groups, 3, 3))
        zeros = graph.weight(np.uint8(131)), graph.weight(np.uint8(7))
        for optional in ((), zeros[:1], zeros):
            y = graph.node("ConvInteger", x, w, *optional, pads=pads, strides=strides, group=groups)[0]
            graph.output(y, 4, TensorProto.INT32)
    check_exact(graph, 2)


def test_matmul_integer() -> None:
    graph = Graph()
    for kinds in ((np.uint8, np.int8), (np.uint8, np.uint8), (np.int8, np.int8)):
        a = graph.input(integers(graph, kinds[0], 2, 5, 33))
        b = graph.weight(integers(graph, kinds[1], 33, 19))
        zero_a, zero_b = graph.weight(integers(graph, kinds[0])), graph.weight(integers(graph, kinds[1]))
        per_column = graph.weight(integers(graph, kinds[1], 19))
        for optional in ((), (zero_a, zero_b), (zero_a, per_column)):
            graph.output(graph.node("MatMulInteger", a, b, *optional)[0], 3, TensorProto.INT32)
    check_exact(graph, 1)


def test_quantized_conv() -> None:
    graph = Graph()
    for per_channel in (False, True):
        x = graph.input(integers(graph, np.uint8, 1, 8, 10, 11))
        w = graph.weight(integers(graph, np.int8, 12, 8, 3, 3))
        scales = np.linspace(0.01, 0.02, 12, dtype=np.float32) if per_channel else np.float32(0.013)
        zeros = np.zeros(12, np.int8) if per_channel else np.int8(0)
        rest = [graph.weight(v) for v in (scales, zeros, np.float32(4.1), np.uint8(120))]
        scale, zero = graph.weight(np.float32(0.05)), graph.weight(np.uint8(115))
        bias = graph.weight(graph.rng.integers(-9000, 9000, 12).astype(np.int32))
        y = graph.node("QLinearConv", x, scale, zero, w, *rest, bias, pads=[1] * 4)[0]
        graph.output(y, 4, TensorProto.UINT8)
    check_rounded(graph)


def test_quantized_matmul() -> None:
    graph = Graph()
    for kind, tensor in ((np.uint8, TensorProto.UINT8), (np.int8, TensorProto.INT8)):
        middle = kind(123 if kind is np.uint8 else 3)
        a = graph.input(integers(graph, kind, 3, 7, 40))
        b = graph.weight(integers(graph, kind, 40, 21))
        parameters = [graph.weight(v) for v in (np.float32(0.02), middle, np.float32(0.03), middle)]
        out = [graph.weight(v) for v in (np.float32(0.9), middle)]
        y = graph.node("QLinearMatMul", a, *parameters[:2], b, *parameters[2:], *out)[0]
        graph.output(y, 3, tensor)
    check_rounded(graph)
