"""How much arithmetic does a model need? The work of its products and convolutions; the rest does not count.

A multiply-add is two operations. The number belongs to the model and not to how an engine computes it, so that
rates of engines can be compared; an engine that needs less arithmetic (Winograd) simply shows a higher rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import onnx_ir as ir


def count_flop(model: ir.Model) -> int | None:
    """The work of one run, from known shapes; None if the shape of some product is not known.

    Products in the body of a Loop, Scan or If are not counted, as the number of their runs is not known. What a
    convolution multiplies with padding counts, as it does in published figures; engines that skip it can seem to
    run above the peak.
    """
    total = 0
    for node in model.graph:
        count = COUNTS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if count is not None:
            work = count(node)
            if work is None:
                return None
            total += work
    return total


def _shape(value: ir.Value | None) -> tuple[int, ...] | None:
    if value is None or value.shape is None:
        return None
    extents = tuple(e for e in value.shape if isinstance(e, int))
    return extents if len(extents) == len(value.shape) else None


def _conv(node: ir.Node) -> int | None:
    """Each output element is a sum over the weights of its channel: weight is [M, C/group, k...]."""
    output, weight = _shape(node.outputs[0]), _shape(node.inputs[1])
    if output is None or weight is None:
        return None
    return 2 * math.prod(output) * math.prod(weight[1:])


def _conv_transpose(node: ir.Node) -> int | None:
    """Each input element is spread over the weights of its channel: weight is [C, M/group, k...]."""
    source, weight = _shape(node.inputs[0]), _shape(node.inputs[1])
    if source is None or weight is None:
        return None
    return 2 * math.prod(source) * math.prod(weight[1:])


def _matmul(node: ir.Node) -> int | None:
    a, output = _shape(node.inputs[0]), _shape(node.outputs[0])
    if a is None or output is None:
        return None
    return 2 * math.prod(output) * a[-1]


def _gemm(node: ir.Node) -> int | None:
    a, output = _shape(node.inputs[0]), _shape(node.outputs[0])
    if a is None or output is None:
        return None
    return 2 * math.prod(output) * a[0 if node.attributes.get_int("transA", 0) else 1]


def _recurrent(node: ir.Node) -> int | None:
    """Per step and direction, x W and h R: weights are [directions, gates * hidden, input or hidden]."""
    x, w, r = (_shape(v) for v in node.inputs[:3])
    if x is None or w is None or r is None:
        return None
    return 2 * x[0] * x[1] * (math.prod(w) + math.prod(r))


def _attention(node: ir.Node) -> int | None:
    """Q K and the weighted sum of V, for shapes [batch, heads, tokens, size]."""
    q, k, v = (_shape(value) for value in node.inputs[:3])
    if q is None or k is None or v is None or not len(q) == len(k) == len(v) == 4:
        return None
    return 2 * math.prod(q[:3]) * k[2] * (q[3] + v[3])


COUNTS: dict[str, Callable[[ir.Node], int | None]] = {
    "Conv": _conv,
    "ConvInteger": _conv,
    "ConvTranspose": _conv_transpose,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "Gemm": _gemm,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
    "Attention": _attention,
}
