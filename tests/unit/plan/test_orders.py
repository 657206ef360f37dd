"""Do values lie in the order in which their readers walk them?"""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from fusewright.plan.orders import transposed_use


def normalized(reader: list[onnx.NodeProto]) -> ir.Value:
    """The result of a normalisation along the last of four dimensions that is turned to channels first and read so."""
    nodes = [
        helper.make_node("LayerNormalization", ["x", "g"], ["n"]),
        helper.make_node("Transpose", ["n"], ["t"], perm=[0, 3, 1, 2]),
        *reader,
    ]
    graph = helper.make_graph(
        nodes,
        "turned",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", [1, 4, 6, 8]), ("g", [8]))]
        + [helper.make_tensor_value_info("w", TensorProto.FLOAT, [3, 8, 2, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)],
    )
    model = ir.from_proto(onnx.shape_inference.infer_shapes(helper.make_model(graph)))
    value: ir.Value = model.graph.node(0).outputs[0]
    return value


READERS = {
    "a convolution": ([helper.make_node("Conv", ["t", "w"], ["y"])], (0, 1, 2, 3)),
    "pooling": ([helper.make_node("MaxPool", ["t"], ["y"], kernel_shape=[2, 2])], (0, 1, 2, 3)),
    "arithmetic": ([helper.make_node("Relu", ["t"], ["y"])], (0, 3, 1, 2)),
    "both": (
        [helper.make_node("Conv", ["t", "w"], ["c"]), helper.make_node("Relu", ["t"], ["y"])],
        (0, 3, 1, 2),
    ),
}


SHAPE = helper.make_node("Reshape", ["t", "s"], ["p"])
PICTURES = {
    "a convolution": ([SHAPE, helper.make_node("Conv", ["p", "w"], ["y"])], (0, 1, 2)),
    "arithmetic": ([SHAPE, helper.make_node("Relu", ["p"], ["y"])], (0, 2, 1)),
    "two readers": (
        [SHAPE, helper.make_node("Relu", ["t"], ["r"]), helper.make_node("Conv", ["p", "w"], ["y"])],
        (0, 2, 1),
    ),
    "nothing": ([helper.make_node("Reshape", ["t", "s"], ["y"])], (0, 2, 1)),
}


@pytest.mark.parametrize("reader", PICTURES)
def test_rows_of_channels_that_become_a_picture(reader: str) -> None:
    nodes, order = PICTURES[reader]
    turned = [
        helper.make_node("LayerNormalization", ["x", "g"], ["n"]),
        helper.make_node("Transpose", ["n"], ["t"], perm=[0, 2, 1]),
        *nodes,
    ]
    extents = (("x", [1, 24, 8]), ("g", [8]), ("w", [3, 8, 2, 2]))
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, e) for n, e in extents]
    shape = numpy_helper.from_array(np.array([1, 8, 4, 6]), "s")
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)
    graph = helper.make_graph(turned, "picture", ports, [result], [shape])
    model = ir.from_proto(onnx.shape_inference.infer_shapes(helper.make_model(graph), data_prop=True))
    assert transposed_use(model.graph.node(0).outputs[0]) == order


@pytest.mark.parametrize("reader", READERS)
def test_what_is_turned_lies_as_its_readers_walk_it(reader: str) -> None:
    nodes, order = READERS[reader]
    assert transposed_use(normalized(nodes)) == order
