"""What does a node compute when all its inputs are constant? The ONNX reference answers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx.reference import ReferenceEvaluator
from onnx.reference.ops import load_op

from fusewright.errors import InternalError

Array = np.ndarray[Any, Any]

RANDOM = frozenset(
    ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
)
SLOW = frozenset(("Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "DeformConv", "LSTM", "GRU", "RNN"))
"""Plain loops in Python would take longer than the model; nobody computes shapes or weights with them."""


def can_evaluate(node: ir.Node) -> bool:
    """Whether `node` always computes the same from the same inputs, and does so in reasonable time here."""
    if node.domain != "" or node.op_type in RANDOM or node.op_type in SLOW:
        return False
    graphs = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
    return not any(attr.is_ref() or attr.type in graphs for attr in node.attributes.values())


def evaluate(node: ir.Node, inputs: Sequence[Array | None], opset: int) -> list[Array]:
    """The outputs of `node` for constant `inputs` (None where an optional input is left out).

    Raises InternalError when the reference fails on it.
    """
    proto = onnx.NodeProto(
        op_type=node.op_type,
        input=["" if array is None else f"i{index}" for index, array in enumerate(inputs)],
        output=[f"o{index}" if value.name else "" for index, value in enumerate(node.outputs)],
        attribute=[ir.to_proto(attr) for attr in node.attributes.values()],
    )
    try:
        with np.errstate(all="ignore"):
            results = _operator(node.op_type, opset)(proto, _context(opset)).run(*inputs)
    except Exception as error:  # the reference raises whatever numpy does
        raise InternalError(f"the ONNX reference fails on {node.op_type}: {error}") from error
    return [np.asarray(result) for result in results]


def broadcast_view(node: ir.Node, inputs: Sequence[Array | None]) -> Array | None:
    """The output of a node that only repeats one value, as a view that takes no memory; None for others."""
    if node.op_type == "ConstantOfShape" and inputs[0] is not None:
        fill = node.attributes.get("value")
        element = np.zeros(1, np.float32) if fill is None else fill.as_tensor().numpy()
        return np.broadcast_to(element.reshape(()), tuple(int(d) for d in inputs[0]))
    if node.op_type == "Expand" and inputs[0] is not None and inputs[1] is not None:
        target = np.broadcast_shapes(inputs[0].shape, tuple(int(d) for d in inputs[1]))
        return np.broadcast_to(inputs[0], target)
    return None


@lru_cache(maxsize=512)
def _operator(op_type: str, opset: int) -> Any:
    return load_op("", op_type, opset)


def _context(opset: int) -> dict[str, Any]:
    return {
        "log": lambda *_: None,
        "opsets": {"": opset},
        "verbose": 0,
        "new_ops": None,
        "existing_functions": {},
        "evaluator_cls": ReferenceEvaluator,
    }
