"""The work of a kernel is shared out among its nodes: most of it to products, in proportion to their terms."""

from __future__ import annotations

import onnx_ir as ir

from fusewright.graph.group import Group
from fusewright.plan.work import work_of_nodes

MODEL = """
<ir_version: 10, opset_import: ["": 21]>
g (float[1,8,6,6] x, float[32,8,1,1] w, float[32,1,3,3] d) => (float[1,32,6,6] y) {
    a = Conv(x, w)
    b = Relu(a)
    c = Conv<group = 32, pads = [1, 1, 1, 1]>(b, d)
    e = Exp(c)
    y = ReduceMean<keepdims = 1>(e)
}
"""
ELEMENTS = 32 * 36


def group(kind: str, count: int) -> Group:
    model = ir.from_onnx_text(MODEL)
    nodes = list(model.graph)[:count]
    for value in (v for n in nodes for v in n.outputs):
        value.shape, value.dtype = ir.Shape((1, 32, 6, 6)), ir.DataType.FLOAT
    return Group(0, kind, nodes[0], nodes, [], list(nodes[-1].outputs))


def test_a_product_has_what_its_schedule_counted() -> None:
    assert work_of_nodes(group("contraction", 2), 1000, True) == (1000, ELEMENTS)


def test_two_products_share_it_by_their_terms() -> None:
    conv, relu, depthwise, exp, mean = work_of_nodes(group("contraction", 5), 17_000, True)
    assert (conv, depthwise) == (8000, 9000)  # eight channels against nine places of a filter
    assert relu == ELEMENTS and exp > 5 * relu and mean == 3 * ELEMENTS


def test_packing_is_the_anchors() -> None:
    assert work_of_nodes(group("contraction", 3), 700, False) == (700, 0, 0)
