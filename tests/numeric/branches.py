"""Small models with several branches, and how their outputs are held against onnxruntime's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import fusewright as fw

TOLERANCE = 1e-5  # of the output's largest magnitude: sums of up to 225 products in float32


@dataclass(repr=False)
class Graph:
    """Several small branches in one model: one compilation serves many cases."""

    open: bool = False
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    outputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    feeds: dict[str, np.ndarray] = field(default_factory=dict)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))

    def input(self, array: np.ndarray) -> str:
        name = f"x{len(self.inputs)}"
        free = [f"{name}d{d}" if self.open and d != 1 else n for d, n in enumerate(array.shape)]
        self.inputs.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), free))
        self.feeds[name] = array
        return name

    def weight(self, array: np.ndarray | np.generic) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> list[str]:
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names

    def output(self, name: str, rank: int, dtype: int = TensorProto.FLOAT) -> None:
        dims = [f"{name}_{d}" for d in range(rank)]
        self.outputs.append(helper.make_tensor_value_info(name, dtype, dims))

    def channels_last(self, x: str, channels: int, rank: int) -> str:
        """A 1x1 convolution, behind which values lie channels last."""
        w = self.rng.standard_normal((channels, channels, *(1,) * (rank - 2))).astype(np.float32)
        return self.node("Conv", x, self.weight(w))[0]

    def normal(self, *shape: int) -> np.ndarray:
        return self.rng.standard_normal(shape).astype(np.float32)

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, "windows", self.inputs, self.outputs, self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)


def check(graph: Graph, threads: int, exact: bool = False, tolerance: float = TOLERANCE) -> None:
    model = graph.model()
    expected = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(
        None, graph.feeds
    )
    actual = fw.compile(model, threads=threads).run(None, graph.feeds)
    for port, e, a in zip(graph.outputs, expected, actual, strict=True):
        assert a.dtype == e.dtype and a.shape == e.shape, port.name
        if exact or e.dtype.kind in "iu":
            np.testing.assert_array_equal(a, e, err_msg=port.name)
        else:
            scale = float(np.max(np.abs(e[np.isfinite(e)]), initial=1e-6))
            np.testing.assert_allclose(a, e, rtol=0, atol=tolerance * scale, err_msg=port.name)
